"""The rules of an account, pure: no I/O, no clock, no ids of their own, no logging."""
