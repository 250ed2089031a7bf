"""The tables of subscriptions and of auto top-up."""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, DateTime, ForeignKey, Identity, Integer, String, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from billing.store.tables import metadata, orders

subscriptions: Final = Table(
    "subscriptions",
    metadata,
    Column("id", String(255), primary_key=True),  # Stripe's
    Column("version", Integer, nullable=False),
    Column("account_id", String(128), nullable=False),
    Column("payer_id", String(128)),  # NULL: the account itself pays
    Column("order_id", String(64), ForeignKey(orders.c.id), nullable=False),
    Column("customer_id", String(255), nullable=False),
    Column("status", String(24), nullable=False),  # Stripe's word
    Column("standing", String(16), nullable=False),
    Column("plan", String(64)),  # what it gives now; NULL: nothing
    Column("given_starts_at", DateTime(timezone=True)),
    Column("given_ends_at", DateTime(timezone=True)),
    Column("told_starts_at", DateTime(timezone=True)),
    Column("reminders", Integer, nullable=False),
    Column("reminded_ends_at", DateTime(timezone=True)),
    Column("cancel_at", DateTime(timezone=True)),
    Column("revision", Integer, nullable=False),
    Column("doubt", String(32)),
    Column("look_due_at", DateTime(timezone=True)),  # when the sweep looks anew; NULL: only if Stripe says so
    Column("looked_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)
"""One row a subscription; of those of one account, one at most has a plan (an index holds it)."""
subscription_changes: Final = Table(
    "subscription_changes",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("subscription_id", String(255), ForeignKey(subscriptions.c.id), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("what", String(64), nullable=False),
    Column("who", String(160), nullable=False),
    Column("why", Text),
    Column("details", JSONB, nullable=False),
)
"""The life of a subscription, as `order_changes` are that of an order."""
subscription_invoices: Final = Table(
    "subscription_invoices",
    metadata,
    Column("id", String(255), primary_key=True),  # Stripe's
    Column("subscription_id", String(255), ForeignKey(subscriptions.c.id), nullable=False),
    Column("status", String(24), nullable=False),  # Stripe's word
    Column("plan", String(64)),
    Column("starts_at", DateTime(timezone=True)),
    Column("ends_at", DateTime(timezone=True)),
    Column("due_minor", BigInteger, nullable=False),
    Column("paid_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False),
    Column("disputed", Boolean, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("payment_intent_id", String(255)),
    Column("first_seen_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)
"""What was asked for and paid for subscriptions, as the last look found it: the record of their payments."""
top_ups: Final = Table(
    "top_ups",
    metadata,
    Column("account_id", String(128), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("is_on", Boolean, nullable=False),
    Column("payer_id", String(128)),
    Column("package_id", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("below_tokens", BigInteger, nullable=False),
    Column("monthly_cap_minor", BigInteger, nullable=False),
    Column("paused_for", String(32)),
    Column("set_by", String(160), nullable=False),
    Column("set_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("look_due_at", DateTime(timezone=True)),
)
"""One row for each account that ever had auto top-up set."""
ONE_GIVING: Final = "subscriptions_giving"
"""The index that holds it."""
