"""The store: runs, checkpoints, event logs, snapshots, and the lock of the one process that writes a run.

In: the events and the state of a training. Out: files that are whole or absent, snapshots, verified checkpoints.
"""
