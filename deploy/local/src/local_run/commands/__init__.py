"""What `make` runs against a running stack."""
