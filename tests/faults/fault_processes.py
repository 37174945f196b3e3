"""Fresh processes for a test to start and to wait for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

from tests.processes import PATIENCE

Start = Callable[..., ForkServerProcess]


@contextmanager
def starting(server: ForkServerContext) -> Iterator[Start]:
    """Yield what begins processes, none of which outlives the block."""
    processes: list[ForkServerProcess] = []

    def begin(target: Callable[..., None], *arguments: Any, **options: Any) -> ForkServerProcess:
        process = server.Process(target=target, args=arguments, kwargs=options)
        process.start()
        processes.append(process)
        return process

    yield begin
    for process in processes:
        if process.is_alive():
            process.kill()
        process.join()
        process.close()


def end_all(processes: Sequence[ForkServerProcess]) -> list[int]:
    """Wait for processes and return their exit codes."""
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode is not None, "a process did not end"
    return [process.exitcode for process in processes if process.exitcode is not None]
