"""Sells credits and plans: orders, payments and the conversation with Stripe."""
