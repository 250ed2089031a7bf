"""A client of core NATS for the data path: it adds little to a message, and buffers nothing while disconnected."""
