"""Inside the model: what each head attends to, what each layer would say, who votes for a character, and muted heads.

In: a model with its vocabulary, and a text. Out: a ``Trace`` of numpy arrays, scores of the heads, and muted copies.
"""
