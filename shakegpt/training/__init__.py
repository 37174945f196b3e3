"""The training loop and its parts: gradients, optimizer, schedule, recovery, saving, and the thread it runs on.

In: a run, a configuration and a corpus. Out: events, one after another, and checkpoints in the run.
"""
