"""What operators do with the ledger: read, administer, verify, rebuild, publish again, seed."""
