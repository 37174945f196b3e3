"""``shakegpt doctor``: what shakegpt finds on this machine."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from shakegpt.cli.options import Json
from shakegpt.cli.output import print_json, print_note
from shakegpt.system.text import count


def doctor(json: Json = False) -> None:
    """Show the device, versions, paths and terminal that are found here."""
    import torch

    from shakegpt.data import catalog
    from shakegpt.runs.store import Store
    from shakegpt.system.device import choose_device_plan
    from shakegpt.system.paths import corpora_folder
    from shakegpt.version import versions

    device_plan = choose_device_plan()
    store = Store.default()
    report: dict[str, Any] = {
        "device": device_plan.device.type,
        "device_name": device_plan.name,
        "precision": device_plan.precision,
        "reason": device_plan.reason,
        "threads": device_plan.threads,
        "versions": versions() | {"cuda": torch.version.cuda or "none"},
        "paths": {
            "home": str(store.home),
            "corpora": str(corpora_folder()),
            "corpus_path": os.environ.get(catalog.CORPUS_PATH_VARIABLE, ""),
        },
        "disk_free_bytes": _free_bytes(store.home),
        "runs": len(store.runs()),
        "corpora": {corpus.name: corpus.source for corpus in catalog.known_corpora()},
        "terminal": _describe_terminal(),
    }
    if json:
        print_json(report)
        return
    terminal, home = report["terminal"], report["paths"]["home"]
    threads = count(device_plan.threads, "thread")
    print(f"device     {device_plan.name} ({report['device']}), {device_plan.precision}, {threads}")
    print(f"why        {device_plan.reason}")
    print("versions   " + ", ".join(f"{name} {version}" for name, version in report["versions"].items()))
    print(f"home       {home} ({count(report['runs'], 'run')}, {report['disk_free_bytes'] / 1e9:.1f} GB free)")
    print("corpora    " + ", ".join(f"{name} ({source})" for name, source in report["corpora"].items()))
    print(
        f"terminal   {terminal['columns']}x{terminal['rows']}, TERM={terminal['term'] or 'unset'}, "
        f"{terminal['encoding']}, {'a terminal' if terminal['interactive'] else 'not a terminal'}"
        + (", NO_COLOR" if terminal["no_color"] else "")
    )
    if device_plan.device.type == "cpu" and torch.version.cuda is None and shutil.which("nvidia-smi"):
        print_note(
            "An NVIDIA driver is here, but this torch was built without CUDA; install a CUDA build of torch to use it."
        )


def _free_bytes(path: Path) -> int:
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _describe_terminal() -> dict[str, Any]:
    columns, rows = shutil.get_terminal_size()
    return {
        "columns": columns,
        "rows": rows,
        "term": os.environ.get("TERM", ""),
        "encoding": sys.stdout.encoding,
        "interactive": sys.stdout.isatty(),
        "no_color": bool(os.environ.get("NO_COLOR")),
    }
