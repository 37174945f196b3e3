"""The chart screen: the curves of one run, or of several over each other."""
