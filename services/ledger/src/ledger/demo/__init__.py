"""History that never was, made by the commands of the live path."""
