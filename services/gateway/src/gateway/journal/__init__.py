"""Usage on disk until JetStream has it."""
