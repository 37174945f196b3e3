"""A signal takes effect whatever blocks the main thread; tests/faults shows what it does to a run."""

import subprocess
import sys

CODE = """
import queue, signal, sys, threading
from shakegpt.system.signals import ShutdownHandler

shutdown = ShutdownHandler(stop=lambda: print("stop", flush=True), await_end=lambda: None)
shutdown.install()


def send():
    threading.Event().wait(0.2)  # by now the main thread is most likely in the last line; the test passes if it is not
    # The system may deliver a signal to any thread, which does not wake the main one.
    signal.pthread_kill(threading.get_ident(), signal.Signals[sys.argv[1]])


threading.Thread(target=send).start()
"""


def run(last_line: str, name: str) -> tuple[int, str]:
    """Send a signal to a process whose main thread is in its last line; return its exit code and output."""
    command = [sys.executable, "-c", CODE + last_line, name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_process_whose_main_thread_is_blocked_ends() -> None:
    assert run("queue.SimpleQueue().get()", "SIGTERM") == (143, "stop\n")
    assert run("queue.SimpleQueue().get()", "SIGINT") == (130, "stop\n")


def test_the_main_thread_chooses_the_exit_code_where_it_ends_in_time() -> None:
    assert run("shutdown._finished.set(); shutdown._await_end(); sys.exit(3)", "SIGTERM")[0] == 3


def test_a_hang_up_detaches_and_ends_nothing() -> None:
    assert run("while not shutdown.detached: pass", "SIGHUP") == (0, "")


def test_a_process_ends_while_a_daemon_thread_is_inside_torch() -> None:
    # With sys.exit instead of end_process, this process aborts.
    code = """
import threading, torch
from shakegpt.system.signals import end_process


def multiply():
    matrix = torch.ones(64, 64)
    while True:
        matrix @ matrix
        busy.set()


busy = threading.Event()
for _ in range(2):
    threading.Thread(target=multiply, daemon=True).start()
busy.wait()
print("saved", flush=True)
end_process(3)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stdout, done.stderr) == (3, "saved\n", "")
