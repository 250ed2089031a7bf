"""Carries commands to decisions and decisions to Postgres."""
