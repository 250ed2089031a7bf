"""Who is measured: the upstream, the bare pass-through, LiteLLM, and the whole stack."""
