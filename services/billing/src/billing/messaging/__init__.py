"""NATS: what billing says."""
