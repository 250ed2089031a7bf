"""A consumer's memory: which messages it has handled, and which it gave up on."""

from sqlalchemy import BigInteger, Column, DateTime, Identity, LargeBinary, MetaData, String, Table, Text, func


def inbox_table(metadata: MetaData) -> Table:
    """`inbox`: one row per handled message, by consumer and message id, written with the message's effect."""
    return Table(
        "inbox",
        metadata,
        Column("consumer", String(64), primary_key=True),
        Column("message_id", String(128), primary_key=True),
        Column("handled_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )


def dead_letters_table(metadata: MetaData) -> Table:
    """`dead_letters`: payload and reason of each message given up on, kept until an operator retries or discards it."""
    return Table(
        "dead_letters",
        metadata,
        Column("id", BigInteger, Identity(), primary_key=True),
        Column("consumer", String(64), nullable=False),
        Column("message_id", String(128), nullable=False),
        Column("subject", Text, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("reason", Text, nullable=False),
        Column("failed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("retried_at", DateTime(timezone=True)),
        Column("discarded_at", DateTime(timezone=True)),
        Column("discarded_by", Text),
        Column("discard_reason", Text),
    )
