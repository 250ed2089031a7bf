"""`python -m notifier` runs the service."""

from notifier.main import main

main()
