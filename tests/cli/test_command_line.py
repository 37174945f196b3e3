"""The command line as a whole: what it imports, its streams, its errors, and the commands about the app."""

import os
import subprocess
import sys

import pytest

from shakegpt import __version__
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from tests.cli.cli_results import Invoke, objects, one_sentence
from tests.processes import PATIENCE


@pytest.mark.parametrize(
    ("arguments", "completing", "result"),
    [
        (["--help"], None, "Shakespeare"),
        (["--version"], None, __version__),
        (["train", "--help"], None, "--learning-rate"),
        (["generate", "--help"], None, "--top-p"),
        (["runs", "list"], None, "macbeth"),
        ([], "shakegpt runs show ", "macbeth"),
        ([], "shakegpt generate --checkpoint macb", "macbeth@30"),
        ([], "shakegpt train --preset ", "nano"),
        ([], "shakegpt train --corpus ", "demo"),
    ],
)
def test_a_light_command_imports_neither_torch_nor_textual(
    store: Store, arguments: list[str], completing: str | None, result: str
) -> None:
    code = """
        import atexit, sys
        heavy = {"torch", "textual", "numpy", "pooch", "requests"}
        atexit.register(lambda: print("imported:", sorted(heavy & set(sys.modules)), file=sys.stderr))
        from shakegpt.cli import main
        main()
    """
    env = {**os.environ, "TERM": "dumb", "COLUMNS": "100"}
    if completing is not None:
        words = completing.split(" ")
        env |= {"_SHAKEGPT_COMPLETE": "complete_bash", "COMP_WORDS": completing, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv[0] = 'shakegpt'\n{'if True:'}{code}", *arguments],
        capture_output=True,
        text=True,
        env=env,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert result in done.stdout
    assert done.stderr.strip() == "imported: []"


@pytest.mark.parametrize("module", ["typer", "shakegpt.cli.train", "shakegpt.runs.store"])
def test_an_interrupt_while_modules_are_imported_prints_no_traceback(module: str) -> None:
    """At the two ends of the first 200 ms, and in a command; as if Ctrl-C had come when the module was looked for."""
    code = f"""
        import os, runpy, signal, sys
        class Interrupter:
            def find_spec(self, name, *_):
                if name == {module!r}:
                    os.kill(os.getpid(), signal.SIGINT)
        sys.meta_path.insert(0, Interrupter())
        runpy.run_module("shakegpt", run_name="__main__", alter_sys=True)
    """
    done = subprocess.run(
        [sys.executable, "-c", f"if True:{code}", "runs", "list"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_closed_stream_is_dev_null() -> None:
    """``shakegpt ... <&- >&-``: Python has None for them, which nothing could ask whether it is a terminal."""
    code = (
        "import sys; from shakegpt.cli.output import configure_streams; configure_streams()\n"
        "sys.stdout.write('vanishes'); sys.stdout.flush()\n"
        "sys.stderr.write(repr((sys.stdin.read(), sys.stdin.isatty(), open('/dev/null').fileno() > 2)))"
    )
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" <&- >&-', sys.executable, code],
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "('', False, True)")


def test_debug_shows_where_an_error_came_from(store: Store, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHAKEGPT_DEBUG", "1")
    done = invoke("generate", "--checkpoint", "nobody")
    assert "There is no run nobody" in str(done.exception)
    assert done.exc_info is not None


def test_doctor(store: Store, invoke: Invoke) -> None:
    (result,) = objects(invoke("doctor", "--json").stdout)
    assert {"device", "precision", "reason", "threads", "versions", "paths", "terminal"} <= set(result)
    assert result["versions"]["shakegpt"] == __version__
    assert result["paths"]["home"] == str(store.home)
    assert result["runs"] == 1
    plain = invoke("doctor")
    assert plain.exit_code == 0
    assert result["reason"].split(";")[0] in plain.stdout


def test_the_app_needs_a_terminal(invoke: Invoke) -> None:
    assert "needs a terminal" in one_sentence(invoke(), 2)


def test_watch_needs_a_run(invoke: Invoke) -> None:
    assert "no run to watch" in one_sentence(invoke("watch"), 1)


def test_stop_needs_a_run_in_training(store: Store, macbeth: Run, invoke: Invoke) -> None:
    assert "is not training" in one_sentence(invoke("stop", "macbeth"), 1)
    with macbeth.lock():
        done = invoke("stop", "macbeth")
        assert done.exit_code == 0
        assert f"process {os.getpid()}" in done.stderr
        assert macbeth.take_request() == "stop"
