"""shakegpt from Python."""

import inspect
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import torch

import shakegpt
from shakegpt import api
from shakegpt.config import SHAPE_FIELDS, SamplingConfig, TrainingConfig
from shakegpt.data.corpus import Corpus
from shakegpt.errors import CheckpointError, CorpusError, ShakegptError, UsageError
from shakegpt.events import Finished, Started, Step
from shakegpt.runs.store import Store


def test_importing_the_package_imports_no_torch() -> None:
    code = (
        "import sys, shakegpt; from shakegpt import ShakegptError; shakegpt.__version__; dir(shakegpt)\n"
        "assert 'torch' not in sys.modules and 'textual' not in sys.modules and 'typer' not in sys.modules\n"
        "shakegpt.load; shakegpt.Model; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_everything_public_is_there_documented_and_typed() -> None:
    assert set(shakegpt.__all__) <= set(dir(shakegpt))
    for name in ("load", "train"):
        function = getattr(shakegpt, name)
        assert inspect.getdoc(function)
        signature = inspect.signature(function)
        annotations = [parameter.annotation for parameter in signature.parameters.values()]
        assert inspect.Parameter.empty not in [*annotations, signature.return_annotation]
    for kind in (shakegpt.Model, shakegpt.Training):
        for name, member in vars(kind).items():
            if not name.startswith("_"):
                assert inspect.getdoc(member), f"{kind.__name__}.{name}"


def test_a_name_it_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        shakegpt.lode  # noqa: B018


def test_a_loaded_model_generates_streams_and_evaluates(store: Store) -> None:
    model = shakegpt.load("macbeth")
    text = model.generate("ROMEO:", length=50, temperature=0.8, seed=1)
    assert len(text) == 50
    assert text == model.generate("ROMEO:", length=50, temperature=0.8, seed=1)
    assert text == "".join(model.stream("ROMEO:", length=50, temperature=0.8, seed=1))
    assert text != model.generate("ROMEO:", length=50, temperature=0.8, seed=2)
    loss = model.evaluate("demo")
    assert loss.nats == pytest.approx(store.find("macbeth").val_loss, abs=1e-5)
    assert loss.perplexity > 1
    assert model.name == store.find("macbeth").reference
    assert (model.config.vocab_size, set(text) <= set(model.characters)) == (len(model.characters), True)
    assert "macbeth" in repr(model)


def test_a_stream_writes_one_character_at_a_time_and_stops(store: Store) -> None:
    model = shakegpt.load("macbeth")
    stream = model.stream("ROMEO:", length=1000, temperature=0)
    assert len(next(stream)) == 1
    whole = model.generate("ROMEO:", length=200, temperature=0)
    stop = whole[10:12]
    assert model.generate("ROMEO:", length=200, temperature=0, stop=stop) == whole[: whole.find(stop)]
    assert model.generate("ROMEO:", length=200, temperature=0, stop=[stop]) == whole[: whole.find(stop)]


def test_several_samples_come_as_a_list(store: Store) -> None:
    model = shakegpt.load("macbeth")
    options: shakegpt.SamplingOptions = {"length": 30, "temperature": 1.5, "seed": 4}
    texts = model.generate("ROMEO:", samples=3, **options)
    assert len(texts) == len(set(texts)) == 3
    assert texts[0] == model.generate("ROMEO:", **options)
    assert model.generate("ROMEO:", samples=1, **options) == texts[:1]


def test_a_text_or_a_file_is_evaluated(store: Store, tmp_path: Path, demo: Corpus) -> None:
    model = shakegpt.load("macbeth")
    (tmp_path / "demo.txt").write_text(demo.text)
    (tmp_path / "windows.txt").write_bytes(b"\xef\xbb\xbf" + demo.text.replace("\n", "\r\n").encode())
    whole = model.evaluate(text=demo.text)
    assert whole.characters == len(demo.text) - 1
    assert whole == model.evaluate("demo", split="all") == model.evaluate(tmp_path / "windows.txt", split="all")
    assert model.evaluate(str(tmp_path / "demo.txt")) == model.evaluate("demo")
    short = model.evaluate(text="To")
    assert short.characters == 1
    with pytest.raises(UsageError, match="at least two characters"):
        model.evaluate(text="T")
    with pytest.raises(UsageError, match="has never seen"):
        model.evaluate(text="Tö")


def test_the_process_is_left_as_it_was(store: Store) -> None:
    torch.set_num_threads(3)
    model = shakegpt.load("macbeth")
    model.generate("A", length=5)
    next(stream := model.stream("A", length=5))
    model.evaluate("demo")
    for event in shakegpt.train(preset="nano", corpus="demo", run="hamlet", steps=2, sample_length=3):
        assert torch.get_num_threads() == 3, event
    list(stream)
    assert torch.get_num_threads() == 3


def test_no_global_random_state_moves(store: Store) -> None:
    def states() -> tuple[object, ...]:
        return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()

    before = states()
    model = shakegpt.load("macbeth")
    assert states() == before
    model.generate("A", length=5)
    list(model.stream("A", length=5))
    model.evaluate("demo")
    assert states() == before
    for _ in shakegpt.train(preset="nano", corpus="demo", run="hamlet", steps=2, sample_length=3, dropout=0.1):
        assert states() == before


def test_a_checkpoint_folder_can_be_loaded_by_path(store: Store) -> None:
    path = store.find("macbeth").path
    assert shakegpt.load(path).generate(length=5, seed=1) == shakegpt.load("macbeth").generate(length=5, seed=1)


def test_a_training_yields_events_and_ends_in_a_model(private_surroundings: Path) -> None:
    training = shakegpt.train(preset="nano", corpus="demo", run="hamlet", steps=4, eval_every=2, sample_length=0)
    events = list(training)
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    assert [event.step for event in events if isinstance(event, Step)] == [1, 2, 3, 4]
    assert training.run.name == "hamlet"
    assert len(training.model().generate(length=7)) == 7
    training.close()


def test_a_closed_training_is_saved_and_can_be_resumed(private_surroundings: Path) -> None:
    training = shakegpt.train(preset="nano", corpus="demo", run="hamlet", steps=6, sample_length=0)
    for event in training:
        if isinstance(event, Step) and event.step == 3:
            break
    training.close()
    training.close()
    assert Store(private_surroundings).find("hamlet@last").step == 3
    assert shakegpt.train(resume="hamlet").model().name == "hamlet@6"


def test_leaving_a_with_block_saves_and_stops(private_surroundings: Path) -> None:
    with shakegpt.train(preset="nano", corpus="demo", run="hamlet", steps=6, sample_length=0) as training:
        for event in training:
            if isinstance(event, Step) and event.step == 3:
                break
    run = Store(private_surroundings).run("hamlet")
    assert (run.status(), run.is_locked()) == ("stopped", False)
    assert list(training) == []
    assert training.model().name == "hamlet@3"


def test_an_error_inside_a_with_block_saves_too_and_is_raised(private_surroundings: Path) -> None:
    def fail_after_a_step() -> None:
        with shakegpt.train(preset="nano", corpus="demo", run="hamlet", steps=6, sample_length=0) as training:
            for event in training:
                if isinstance(event, Step):
                    raise KeyError(event.step)

    with pytest.raises(KeyError):
        fail_after_a_step()
    assert Store(private_surroundings).find("hamlet@last").step == 1


def test_a_training_that_was_closed_before_it_began_can_be_resumed(private_surroundings: Path) -> None:
    with shakegpt.train(preset="nano", corpus="demo", run="hamlet", steps=2, sample_length=0):
        pass
    assert Store(private_surroundings).run("hamlet").status() == "stopped"
    assert shakegpt.train(resume="hamlet").model().name == "hamlet@2"


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda: shakegpt.load("othello"), ShakegptError, "There is no run othello"),
        (lambda: shakegpt.load("macbeth@77"), CheckpointError, "no checkpoint 77"),
        (lambda: shakegpt.load("macbeth").generate("☂"), UsageError, "has never seen"),
        (lambda: shakegpt.load("macbeth").generate(temperature=-1), UsageError, "Temperature"),
        (lambda: shakegpt.load("macbeth").generate(tempreature=1), UsageError, "no setting 'tempreature'"),
        (lambda: shakegpt.load("macbeth").generate(stop=3), UsageError, "stop must be"),
        (lambda: shakegpt.load("macbeth").evaluate("nowhere.txt"), CorpusError, "There is no corpus"),
        (lambda: shakegpt.load("macbeth").evaluate("demo", split="test"), UsageError, "validation, train or all"),
        (lambda: shakegpt.train(preset="huge"), UsageError, "no preset"),
        (lambda: shakegpt.train(steps=0), UsageError, "number of steps"),
        (lambda: shakegpt.train(resume="macbeth", preset="nano", steps=99), UsageError, "keeps its preset"),
        (lambda: shakegpt.train(resume="macbeth", encoding="latin-1", steps=99), UsageError, "reads its own text"),
        (lambda: shakegpt.train(stepps=5), UsageError, "no option 'stepps'"),
    ],
)
def test_what_a_caller_can_correct_is_an_error_of_one_sentence(
    store: Store, use: "object", error: type[ShakegptError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        use()  # type: ignore[operator]
    assert isinstance(caught.value, shakegpt.ShakegptError)
    assert "\n" not in str(caught.value)


def test_the_example_of_the_module_runs(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """The code of the module's docstring, with a run of the test's own."""
    lines = [line[4:] for line in (api.__doc__ or "").splitlines() if line.startswith("    ")]
    code = "\n".join(lines).replace('"pretrained"', '"macbeth"')
    exec(compile(code, "notebook", "exec"), {})
    assert len(capsys.readouterr().out) > 500


@pytest.mark.parametrize(
    ("options", "config", "others"),
    [
        (shakegpt.TrainingOptions, TrainingConfig, {"dropout": float, **dict.fromkeys(SHAPE_FIELDS, int)}),
        (shakegpt.SamplingOptions, SamplingConfig, {"stop": str | Sequence[str]}),
    ],
)
def test_the_typed_options_are_the_fields_of_the_configuration(
    options: type, config: type, others: dict[str, object]
) -> None:
    hints = get_type_hints(config)
    assert get_type_hints(options) == {field.name: hints[field.name] for field in fields(config)} | others
