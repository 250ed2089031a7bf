"""A consumer's memory: which messages it has handled."""

from sqlalchemy import CTE, Column, DateTime, MetaData, String, Table, func
from sqlalchemy.dialects.postgresql import insert


def inbox_table(metadata: MetaData) -> Table:
    """`inbox`: one row per handled message, by consumer and message id, written with the message's effect."""
    return Table(
        "inbox",
        metadata,
        Column("consumer", String(64), primary_key=True),
        Column("message_id", String(128), primary_key=True),
        Column("handled_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )


def first_seen(inbox: Table, consumer: str, message_id: str) -> CTE:
    """Notes the message as handled, in the statement of its effect; one row where it was not before."""
    noting = insert(inbox).values(consumer=consumer, message_id=message_id).on_conflict_do_nothing()
    return noting.returning(inbox.c.message_id).cte("first_seen")
