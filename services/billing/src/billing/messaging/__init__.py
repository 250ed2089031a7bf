"""NATS: what billing says, hears and asks."""
