"""Subscriptions with their life and their invoices, and auto top-up."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE billing.subscriptions (
            id               varchar(255) PRIMARY KEY,
            version          integer      NOT NULL CHECK (version >= 1),
            account_id       varchar(128) NOT NULL,
            payer_id         varchar(128),
            order_id         varchar(64)  NOT NULL REFERENCES billing.orders,
            customer_id      varchar(255) NOT NULL,
            status           varchar(24)  NOT NULL,
            standing         varchar(16)  NOT NULL CHECK (standing IN ('sole', 'superfluous', 'replaced')),
            plan             varchar(64),
            given_starts_at  timestamptz,
            given_ends_at    timestamptz,
            told_starts_at   timestamptz,
            reminders        integer      NOT NULL CHECK (reminders BETWEEN 0 AND 2),
            reminded_ends_at timestamptz,
            cancel_at        timestamptz,
            revision         integer      NOT NULL CHECK (revision >= 0),
            doubt            varchar(32),
            look_due_at      timestamptz,
            looked_at        timestamptz,
            created_at       timestamptz  NOT NULL DEFAULT now(),
            changed_at       timestamptz  NOT NULL DEFAULT now(),
            CHECK ((plan IS NULL) = (given_starts_at IS NULL) AND (plan IS NULL) = (given_ends_at IS NULL)),
            CHECK (plan IS NULL OR standing = 'sole')
        )
    """)
    # Whoever else is about to give a plan to the account finds out, and looks again.
    op.execute("CREATE UNIQUE INDEX subscriptions_giving ON billing.subscriptions (account_id) WHERE plan IS NOT NULL")
    op.execute("CREATE INDEX subscriptions_of_account ON billing.subscriptions (account_id)")
    op.execute("CREATE INDEX subscriptions_of_order ON billing.subscriptions (order_id)")
    op.execute(
        "CREATE INDEX subscriptions_to_look_at ON billing.subscriptions (look_due_at) WHERE look_due_at IS NOT NULL"
    )
    op.execute("""
        CREATE TABLE billing.subscription_changes (
            id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            subscription_id varchar(255) NOT NULL REFERENCES billing.subscriptions,
            at              timestamptz  NOT NULL DEFAULT now(),
            what            varchar(64)  NOT NULL,
            who             varchar(160) NOT NULL,
            why             text,
            details         jsonb        NOT NULL DEFAULT '{}'
        )
    """)
    op.execute("CREATE INDEX changes_of_subscription ON billing.subscription_changes (subscription_id, id)")
    op.execute("""
        CREATE TABLE billing.subscription_invoices (
            id                varchar(255) PRIMARY KEY,
            subscription_id   varchar(255) NOT NULL REFERENCES billing.subscriptions,
            status            varchar(24)  NOT NULL,
            plan              varchar(64),
            starts_at         timestamptz,
            ends_at           timestamptz,
            due_minor         bigint       NOT NULL,
            paid_minor        bigint       NOT NULL CHECK (paid_minor >= 0),
            refunded_minor    bigint       NOT NULL CHECK (refunded_minor >= 0),
            disputed          boolean      NOT NULL,
            currency          varchar(3)   NOT NULL,
            payment_intent_id varchar(255),
            first_seen_at     timestamptz  NOT NULL DEFAULT now(),
            changed_at        timestamptz  NOT NULL DEFAULT now()
        )
    """)
    op.execute("CREATE INDEX invoices_of_subscription ON billing.subscription_invoices (subscription_id)")
    op.execute("""
        CREATE INDEX invoices_of_payment ON billing.subscription_invoices (payment_intent_id)
        WHERE payment_intent_id IS NOT NULL
    """)
    op.execute("""
        CREATE TABLE billing.top_ups (
            account_id        varchar(128) PRIMARY KEY,
            version           integer      NOT NULL CHECK (version >= 1),
            is_on             boolean      NOT NULL,
            payer_id          varchar(128),
            package_id        varchar(64)  NOT NULL,
            currency          varchar(3)   NOT NULL CHECK (currency ~ '^[a-z]{3}$'),
            below_tokens      bigint       NOT NULL CHECK (below_tokens >= 1),
            monthly_cap_minor bigint       NOT NULL CHECK (monthly_cap_minor >= 0),
            paused_for        varchar(32)
                              CHECK (paused_for IN ('authentication_required', 'failed_twice', 'taken_back')),
            set_by            varchar(160) NOT NULL,
            set_at            timestamptz  NOT NULL,
            changed_at        timestamptz  NOT NULL,
            look_due_at       timestamptz
        )
    """)
    op.execute("CREATE INDEX top_ups_to_look_at ON billing.top_ups (look_due_at) WHERE look_due_at IS NOT NULL")
    # Two processes that both see a low balance: one of them buys.
    op.execute("""
        CREATE UNIQUE INDEX orders_one_top_up ON billing.orders (account_id)
        WHERE kind = 'top_up' AND state IN ('created', 'open', 'pending')
    """)
    op.execute("CREATE INDEX orders_of_top_up ON billing.orders (account_id, created_at) WHERE kind = 'top_up'")
    op.execute("""
        GRANT SELECT, INSERT, UPDATE ON billing.subscriptions, billing.subscription_invoices, billing.top_ups
        TO solaris_billing
    """)
    op.execute("GRANT SELECT, INSERT ON billing.subscription_changes TO solaris_billing")


def downgrade() -> None:
    op.execute("DROP INDEX billing.orders_of_top_up, billing.orders_one_top_up")
    op.execute("""
        DROP TABLE billing.top_ups, billing.subscription_invoices, billing.subscription_changes, billing.subscriptions
    """)
