"""The official SDK behind structs of our own; nothing else imports it."""
