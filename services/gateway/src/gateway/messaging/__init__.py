"""Reservations and usage over NATS."""
