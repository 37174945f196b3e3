"""Errors that the user can do something about."""


class ShakegptError(Exception):
    """An error whose message is one sentence: what is wrong, and what to do. Exit code 1."""

    exit_code = 1


class UsageError(ShakegptError):
    """The request itself is wrong. Exit code 2."""

    exit_code = 2


class UnknownCharacterError(UsageError):
    """A text has a character that the model does not know.

    Args:
        character: as messages name it.
        position: in the text, from 1.
        known: what the model knows, in a few words.
    """

    def __init__(self, character: str, position: int, known: str) -> None:
        super().__init__(f"The model has never seen {character}, character {position} of the text; it knows {known}.")
        self.character = character
        self.known = known


class CorpusError(ShakegptError):
    """A text that cannot be found, downloaded, read or split."""


class CheckpointError(ShakegptError):
    """A checkpoint that is missing, damaged, or from a newer shakegpt."""


class RunBusyError(ShakegptError):
    """Another process is writing the run that this one wants to write."""


def error_reason(error: Exception) -> str:
    """Return what went wrong, in the system's words where it has some."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def describe_failure(error: Exception) -> str:
    """Return the message for an error that ended a training."""
    if isinstance(error, ShakegptError):
        return str(error)
    return f"The training ended unexpectedly ({type(error).__name__}: {error}); its checkpoints are whole."
