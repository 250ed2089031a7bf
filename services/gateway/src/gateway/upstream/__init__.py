"""The OpenAI-compatible server behind the gateway."""
