"""What is measured: the whole path, the ledger alone, folding, replay, and a burst of webhooks."""
