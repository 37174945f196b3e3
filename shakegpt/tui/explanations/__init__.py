"""What the figures on the screens mean: numbers of a run or a text in, a few plain sentences with them out."""
