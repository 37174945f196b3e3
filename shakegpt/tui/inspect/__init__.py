"""The inspect screen: what happens inside the model that reads a text, while it speaks and while it trains."""
