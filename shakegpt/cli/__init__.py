"""The command line, one module a command. In: arguments and ``config.toml``. Out: results, notes and an exit code.

Nothing here imports torch or Textual before a command needs it.
"""

from shakegpt.cli.app import main

__all__ = ["main"]
