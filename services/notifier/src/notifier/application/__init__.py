"""Sends what waits: who writes to whom and when, and how each mail ends."""
