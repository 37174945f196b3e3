"""What ``shakegpt bench`` measures, beside the limits of the machine and the same model in transformers.

In: nothing but the machine. Out: medians, as one JSON object.
"""
