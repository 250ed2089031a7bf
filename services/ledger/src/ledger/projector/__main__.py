"""`python -m ledger.projector`."""

from ledger.projector.main import main

main()
