"""Use cases: ask Stripe with no transaction open, let the domain decide, store it in one."""
