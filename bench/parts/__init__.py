"""What is measured: the whole path, the ledger alone, folding, and replay."""
