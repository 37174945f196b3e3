"""``shakegpt presets``."""

from shakegpt.config import PRESETS
from shakegpt.runs.store import Store
from tests.cli.cli_results import Invoke, objects


def test_presets_are_listed_with_their_time_where_a_run_has_shown_it(store: Store, invoke: Invoke) -> None:
    (result,) = objects(invoke("presets", "--json").stdout)
    rows = {row["name"]: row for row in result["presets"]}
    assert list(rows) == list(PRESETS)
    assert rows["mini"]["model"]["d_model"] == 256
    assert rows["mini"]["training"]["learning_rate"] == 2e-3
    assert rows["nano"]["seconds"] > 0  # the run of the store is one
    assert rows["gpt2"]["seconds"] is None
    lines = invoke("presets").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(PRESETS)
    assert lines[1].split()[1:3] == ["1.6", "M"]
