"""What ``shakegpt bench`` measures: shakegpt, the limits of the machine, and the same model in transformers.

In: a device, a precision and a preset. Out: speeds, ratios and memory, as one JSON object.
"""
