"""Train a GPT from scratch in a terminal, watch it learn, and hear it speak Shakespeare."""

__version__ = "0.1.0"
