"""Pure rules: what an order is, and what facts about its payment make of it."""
