"""Scores of a model, beside what counting reaches on the same bases."""
