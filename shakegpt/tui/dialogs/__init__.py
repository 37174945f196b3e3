"""Modal screens: each asks one thing and returns the answer, or ``None`` where the user goes back."""
