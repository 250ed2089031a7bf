"""The embedded run."""
