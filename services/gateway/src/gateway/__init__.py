"""Thin metering gateway between a chat client and an OpenAI-compatible upstream."""
