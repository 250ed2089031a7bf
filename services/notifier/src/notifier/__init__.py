"""Tells people what happened to their tokens."""
