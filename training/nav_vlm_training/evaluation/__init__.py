"""How right a model's answers are: read a data set, answer it, judge it, compare with baselines, show it."""
