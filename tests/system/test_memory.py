from shakegpt.system.memory import process_memory


def test_this_process_holds_memory() -> None:
    held = process_memory()
    assert held is not None
    assert 10_000_000 < held < 1e12
