"""Decides every call and owns the event log."""
