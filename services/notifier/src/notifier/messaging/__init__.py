"""NATS: what is heard of the ledger, and what it is asked."""
