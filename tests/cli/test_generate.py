"""``shakegpt generate``: text, JSON, prompts from a pipe, and invalid values."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shakegpt.generation import samples
from shakegpt.generation.samples import Completion
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from tests.cli.cli_results import BeginCli, Invoke, RunCli, objects, one_sentence
from tests.conftest import TrainNano
from tests.processes import PATIENCE

GENERATE_FIELDS = {
    "checkpoint", "prompt", "text", "seed", "finish", "characters", "seconds", "characters_per_second",
}  # fmt: skip


def test_generate_continues_a_prompt_on_standard_output(store: Store, run_cli: RunCli) -> None:
    done = run_cli("generate", "--prompt", "ROMEO:", "--length", "30", "--seed", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ROMEO:")
    assert len(done.stdout.rstrip("\n")) <= len("ROMEO:") + 30
    assert done.stdout.endswith("\n")


def test_generate_json(store: Store, invoke: Invoke) -> None:
    macbeth = ("--checkpoint", "macbeth", "--prompt", "ROMEO:", "--length", "30", "--seed", "1")
    done = invoke("generate", *macbeth, "--json")
    (result,) = objects(done.stdout)
    assert set(result) == GENERATE_FIELDS
    best = store.run("macbeth").best()
    assert best is not None
    assert (result["checkpoint"], result["prompt"], result["seed"], result["finish"]) == (
        best.reference,
        "ROMEO:",
        1,
        "length",
    )
    assert result["characters"] == len(result["text"]) == 30
    assert result["characters_per_second"] == pytest.approx(30 / result["seconds"], rel=0.01)
    again = invoke("generate", *macbeth)
    assert again.stdout.rstrip("\n") == ("ROMEO:" + result["text"]).rstrip("\n")


def test_generate_draws_a_new_seed_each_time_and_reports_it(store: Store, invoke: Invoke) -> None:
    first, second = (objects(invoke("generate", "--json", "--temperature", "2").stdout)[0] for _ in range(2))
    assert first["seed"] != second["seed"]
    assert first["text"] != second["text"]
    (again,) = objects(invoke("generate", "--json", "--temperature", "2", "--seed", str(first["seed"])).stdout)
    assert again["text"] == first["text"]


def test_generate_samples_do_not_depend_on_how_many(store: Store, invoke: Invoke) -> None:
    options = ["generate", "--prompt", "O", "--length", "20", "--seed", "3", "--temperature", "1.5", "--json"]
    (one,) = objects(invoke(*options).stdout)
    (three,) = objects(invoke(*options, "--samples", "3").stdout)
    (two,) = objects(invoke(*options, "--samples", "2").stdout)
    texts = [sample["text"] for sample in three["samples"]]
    assert texts[0] == one["text"]
    assert texts[:2] == [sample["text"] for sample in two["samples"]]
    assert len(set(texts)) == 3
    assert all(sample["finish"] == "length" for sample in three["samples"])
    assert GENERATE_FIELDS - {"text", "finish"} <= set(three)
    plain = invoke(*options[:-1], "--samples", "3")
    assert plain.exit_code == 0
    assert all(text.strip("\n") in plain.stdout for text in texts)


def test_generate_stops_before_a_stop_text(store: Store, invoke: Invoke) -> None:
    options = ["generate", "--prompt", "O", "--length", "60", "--seed", "3", "--json"]
    (whole,) = objects(invoke(*options).stdout)
    stop = whole["text"][20:22]
    (cut,) = objects(invoke(*options, "--stop", stop).stdout)
    assert (cut["finish"], cut["text"]) == ("stop", whole["text"][: whole["text"].index(stop)])
    assert cut["characters"] == len(cut["text"])


@pytest.mark.parametrize("arguments", [[], ["--prompt", "-"]])
def test_a_prompt_is_read_from_a_pipe(store: Store, invoke: Invoke, arguments: list[str]) -> None:
    (result,) = objects(invoke("generate", "--length", "3", "--json", *arguments, stdin="ROMEO:\nO").stdout)
    assert result["prompt"] == "ROMEO:\nO"


def test_a_prompt_from_a_file_of_windows_is_read_as_texts_are(store: Store, invoke: Invoke) -> None:
    (result,) = objects(invoke("generate", "--length", "3", "--json", stdin=b"\xef\xbb\xbfROMEO:\r\nO").stdout)
    assert result["prompt"] == "ROMEO:\nO"


def test_without_a_prompt_a_new_speech_begins(store: Store, invoke: Invoke) -> None:
    (result,) = objects(invoke("generate", "--length", "3", "--json").stdout)
    assert result["prompt"] == "\n"


def test_a_model_that_knows_no_newline_needs_no_prompt(train_nano: TrainNano, tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "line.txt").write_text("to be or not to be that is the question " * 40)
    train_nano(corpus=str(tmp_path / "line.txt"), run_name="line", steps=1)
    options = ("generate", "--checkpoint", "line", "--length", "9", "--json")
    (result,) = objects(invoke(*options).stdout)
    assert (result["prompt"], result["characters"]) == ("", 9)
    (several,) = objects(invoke(*options, "--samples", "2").stdout)
    assert len(several["samples"]) == 2
    assert "U+000A" in one_sentence(invoke(*options, "--prompt", "\n"), 2)
    assert invoke("evaluate", "line", "--copying", "10").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--temperature", "-0.5"], "Temperature .* not -0.5"),
        (["--temperature", "nan"], "Temperature .* not nan"),
        (["--top-k", "-1"], "Top-k .* not -1"),
        (["--top-p", "0"], "Top-p .* not 0.0"),
        (["--top-p", "1.5"], "Top-p .* not 1.5"),
        (["--min-p", "2"], "Min-p .* not 2.0"),
        (["--repetition-penalty", "0"], "repetition penalty .* not 0.0"),
        (["--length", "-1"], "length .* not -1"),
        (["--seed", "-1"], "seed .* not -1"),
        (["--samples", "0"], "samples .* not 0"),
        (["--stop", ""], "stop text .* not ''"),
        (["--prompt", "Roméo"], r"'é' \(U\+00E9\), character 4"),
        (["--prompt", "\x1b[31m"], r"'\\x1b' \(U\+001B\), character 1"),
    ],
)
def test_an_invalid_value_is_named_with_exit_code_2(
    store: Store, invoke: Invoke, arguments: list[str], message: str
) -> None:
    assert re.search(message, one_sentence(invoke("generate", *arguments), 2))


def test_a_prompt_that_is_not_utf_8_is_refused(store: Store, invoke: Invoke) -> None:
    assert "byte 2 is 0xff" in one_sentence(invoke("generate", stdin=b"ab\xff"), 2)


def test_text_for_a_number_is_a_usage_error(store: Store, invoke: Invoke) -> None:
    done = invoke("generate", "--top-k", "many")
    assert done.exit_code == 2
    assert "--top-k" in done.stderr


@pytest.mark.parametrize("reference", ["nobody", "macbeth@31", "/nowhere/at/all"])
def test_a_missing_checkpoint_ends_with_exit_code_1(store: Store, invoke: Invoke, reference: str) -> None:
    one_sentence(invoke("generate", "--checkpoint", reference), 1)


def test_a_damaged_checkpoint_is_refused(macbeth: Run, invoke: Invoke) -> None:
    path = macbeth.checkpoint_path(30) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    assert "damaged" in one_sentence(invoke("generate", "--checkpoint", "macbeth@30"), 1)


def test_a_closed_pipe_is_not_an_error(store: Store, begin_cli: BeginCli) -> None:
    process = begin_cli("generate", "--prompt", "ROMEO:", "--length", "10000000")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(10).startswith("ROMEO:")  # streamed: the end is hours away
    process.stdout.close()
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == ""


FOREIGN = "می\N{ZERO WIDTH NON-JOINER}خواهم 👩\N{ZERO WIDTH JOINER}🔬 \x1b[31m\x07"


@pytest.fixture
def foreign(train_nano: TrainNano, tmp_path: Path) -> str:
    """A run that knows joiners and control characters."""
    (tmp_path / "foreign.txt").write_text(f"{FOREIGN}\n" * 60, encoding="utf-8")
    train_nano(corpus=str(tmp_path / "foreign.txt"), run_name="foreign", steps=1)
    return "foreign"


@pytest.mark.parametrize("samples", ["1", "2"])
def test_a_file_gets_the_characters_themselves(foreign: str, run_cli: RunCli, samples: str) -> None:
    done = run_cli("generate", FOREIGN, "-c", foreign, "-n", "0", "--samples", samples)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{FOREIGN}\n")
    assert "\\x" not in done.stdout


def test_a_terminal_gets_joiners_and_no_control_characters(foreign: str, tmp_path: Path) -> None:
    master, terminal = pty.openpty()
    options = ["-c", foreign, "-n", "0", "--prompt", FOREIGN]
    done = subprocess.run(
        [sys.executable, "-m", "shakegpt", "generate", *options], stdout=terminal, timeout=PATIENCE, check=False
    )
    os.close(terminal)
    shown = os.read(master, 4096).decode()
    os.close(master)
    assert done.returncode == 0
    assert FOREIGN.removesuffix("\x1b[31m\x07") + "\\x1b[31m\\x07" in shown


def test_the_prompt_is_an_argument_too(store: Store, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    (result,) = objects(invoke("generate", "ROMEO:", "-n", "3", "--json").stdout)
    assert (result["prompt"], result["characters"]) == ("ROMEO:", 3)
    assert "given twice" in one_sentence(invoke("generate", "ROMEO:", "--prompt", "JULIET:"), 2)
    monkeypatch.setenv("SHAKEGPT_GENERATE_PROMPT", "JULIET:")
    (result,) = objects(invoke("generate", "ROMEO:", "--max-new-tokens", "3", "--json").stdout)
    assert (result["prompt"], result["characters"]) == ("ROMEO:", 3)
    (result,) = objects(invoke("generate", "-n", "3", "--json").stdout)
    assert result["prompt"] == "JULIET:"


def test_top_k_0_is_off(store: Store, invoke: Invoke) -> None:
    options = ("generate", "ROMEO:", "-n", "40", "--seed", "3", "-t", "1.5", "--json")
    (off,) = objects(invoke(*options, "--top-k", "0").stdout)
    (without,) = objects(invoke(*options).stdout)
    assert off["text"] == without["text"]


def test_samples_are_written_as_they_come(store: Store, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def two_and_a_failure(*_: object, **__: object) -> Iterator[Completion]:
        yield Completion("one", "length")
        yield Completion("two", "length")
        raise MemoryError("full")

    monkeypatch.setattr(samples, "generate_samples", two_and_a_failure)
    done = invoke("generate", "O", "--samples", "1000000")
    assert done.exit_code == 1
    assert done.stdout == "Oone\n\nOtwo\n\n"
    assert "sample 2 of 1,000,000" in done.stderr


def test_an_idle_pipe_is_told_that_the_prompt_is_awaited(store: Store) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "shakegpt", "generate", "-n", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "Waiting for the prompt" in process.stderr.readline()
    stdout, stderr = process.communicate("ROMEO:", timeout=PATIENCE)
    assert (process.returncode, stderr) == (0, "")
    assert stdout.startswith("ROMEO:")
