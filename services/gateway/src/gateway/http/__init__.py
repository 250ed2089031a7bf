"""The ASGI edge: bytes in, bytes out."""
