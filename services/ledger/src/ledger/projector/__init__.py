"""The process that keeps projections up with the log: `python -m ledger.projector`."""
