"""A Stripe without money: stateful, over HTTP, checked against the official SDK's own types.

A program talks to `/v1/…` with the official SDK. A parameter that the SDK's types do not name is refused, and so is one
that they name and the demo does not do. A person pays on the pages below `/c`. What follows steers it; bodies are JSON:

| request | does |
|---|---|
| `POST <checkout_url>/pay {"method": "card|pix|boleto", "outcome": "paid|declined|later|expired"}` | a button |
| `POST /demo/payments/<pi>/complete {"outcome": "paid|failed"}` | what was to be paid later is paid, or lapses |
| `POST /demo/clock {"advance_seconds": n}` | moves its clock; all that is due by then happens |
| `POST /demo/cards {"next": "ok|declined|authentication_required", "times": 1}` | how the next cards end |
| `POST /demo/refunds {"next": "succeeded|pending|failed", "times": 1}` | how the next refunds end |
| `POST /demo/refunds/<re>/complete {"outcome": "succeeded|failed"}` | ends one |
| `POST /demo/disputes {"payment_intent": pi, "status": "needs_response|warning_needs_response", "amount": n}` | one |
| `POST /demo/disputes/<du> {"status": "under_review|won|lost|…"}` | moves it on |
| `POST /demo/fraud_warnings {"payment_intent": pi}` | an early warning of a card network |
| `POST /demo/deliveries {"mode": "normal|drop|repeat|delay|reorder", "seconds": 5}` | how events are delivered |
| `POST /demo/events/<evt>/send` | delivers one again |
| `POST /demo/faults {"mode": "none|slow|down|lost", "times": 1, "seconds": 1, "only": "POST"}` | what goes wrong |
| `GET /demo` | what stands, the last events and deliveries |
"""
