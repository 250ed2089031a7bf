"""The tables of what operators enter: manual orders, vouchers in batches, who redeemed them."""

from typing import Final

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Identity, Integer, LargeBinary, String, Table, Text

from billing.store.tables import metadata, orders

MAX_PAID_BY_LENGTH: Final = 64

manual_orders = Table(
    "manual_orders",
    metadata,
    Column("order_id", String(64), ForeignKey(orders.c.id), primary_key=True),
    Column("paid_by", String(MAX_PAID_BY_LENGTH), nullable=False),  # bank_transfer, courtesy, correction, …
    Column("entered_by", String(160), nullable=False),
    Column("approved_by", String(160)),
    Column("approved_at", DateTime(timezone=True)),
)
"""How an order was paid that no page sold, and which two people stand for it where it is large."""
voucher_batches = Table(
    "voucher_batches",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("tokens", BigInteger, nullable=False),  # of one use
    Column("uses", Integer, nullable=False),  # of one code
    Column("per_account", Integer, nullable=False),  # of these, how many one account may have
    Column("ends_at", DateTime(timezone=True)),  # of the codes; their tokens' end is `expires_days`
    Column("expires_days", Integer),  # NULL: the tokens never expire
    Column("made_by", String(160), nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("withdrawn_by", String(160)),
    Column("withdrawn_at", DateTime(timezone=True)),
    Column("withdrawn_why", Text),
)
vouchers = Table(
    "vouchers",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("batch_id", BigInteger, ForeignKey(voucher_batches.c.id), nullable=False),
    Column("code_digest", LargeBinary, nullable=False, unique=True),  # no code stands anywhere
    Column("used", Integer, nullable=False),
)
redemptions = Table(
    "redemptions",
    metadata,
    Column("voucher_id", BigInteger, ForeignKey(vouchers.c.id), primary_key=True),
    Column("account_id", String(128), primary_key=True),
    Column("number", Integer, primary_key=True),  # which of the account's uses of this code
    Column("order_id", String(64), ForeignKey(orders.c.id), nullable=False, unique=True),
    Column("redeemed_at", DateTime(timezone=True), nullable=False),
)
