"""Invents history: accounts with weeks of plausible usage, made by the commands of the live path."""
