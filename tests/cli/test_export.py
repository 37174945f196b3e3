"""``shakegpt export`` and ``shakegpt import``: what a directory says of where its weights come from."""

import json
from pathlib import Path

import pytest

from shakegpt.data.catalog import TINY_SHAKESPEARE, TINY_SHAKESPEARE_SHA256
from shakegpt.runs.store import Store
from tests.cli.cli_results import Invoke


@pytest.mark.parametrize("by_path", [False, True], ids=["by name", "by path"])
def test_an_export_names_the_text_of_its_run(store: Store, invoke: Invoke, tmp_path: Path, by_path: bool) -> None:
    metadata = store.run("macbeth").metadata
    reference = str(store.find("macbeth").path) if by_path else "macbeth"
    assert invoke("export", reference, str(tmp_path / "hf")).exit_code == 0
    origin = json.loads((tmp_path / "hf" / "config.json").read_text())["shakegpt"]
    assert (origin["corpus"], origin["corpus_sha256"]) == ("demo", metadata.corpus_sha256)
    assert (tmp_path / "hf" / "README.md").read_text().startswith("---\nlanguage:")


def test_the_export_of_the_model_that_ships_names_its_text(store: Store, invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("export", "pretrained", str(tmp_path / "hf")).exit_code == 0
    assert invoke("import", str(tmp_path / "hf"), "--run", "back").exit_code == 0
    metadata = store.run("back").metadata
    assert (metadata.corpus, metadata.corpus_sha256) == (TINY_SHAKESPEARE, TINY_SHAKESPEARE_SHA256)
