"""From logits to characters: filters, cached decoding, and streams.

In: a model with its vocabulary, a prompt, and settings that may change at any time. Out: one character after another.
"""
