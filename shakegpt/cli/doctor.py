"""``shakegpt doctor``: what shakegpt finds on this machine."""

import math
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shakegpt.cli.options import Json
from shakegpt.cli.output import print_json, print_note
from shakegpt.system.text import count, escape_line

if TYPE_CHECKING:
    import torch


def doctor(json: Json = False) -> None:
    """Show the device, versions, paths and terminal that are found here, and whether a GPU computes as the CPU does."""
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
        "step_check": _check_step(device_plan.device),
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
    print(f"check      {_describe_check(report['step_check'])}")
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


def _check_step(device: "torch.device") -> dict[str, Any]:
    """Return whether a GPU's training step is the CPU's; ``agrees`` is ``None`` where there is nothing to compare."""
    if device.type == "cpu":
        return {"agrees": None, "error": None}
    from shakegpt.training.device_check import compare_with_cpu

    try:
        comparison = compare_with_cpu(device)
    except RuntimeError as error:
        return {"agrees": False, "error": str(error).partition("\n")[0]}
    differences = {
        name: value if math.isfinite(value := getattr(comparison, name)) else None
        for name in ("loss_difference", "gradient_difference", "update_difference")
    }
    return {"agrees": comparison.agrees, "error": None, **differences}


def _describe_check(check: dict[str, Any]) -> str:
    if check["agrees"] is None:
        return "nothing to compare: the CPU trains"
    if check["error"]:
        return f"a training step failed: {escape_line(check['error'])}"
    loss, gradient = (
        "not finite" if (value := check[f"{name}_difference"]) is None else f"{value:.1e}"
        for name in ("loss", "gradient")
    )
    if check["agrees"]:
        return f"a training step is the CPU's within rounding (loss {loss}, gradient {gradient})"
    return (
        f"A TRAINING STEP DIFFERS FROM THE CPU'S (loss {loss}, gradient {gradient}, relative): do not train on this "
        "device; try another version of torch or of the driver, or give --device cpu"
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
