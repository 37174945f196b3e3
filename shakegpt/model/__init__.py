"""The GPT: its forward pass, attention and dropout.

In: token ids, (B, T). Out: logits, (B, T, V).
"""
