"""The demo's HTTP: Stripe's API, the pages for people, and what steers the demo."""
