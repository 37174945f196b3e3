"""The full-screen app: three screens that show training, speak, and keep the checkpoints."""
