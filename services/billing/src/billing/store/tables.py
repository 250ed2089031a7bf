"""Billing's tables: orders and their life, what Stripe told, what billing says; who consumes has inbox and letters."""

from typing import Final

from chassis.dead_letters import DeadLetters, dead_letters_table
from chassis.inbox import inbox_table
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

SERVICE: Final = "billing"
WEBHOOK_CONSUMER: Final = "billing-webhook"
"""Under this name stand Stripe's events that could not be handled among the dead letters."""

metadata = MetaData(schema=SERVICE)
inbox = inbox_table(metadata)
dead_letters = dead_letters_table(metadata)
LETTERS: Final = DeadLetters(SERVICE, dead_letters)

orders = Table(
    "orders",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(24), nullable=False),
    Column("account_id", String(128), nullable=False),
    Column("payer_id", String(128)),  # NULL: the account itself pays
    Column("is_guests", Boolean, nullable=False, server_default="false"),
    Column("customer_id", String(255)),  # who pays, at Stripe
    Column("package_id", String(64)),
    Column("plan", String(64)),
    Column("tokens", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("credits_expire_at", DateTime(timezone=True)),
    Column("locale", String(16)),
    Column("livemode", Boolean, nullable=False),
    Column("session_id", String(255), unique=True),
    Column("session_url", Text),
    Column("session_expires_at", DateTime(timezone=True)),
    Column("payment_intent_id", String(255), unique=True),
    Column("subscription_id", String(255)),
    Column("invoice_id", String(255)),
    Column("paid_minor", BigInteger),
    Column("discount_minor", BigInteger, nullable=False),
    Column("tax_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False),
    Column("disputed_minor", BigInteger, nullable=False),
    Column("is_frozen", Boolean, nullable=False),
    Column("is_trusted", Boolean, nullable=False, server_default="false"),
    Column("revoked_tokens", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("receipt_url", Text),
    Column("code_url", Text),  # the page of a Pix code or a boleto, while it is awaited
    Column("quarantine_reason", Text),
    Column("reference", Text),  # what an operator or a voucher names: a bank transfer, a code
    Column("reason", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("paid_at", DateTime(timezone=True)),
    # Not of the order itself, and changed without a new version:
    # What there shall be one Checkout for; free again for good once it is not open any more, whatever comes after.
    Column("slot", String(128), unique=True),
    Column("request_key", String(160), unique=True),  # who asked and the Idempotency-Key that they gave
    Column("request_hash", LargeBinary),
    Column("look_due_at", DateTime(timezone=True)),  # when the sweep looks anew; NULL: never
    Column("looked_at", DateTime(timezone=True)),
)
"""One row an order; the columns up to `paid_at` are `domain.orders.Order`."""
order_changes = Table(
    "order_changes",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("order_id", String(64), ForeignKey(orders.c.id), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("what", String(64), nullable=False),
    Column("who", String(160), nullable=False),
    Column("why", Text),
    Column("details", JSONB, nullable=False),
)
"""The life of an order, line by line: what was decided, who or what asked for it, and why."""
customers = Table(
    "customers",
    metadata,
    Column("payer_id", String(128), primary_key=True),
    Column("livemode", Boolean, primary_key=True),
    Column("customer_id", String(255), nullable=False, unique=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
)
"""Stripe's customer of each payer: test mode and live mode know nothing of each other."""
webhook_events = Table(
    "webhook_events",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("type", String(128), nullable=False),
    Column("livemode", Boolean, nullable=False),
    Column("happened_at", DateTime(timezone=True), nullable=False),  # by Stripe's clock
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("payload", LargeBinary),  # NULL once its time is over
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),  # while one is at it: when its lease is over
    Column("holder", Uuid),
    Column("last_error", Text),
    Column("outcome", Text),
    Column("order_id", String(64)),
    Column("subscription_id", String(255)),
    Column("handled_at", DateTime(timezone=True)),
)
"""Stripe's events as they were signed, each once: `waiting`, `handled`, `ignored`, `given_up`."""
refunds = Table(
    "refunds",
    metadata,
    Column("id", String(255), primary_key=True),  # Stripe's, or one of ours for a manual order
    Column("order_id", String(64), ForeignKey(orders.c.id), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("status", String(32), nullable=False),
    Column("requested_by", String(160)),
    Column("reason", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)
disputes = Table(
    "disputes",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("order_id", String(64), ForeignKey(orders.c.id), nullable=False),
    Column("kind", String(16), nullable=False),  # dispute, or early warning of fraud
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("status", String(40), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)
outbox = Table(
    "outbox",
    metadata,
    Column("position", BigInteger, Identity(), primary_key=True),
    Column("event_id", Uuid, nullable=False, unique=True),
    Column("name", String(64), nullable=False),  # billing.credits_purchased
    Column("account_id", String(128), nullable=False),
    Column("subject_id", String(255), nullable=False),  # the order, or the subscription, that it tells of
    Column("payload", LargeBinary, nullable=False),  # the CloudEvent as it is published
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)
"""What billing says, in the order in which it was committed."""
relay = Table(
    "relay",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),
)
"""Up to where the outbox is published."""
paces = Table(
    "paces",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("full_until", DateTime(timezone=True), nullable=False),
)
"""How much of each limit is used: see `store.paces`."""
