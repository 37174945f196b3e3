"""Texts: the catalog of known ones, a corpus with its split, its vocabulary, and batches of token ids.

In: the name or the path of a text. Out: a ``Corpus`` whose ``train`` and ``validation`` are token ids, (N,).
"""
