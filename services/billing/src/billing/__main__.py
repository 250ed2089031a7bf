"""`python -m billing` runs the service."""

from billing.main import main

main()
