"""NATS: requests become commands, usage becomes commands, stored events become messages."""
