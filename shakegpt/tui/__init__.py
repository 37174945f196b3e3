"""The full-screen app, which ``terminal.open_app`` runs.

``app.py`` holds the training and the keys that work everywhere; each folder is a screen, or what two of them share. A
screen gets an ``AppContext``, is shown ``Snapshot``s, and asks the app by the messages of ``messages.py``.
"""
