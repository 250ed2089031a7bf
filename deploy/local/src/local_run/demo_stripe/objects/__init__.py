"""What the demo knows of each of Stripe's objects, a module a noun."""
