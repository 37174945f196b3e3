"""The formats of other programs: Hugging Face, GGUF, TensorBoard, and plots.

In: a checkpoint, or a run and its events. Out: files that those programs read.
"""
