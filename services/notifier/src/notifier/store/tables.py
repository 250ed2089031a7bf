"""The notifier's tables: messages to send, claims on accounts, the inbox, dead letters."""

from typing import Final

from chassis.dead_letters import DeadLetters, dead_letters_table
from chassis.inbox import inbox_table
from contracts.events.registry import BILLING_EVENTS
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    false,
    or_,
)
from sqlalchemy.dialects.postgresql import JSONB

SERVICE: Final = "notifier"
MAIL_CONSUMER: Final = "notifier-mail"
"""Under this name stand mails that could not be sent among the dead letters."""

PENDING: Final = "pending"
PENDING_ALONE: Final = "pending_alone"
"""Waits to be a mail of its own; release 0.2 does not look for it, and goes on with what it understands."""
WAITING: Final = (PENDING, PENDING_ALONE)
SENT: Final = "sent"
TOLD: Final = "told"
"""Named in the mail of another."""
OVERTAKEN: Final = "overtaken"
"""No longer true when it was to be sent."""
STALE: Final = "stale"
NO_ADDRESS: Final = "no_address"
FAILED: Final = "failed"

metadata = MetaData(schema="notifier")
inbox = inbox_table(metadata)
dead_letters = dead_letters_table(metadata)
LETTERS: Final = DeadLetters(SERVICE, dead_letters)
claims = Table(
    "claims",
    metadata,
    Column("account_id", String(128), primary_key=True),
    Column("holder", Uuid, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
)
"""Which process sends to an account, and until when; the row goes with the work."""
messages = Table(
    "messages",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("account_id", String(128), nullable=False),
    Column("event", String(64)),  # the name of billing's event; NULL in a row of the ledger's
    Column("details", JSONB),  # its data
    Column("cycle_id", String(256)),
    Column("kind", String(64), nullable=False),
    Column("cause", String(160), nullable=False),
    Column("figures", JSONB),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("mail_id", BigInteger),  # the first message of the same mail; NULL until it is handed over or given up
    Column("perhaps_told", Boolean, nullable=False, server_default=false()),  # the server may have taken a mail with it
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("address_checks", Integer, nullable=False),
    Column("state_checks", Integer, nullable=False),
    Column("last_error", Text),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
)
"""One row per notice: of the ledger, with cycle and figures, or of billing, with event and details.

What counts attempts is the same in all rows of a mail.
"""
KNOWN: Final = or_(messages.c.event.is_(None), messages.c.event.in_(sorted(BILLING_EVENTS)))
"""Rows that this release can read: those of a later one's events are left to it."""
