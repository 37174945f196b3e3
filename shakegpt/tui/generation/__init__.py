"""The generation screen.

In: the store's models and the weights in training, a prompt, and the keys that turn the sampling settings. Out: text on
the screen as it is generated, as a single text, a duel of two or a scene, to be copied and saved.
"""
