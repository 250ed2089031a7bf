"""Orders and their life, what Stripe told, and what billing says."""

from alembic import op
from chassis.migrations import create_consumer_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE billing.orders (
            id                 varchar(64)  PRIMARY KEY,
            version            integer      NOT NULL CHECK (version >= 1),
            kind               varchar(16)  NOT NULL
                               CHECK (kind IN ('package', 'top_up', 'voucher', 'manual', 'subscription')),
            state              varchar(24)  NOT NULL
                               CHECK (state IN ('awaiting_approval', 'created', 'open', 'pending', 'paid', 'failed',
                                                'expired', 'cancelled', 'quarantined')),
            account_id         varchar(128) NOT NULL,
            payer_id           varchar(128),
            package_id         varchar(64),
            plan               varchar(64),
            tokens             bigint       NOT NULL CHECK (tokens >= 0),
            amount_minor       bigint       NOT NULL CHECK (amount_minor >= 0),
            currency           varchar(3)   NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
            credits_expire_at  timestamptz,
            locale             varchar(16),
            livemode           boolean      NOT NULL,
            session_id         varchar(255) UNIQUE,
            session_url        text,
            session_expires_at timestamptz,
            payment_intent_id  varchar(255) UNIQUE,
            subscription_id    varchar(255),
            invoice_id         varchar(255),
            paid_minor         bigint       CHECK (paid_minor >= 0),
            discount_minor     bigint       NOT NULL DEFAULT 0,
            tax_minor          bigint       NOT NULL DEFAULT 0,
            refunded_minor     bigint       NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
            disputed_minor     bigint       NOT NULL DEFAULT 0 CHECK (disputed_minor >= 0),
            is_frozen          boolean      NOT NULL DEFAULT false,
            revoked_tokens     bigint       NOT NULL DEFAULT 0 CHECK (revoked_tokens BETWEEN 0 AND tokens),
            revision           integer      NOT NULL DEFAULT 0,
            receipt_url        text,
            quarantine_reason  text,
            reference          text,
            reason             text,
            created_at         timestamptz  NOT NULL,
            changed_at         timestamptz  NOT NULL,
            paid_at            timestamptz,
            slot               varchar(128) UNIQUE,
            request_key        varchar(160) UNIQUE,
            request_hash       bytea,
            look_due_at        timestamptz,
            looked_at          timestamptz,
            CHECK ((state = 'paid') = (paid_at IS NOT NULL))
        )
    """)
    op.execute("CREATE INDEX orders_of_account ON billing.orders (account_id, created_at)")
    op.execute("CREATE INDEX orders_of_payer ON billing.orders (payer_id, created_at) WHERE payer_id IS NOT NULL")
    op.execute("CREATE INDEX orders_to_look_at ON billing.orders (look_due_at) WHERE look_due_at IS NOT NULL")
    op.execute(
        "CREATE INDEX orders_of_subscription ON billing.orders (subscription_id) WHERE subscription_id IS NOT NULL"
    )
    op.execute("""
        CREATE TABLE billing.order_changes (
            id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            order_id varchar(64)  NOT NULL REFERENCES billing.orders,
            at       timestamptz  NOT NULL DEFAULT now(),
            what     varchar(64)  NOT NULL,
            who      varchar(160) NOT NULL,
            why      text,
            details  jsonb        NOT NULL DEFAULT '{}'
        )
    """)
    op.execute("CREATE INDEX order_changes_of_order ON billing.order_changes (order_id, id)")
    op.execute("""
        CREATE TABLE billing.customers (
            payer_id    varchar(128) NOT NULL,
            livemode    boolean      NOT NULL,
            customer_id varchar(255) NOT NULL UNIQUE,
            created_at  timestamptz  NOT NULL DEFAULT now(),
            PRIMARY KEY (payer_id, livemode)
        )
    """)
    op.execute("""
        CREATE TABLE billing.webhook_events (
            id              varchar(255) PRIMARY KEY,
            type            varchar(128) NOT NULL,
            livemode        boolean      NOT NULL,
            happened_at     timestamptz  NOT NULL,
            received_at     timestamptz  NOT NULL DEFAULT now(),
            payload         bytea,
            status          varchar(16)  NOT NULL DEFAULT 'waiting'
                            CHECK (status IN ('waiting', 'handled', 'ignored', 'given_up')),
            attempts        integer      NOT NULL DEFAULT 0,
            due_at          timestamptz  NOT NULL DEFAULT now(),
            holder          uuid,
            last_error      text,
            outcome         text,
            order_id        varchar(64),
            subscription_id varchar(255),
            handled_at      timestamptz
        )
    """)
    op.execute("CREATE INDEX webhook_events_due ON billing.webhook_events (due_at) WHERE status = 'waiting'")
    op.execute("CREATE INDEX webhook_events_oldest ON billing.webhook_events (received_at) WHERE status = 'waiting'")
    op.execute("CREATE INDEX webhook_events_of_order ON billing.webhook_events (order_id) WHERE order_id IS NOT NULL")
    op.execute(
        "CREATE INDEX webhook_events_of_subscription ON billing.webhook_events (subscription_id)"
        " WHERE subscription_id IS NOT NULL"
    )
    op.execute("CREATE INDEX webhook_events_kept ON billing.webhook_events (received_at) WHERE payload IS NOT NULL")
    op.execute("""
        CREATE TABLE billing.refunds (
            id           varchar(255) PRIMARY KEY,
            order_id     varchar(64)  NOT NULL REFERENCES billing.orders,
            amount_minor bigint       NOT NULL CHECK (amount_minor >= 0),
            currency     varchar(3)   NOT NULL,
            status       varchar(32)  NOT NULL,
            requested_by varchar(160),
            reason       text,
            created_at   timestamptz  NOT NULL,
            changed_at   timestamptz  NOT NULL DEFAULT now()
        )
    """)
    op.execute("CREATE INDEX refunds_of_order ON billing.refunds (order_id)")
    op.execute("""
        CREATE TABLE billing.disputes (
            id           varchar(255) PRIMARY KEY,
            order_id     varchar(64)  NOT NULL REFERENCES billing.orders,
            kind         varchar(16)  NOT NULL CHECK (kind IN ('dispute', 'fraud_warning')),
            amount_minor bigint       NOT NULL CHECK (amount_minor >= 0),
            currency     varchar(3)   NOT NULL,
            status       varchar(40)  NOT NULL,
            created_at   timestamptz  NOT NULL,
            changed_at   timestamptz  NOT NULL DEFAULT now()
        )
    """)
    op.execute("CREATE INDEX disputes_of_order ON billing.disputes (order_id)")
    op.execute("""
        CREATE TABLE billing.outbox (
            position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            event_id    uuid         NOT NULL UNIQUE,
            name        varchar(64)  NOT NULL,
            account_id  varchar(128) NOT NULL,
            subject_id  varchar(255) NOT NULL,
            payload     bytea        NOT NULL,
            recorded_at timestamptz  NOT NULL DEFAULT clock_timestamp()
        )
    """)
    op.execute("CREATE INDEX outbox_of_subject ON billing.outbox (subject_id, position)")
    op.execute("CREATE INDEX outbox_of_account ON billing.outbox (account_id, position)")
    op.execute("CREATE TABLE billing.relay (name varchar(64) PRIMARY KEY, position bigint NOT NULL)")
    op.execute("CREATE TABLE billing.paces (key varchar(200) PRIMARY KEY, full_until timestamptz NOT NULL)")
    op.execute("CREATE INDEX paces_over ON billing.paces (full_until)")
    create_consumer_tables("billing")
    op.execute("""
        GRANT SELECT, INSERT, UPDATE ON billing.orders, billing.customers, billing.webhook_events, billing.refunds,
            billing.disputes, billing.relay TO solaris_billing
    """)
    op.execute("GRANT SELECT, INSERT ON billing.order_changes, billing.outbox TO solaris_billing")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON billing.paces TO solaris_billing")
    op.execute("GRANT DELETE ON billing.webhook_events, billing.customers TO solaris_billing")
