"""The store: runs, checkpoints, event logs, snapshots, and the lock that one writer holds.

In: events and the state of a training. Out: files that are whole or absent, and what they say.
"""
