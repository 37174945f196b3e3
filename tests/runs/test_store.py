"""Runs and checkpoints by name."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from shakegpt.errors import CheckpointError, ShakegptError
from shakegpt.runs.manifest import read_manifest
from shakegpt.runs.run import Run, create_run
from shakegpt.runs.store import Store


def copy(run: Run, name: str, created: str) -> Run:
    """A second run, begun at another time."""
    other = create_run(run.path.with_name(name), replace(run.metadata, created=created))
    shutil.copytree(run.checkpoints_folder, other.checkpoints_folder, dirs_exist_ok=True)
    return other


def set_losses(run: Run, losses: dict[int, float | None]) -> None:
    for info in run.checkpoints():
        manifest = replace(read_manifest(info.path), val_loss=losses.get(info.step))
        (info.path / "manifest.json").write_bytes(manifest.to_json())


# Where


def test_the_default_store_is_the_users_home(private_surroundings: Path) -> None:
    assert Store.default().home == private_surroundings


def test_an_empty_store_is_no_error(tmp_path: Path) -> None:
    store = Store(tmp_path / "nowhere")
    assert store.runs() == []
    assert not store.home.exists()
    with pytest.raises(ShakegptError, match=r"There is no run lear; there are no runs yet: .*shakegpt train"):
        store.run("lear")
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        store.find("last")


# Runs


def test_runs_are_listed_newest_first_and_other_folders_skipped(store: Store, macbeth: Run) -> None:
    copy(macbeth, "later", "2999-01-01T00:00:00+00:00")
    copy(macbeth, "early", "1999-01-01T00:00:00+00:00")
    (store.runs_folder / "notes").mkdir()
    (store.runs_folder / "damaged").mkdir()
    (store.runs_folder / "damaged" / "run.json").write_text("{")
    (store.runs_folder / "link").symlink_to(macbeth.path)
    (store.runs_folder / ".early.1.tmp").mkdir()
    assert [run.name for run in store.runs()] == ["later", "macbeth", "early"]


def test_a_missing_run_is_an_error_that_names_the_others(store: Store) -> None:
    with pytest.raises(ShakegptError, match="There is no run lear; the runs here are macbeth"):
        store.run("lear")


@pytest.mark.parametrize("name", ["../macbeth", "", ".", "a b"])
def test_a_name_that_is_a_path_is_refused(store: Store, name: str) -> None:
    with pytest.raises(ShakegptError, match="cannot be called"):
        store.run(name)
    with pytest.raises(ShakegptError, match="cannot be called"):
        store.create(store.run("macbeth").metadata, name)


@pytest.mark.parametrize("name", ["last", "pretrained"])
def test_a_reserved_name_is_refused(store: Store, macbeth: Run, name: str) -> None:
    with pytest.raises(ShakegptError, match="meaning of its own"):
        store.create(macbeth.metadata, name)


def test_a_name_that_is_taken_is_refused(store: Store, macbeth: Run) -> None:
    with pytest.raises(ShakegptError, match=r"There is a run macbeth already; go on with it by --resume macbeth"):
        store.create(macbeth.metadata, "macbeth")
    with macbeth.lock(), pytest.raises(ShakegptError, match="is being trained by process"):
        store.create(macbeth.metadata, "macbeth")


def test_a_run_without_a_name_gets_a_free_one(store: Store, macbeth: Run) -> None:
    names = [store.create(macbeth.metadata).name for _ in range(40)]
    assert len({*names, "macbeth"}) == 41
    assert names[0] == "coriolanus"
    assert "coriolanus-2" in names


def test_a_store_that_cannot_be_written_is_an_error_with_a_way_out(tmp_path: Path, macbeth: Run) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ShakegptError, match=r"cannot be written.*SHAKEGPT_HOME"):
        Store(tmp_path / "file").create(macbeth.metadata)


def test_a_summary_is_the_row_of_a_list(store: Store, macbeth: Run) -> None:
    summary = store.summary(macbeth)
    assert (summary.name, summary.status, summary.step, summary.steps) == ("macbeth", "finished", 30, 30)
    assert summary.corpus == "demo"
    assert summary.checkpoints == len(macbeth.checkpoints()) >= 3
    best = macbeth.best()
    assert best is not None
    assert summary.best_val_loss == best.val_loss
    assert summary.bytes == sum(path.stat().st_size for path in macbeth.path.rglob("*") if path.is_file())


# References


def test_every_reference_finds_its_checkpoint(store: Store, macbeth: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    set_losses(macbeth, {20: 2.0, 30: 2.5})
    path = macbeth.checkpoint_path(20)
    steps = {
        "macbeth": 20,
        "macbeth@": 20,
        "macbeth@best": 20,
        "macbeth@last": 30,
        "macbeth@20": 20,
        "macbeth@30": 30,
        "last": 30,
        str(path): 20,
        f"{path}/": 20,
    }
    assert {reference: store.find(reference).step for reference in steps} == steps
    monkeypatch.chdir(path.parent)
    assert store.find(path.name).step == 20
    monkeypatch.chdir(path)
    assert store.find(".").step == 20


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("macbeth@21", "has no checkpoint 21; it has best, last and"),
        ("macbeth@worst", "has no checkpoint worst"),
        ("macbeth@\x1b[31m", r"has no checkpoint \\x1b\[31m"),
        ("lear", "There is no run lear"),
        ("", "cannot be called"),
        ("/nowhere/at/all", "is not a checkpoint"),
        ("pretrained@best", "There is no run pretrained; pretrained is the name of one checkpoint"),
    ],
)
def test_a_reference_that_names_nothing_is_an_error(store: Store, reference: str, message: str) -> None:
    with pytest.raises(ShakegptError, match=message):
        store.find(reference)


def test_a_run_without_a_checkpoint_has_none_to_find(store: Store, macbeth: Run) -> None:
    store.create(macbeth.metadata, "lear")
    with pytest.raises(CheckpointError, match="The run lear has no checkpoint yet"):
        store.find("lear")


def test_last_is_of_the_newest_run_that_has_one(store: Store, macbeth: Run) -> None:
    store.create(replace(macbeth.metadata, created="2999-01-01T00:00:00+00:00"), "empty")
    assert store.find("last").reference == "macbeth@30"
    copy(macbeth, "later", "2998-01-01T00:00:00+00:00")
    assert store.find("last").reference == "later@30"


def test_to_resume_a_runs_name_means_its_last(store: Store, macbeth: Run) -> None:
    set_losses(macbeth, {20: 2.0, 30: 2.5})
    assert store.read("macbeth")[0].step == 20
    assert store.read("macbeth", to_resume=True)[0].step == 30
    assert store.read("macbeth@20", to_resume=True)[0].step == 20


def test_a_checkpoint_that_is_read_is_verified(store: Store, macbeth: Run) -> None:
    path = macbeth.checkpoint_path(30) / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="does not match its SHA-256"):
        store.open("macbeth@30")


def test_a_damaged_last_is_skipped_with_a_warning_and_never_silently(store: Store, macbeth: Run) -> None:
    (macbeth.checkpoint_path(30) / "model.safetensors").write_bytes(b"")
    warnings: list[str] = []
    info, checkpoint = store.read("macbeth@last", warn=warnings.append)
    assert (info.step, checkpoint.manifest.step) == (25, 25)
    assert len(warnings) == 1
    assert "damaged" in warnings[0]
    with pytest.raises(CheckpointError):
        store.open("macbeth@last")
    with pytest.raises(CheckpointError):
        store.read("macbeth@30", warn=warnings.append)


def test_a_language_model_has_the_name_of_its_checkpoint(store: Store) -> None:
    language_model = store.language_model("macbeth@last")
    assert (language_model.name, language_model.step) == ("macbeth@30", 30)
    assert language_model.model.config.vocab_size == len(language_model.vocabulary)


# The default model


def test_the_default_is_the_newest_run_unless_the_pretrained_model_is_better(
    store: Store, macbeth: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_losses(macbeth, {20: 2.0, 30: 2.5})
    shipped = tmp_path / "shipped"
    monkeypatch.setattr("shakegpt.runs.store.asset_path", lambda _: shipped)
    shutil.copytree(macbeth.checkpoint_path(20), shipped)
    for pretrained_loss, default in ((1.9, "pretrained"), (2.0, "macbeth@20"), (2.1, "macbeth@20")):
        manifest = replace(read_manifest(shipped), val_loss=pretrained_loss)
        (shipped / "manifest.json").write_bytes(manifest.to_json())
        assert store.default_reference() == default
    macbeth.remove()
    assert store.default_reference() == "pretrained"
    assert store.find("pretrained").path == shipped


def test_a_run_on_another_text_is_not_the_default_however_low_its_loss(
    store: Store, macbeth: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_losses(macbeth, {20: 0.5})
    shipped = tmp_path / "shipped"
    monkeypatch.setattr("shakegpt.runs.store.asset_path", lambda _: shipped)
    shutil.copytree(macbeth.checkpoint_path(20), shipped)
    (shipped / "manifest.json").write_bytes(replace(read_manifest(shipped), val_loss=1.4).to_json())
    for sha256, default in ((macbeth.metadata.corpus_sha256, "macbeth@20"), ("0" * 64, "pretrained")):
        text = (macbeth.path / "run.json").read_text()
        (shipped / "run.json").write_text(text.replace(macbeth.metadata.corpus_sha256, sha256))
        assert store.default_reference() == default


def test_an_installation_without_a_pretrained_model_is_no_crash(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> Path:
        raise FileNotFoundError

    monkeypatch.setattr("shakegpt.runs.store.asset_path", absent)
    assert store.default_reference().startswith("macbeth@")
    with pytest.raises(CheckpointError, match="no pretrained model; train one"):
        store.find("pretrained")
