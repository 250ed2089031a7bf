"""Checkpoints: what the log was at some position, signed with a key that the database does not have; kept elsewhere.

A document has two lines of JSON and a body: the statement, its signature, and the heads of all accounts, compressed.
"""
