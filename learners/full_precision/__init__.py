"""Ordinary training: the baseline, and the model that the other learners compress."""
