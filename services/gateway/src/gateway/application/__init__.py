"""The life of one metered call, from its body to its record."""
