"""What can go wrong for a reason that the user can act on."""


class ShakegptError(Exception):
    """A fail told in one sentence: what is wrong, and what to do. Exit code 1."""

    exit_code = 1


class UsageError(ShakegptError):
    """The request itself cannot be carried out as it is written. Exit code 2."""

    exit_code = 2


class CorpusError(ShakegptError):
    """A text that cannot be found, fetched, read or split."""


class CheckpointError(ShakegptError):
    """A checkpoint that is missing, damaged, or from a newer shakegpt."""


class RunBusyError(ShakegptError):
    """Another process holds the run that this one wants to write."""


def describe_failure(error: Exception) -> str:
    """Return what to say of an error that ended a training."""
    if isinstance(error, ShakegptError):
        return str(error)
    return f"The training ended unexpectedly ({type(error).__name__}: {error}); its checkpoints are whole."
