"""What operators enter: manual orders with who approved them; vouchers in batches, and who redeemed them."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE billing.manual_orders (
            order_id    varchar(64)  PRIMARY KEY REFERENCES billing.orders,
            paid_by     varchar(64)  NOT NULL,
            entered_by  varchar(160) NOT NULL,
            approved_by varchar(160) CHECK (approved_by <> entered_by),
            approved_at timestamptz,
            CHECK ((approved_by IS NULL) = (approved_at IS NULL))
        )
    """)
    op.execute("""
        CREATE TABLE billing.voucher_batches (
            id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            tokens       bigint       NOT NULL CHECK (tokens >= 1),
            uses         integer      NOT NULL CHECK (uses >= 1),
            per_account  integer      NOT NULL CHECK (per_account BETWEEN 1 AND uses),
            ends_at      timestamptz,
            expires_days integer      CHECK (expires_days >= 1),
            made_by      varchar(160) NOT NULL,
            reason       text         NOT NULL,
            made_at      timestamptz  NOT NULL DEFAULT now(),
            withdrawn_by varchar(160),
            withdrawn_at timestamptz,
            withdrawn_why text,
            CHECK ((withdrawn_by IS NULL) = (withdrawn_at IS NULL))
        )
    """)
    op.execute("""
        CREATE TABLE billing.vouchers (
            id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            batch_id    bigint  NOT NULL REFERENCES billing.voucher_batches,
            code_digest bytea   NOT NULL UNIQUE CHECK (length(code_digest) = 32),
            used        integer NOT NULL DEFAULT 0 CHECK (used >= 0)
        )
    """)
    op.execute("CREATE INDEX vouchers_of_batch ON billing.vouchers (batch_id, id)")
    op.execute("""
        CREATE TABLE billing.redemptions (
            voucher_id  bigint       NOT NULL REFERENCES billing.vouchers,
            account_id  varchar(128) NOT NULL,
            number      integer      NOT NULL CHECK (number >= 1),
            order_id    varchar(64)  NOT NULL UNIQUE REFERENCES billing.orders,
            redeemed_at timestamptz  NOT NULL DEFAULT now(),
            PRIMARY KEY (voucher_id, account_id, number)
        )
    """)
    op.execute("CREATE INDEX redemptions_of_account ON billing.redemptions (account_id, redeemed_at)")
    op.execute("""
        GRANT SELECT, INSERT, UPDATE ON billing.manual_orders, billing.voucher_batches, billing.vouchers
            TO solaris_billing
    """)
    op.execute("GRANT SELECT, INSERT ON billing.redemptions TO solaris_billing")
