"""The GPT: its one forward pass, with attention, dropout and a cache of keys and values.

In: token ids, (B, T). Out: logits, (B, T, V).
"""
