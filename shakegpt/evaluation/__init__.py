"""How good a model is: its loss over a text, and how much of its training text it repeats word for word.

In: a model and token ids, or texts. Out: losses in nats per character, and shares.
"""
