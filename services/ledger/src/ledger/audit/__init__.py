"""Checks the log and what was made of it against each other, and puts right what differs from the events."""
