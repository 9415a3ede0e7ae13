"""Drift: whether figures of the last days moved away from those of the days before, and what is made of that."""
