"""Mails: their words, their look, their way to the server."""
