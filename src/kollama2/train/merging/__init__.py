"""Merging: a new model from the weights of others, without training."""
