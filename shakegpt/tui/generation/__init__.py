"""The generation screen: text that a model writes, and the knobs that shape it."""
