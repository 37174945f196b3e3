"""How good a model is: its loss over a text, and how much of the text it repeats by heart.

In: a model and token ids. Out: figures in nats per character.
"""
