"""What LiteLLM tells of calls, our own side of them, and what a comparison came to."""
