"""``shakegpt`` and ``python -m shakegpt``: where the process begins."""

import os
import signal


def main() -> None:
    """Run the command line; an interrupt while it is still being imported ends the process without a traceback."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # otherwise the process was started to ignore it
        signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    from shakegpt.cli import main as run

    signal.signal(signal.SIGINT, before)
    run()


if __name__ == "__main__":
    main()
