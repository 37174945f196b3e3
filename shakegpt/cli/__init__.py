"""The command line: parse, call, print. Nothing here imports torch or Textual until a command needs it."""

from shakegpt.cli.app import main

__all__ = ["main"]
