"""How good a model is: its loss over a text, at each position and for each character; what tables of characters reach;
how much of its training text it repeats word for word.

In: a model and token ids, or texts. Out: losses in nats per character, log-probabilities, and shares.
"""
