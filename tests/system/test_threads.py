"""Threads that share work, and a process that is left as it was found."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from shakegpt.system.threads import ThreadPool, configure_process, torch_threads

IN_A_NOTEBOOK = """
import threading, torch, shakegpt

torch.set_num_threads(3)

def check():
    for_a_new_thread = []
    thread = threading.Thread(target=lambda: for_a_new_thread.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert (torch.get_num_threads(), *for_a_new_thread) == (3, 3)

shakegpt.load("pretrained").generate("A", length=5, seed=1)
check()
for event in shakegpt.train(preset="nano", corpus="demo", run="a", steps=2, eval_every=1, sample_length=3):
    check()
assert event.outcome == "finished"
check()
"""


def test_the_package_leaves_a_process_as_it_found_it(private_surroundings: Path) -> None:
    """Torch's thread count is what it was after generating and between training steps, for threads to come too."""
    done = subprocess.run(
        [sys.executable, "-c", IN_A_NOTEBOOK], env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_process_of_our_own_computes_on_one_torch_thread_per_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    configure_process()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"  # or cuBLAS may give other bytes for the same product
    with ThreadPoolExecutor(1) as executor:
        assert (torch.get_num_threads(), executor.submit(torch.get_num_threads).result()) == (1, 1)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_pool_computes_on_one_core_a_thread_and_answers_in_order(size: int) -> None:
    def work(item: int) -> tuple[int, int, str]:
        return item, torch.get_num_threads(), threading.current_thread().name

    with torch_threads(2):
        results = ThreadPool(size).map(work, range(7))
        assert torch.get_num_threads() == 2
    assert [result[:2] for result in results] == [(item, 1) for item in range(7)]
    assert all((name == threading.current_thread().name) == (size == 1) for *_, name in results)


@pytest.mark.parametrize("size", [1, 2])
def test_the_first_error_of_the_work_is_raised(size: int) -> None:
    def work(item: int) -> int:
        if item >= 2:
            raise ValueError(str(item))
        return item

    with torch_threads(2):
        with pytest.raises(ValueError, match="2"):
            ThreadPool(size).map(work, range(5))
        assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("size", "count"), [(1, 5), (2, 5), (3, 2), (4, 0)])
def test_a_range_is_split_evenly(size: int, count: int) -> None:
    parts = ThreadPool(size).split(count)
    assert [item for part in parts for item in part] == list(range(count))
    assert len(parts) == max(1, min(size, count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
