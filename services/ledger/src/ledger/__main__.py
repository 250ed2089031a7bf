"""`python -m ledger`."""

from ledger.main import main

main()
