"""Postgres and NATS: their files, their programs, and who may do what on them."""
