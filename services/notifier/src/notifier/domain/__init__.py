"""The pure part: which event tells whom what, when a notice is too old, when a failed one is tried again."""
