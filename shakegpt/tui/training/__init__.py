"""The training screen, which shows snapshots of a run and sends it commands, and the form that starts a run."""
