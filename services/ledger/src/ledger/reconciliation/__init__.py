"""Compares what others say of the calls with the log: LiteLLM call by call, providers by day and model."""
