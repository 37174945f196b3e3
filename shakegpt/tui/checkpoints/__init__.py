"""The checkpoint screen: every run of the store, and what can be done with it."""
