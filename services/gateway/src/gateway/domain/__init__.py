"""What a call is worth and how it is told, without any I/O."""
