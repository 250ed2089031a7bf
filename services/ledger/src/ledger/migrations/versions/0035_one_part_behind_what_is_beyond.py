"""Attaching a part reads all that stands beyond the parts while others wait: so one large part follows that at once.

Revision ID: 0035
"""

from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    op.execute(
        """
        CREATE OR REPLACE FUNCTION ledger.make_next_part_of_events() RETURNS text LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
        DECLARE
            size CONSTANT bigint := 10000000;
            -- So much is read within a second, in which others wait; where there is more, the log goes on there.
            most_beyond CONSTANT bigint := 250000;
            room bigint := size;
            newest bigint := (SELECT coalesce(max(position), 0) FROM ledger.events);
            first bigint := (SELECT max(end_position) FROM ledger.event_partitions);
            first_beyond bigint;
            last_beyond bigint;
            part text;
        BEGIN
            IF newest + 2 * size < first OR NOT pg_try_advisory_xact_lock(7205759403792800) THEN
                RETURN NULL;
            END IF;
            first := (SELECT max(end_position) FROM ledger.event_partitions);
            SELECT coalesce(min(position), 0), coalesce(max(position), 0) INTO first_beyond, last_beyond
            FROM ledger.events_beyond;
            IF last_beyond - first_beyond > most_beyond THEN
                RETURN NULL;
            END IF;
            -- What has gone beyond all parts stays where it is, and more comes until its range is full.
            IF last_beyond > 0 THEN
                first := greatest(first, (last_beyond / size + 1) * size);
                room := 1000 * size;
            END IF;
            part := 'events_' || first;
            PERFORM ledger.make_part_of_events(part, format('FOR VALUES FROM (%s) TO (%s)', first, first + room));
            INSERT INTO ledger.event_partitions (first_position, end_position, name)
            VALUES (first, first + room, part);
            RETURN part;
        END
        $$
        """
    )
