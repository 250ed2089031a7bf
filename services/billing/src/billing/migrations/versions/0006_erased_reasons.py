"""What operators typed about a person's purchases can be erased with what is personal; the books stay whole."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Lives of orders stay closed to changes but for these words.
    op.execute("""
        CREATE FUNCTION billing.erase_reasons(erased_account text) RETURNS bigint
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
            WITH theirs AS (
                SELECT id FROM billing.orders WHERE account_id = erased_account OR payer_id = erased_account
            ),
            plans AS (
                SELECT id FROM billing.subscriptions WHERE account_id = erased_account OR payer_id = erased_account
            ),
            of_orders AS (
                UPDATE billing.orders SET reason = '[erased]'
                WHERE id IN (SELECT id FROM theirs) AND reason NOT IN ('', '[erased]') RETURNING 1
            ),
            of_changes AS (
                UPDATE billing.order_changes SET why = '[erased]'
                WHERE order_id IN (SELECT id FROM theirs) AND who LIKE 'operator:%' AND why NOT IN ('', '[erased]')
                RETURNING 1
            ),
            of_plans AS (
                UPDATE billing.subscription_changes SET why = '[erased]'
                WHERE subscription_id IN (SELECT id FROM plans) AND who LIKE 'operator:%'
                AND why NOT IN ('', '[erased]') RETURNING 1
            ),
            of_refunds AS (
                UPDATE billing.refunds SET reason = '[erased]'
                WHERE order_id IN (SELECT id FROM theirs) AND requested_by LIKE 'operator:%'
                AND reason NOT IN ('', '[erased]') RETURNING 1
            )
            SELECT (SELECT count(*) FROM of_orders) + (SELECT count(*) FROM of_changes)
                + (SELECT count(*) FROM of_plans) + (SELECT count(*) FROM of_refunds)
        $$
    """)
    op.execute("REVOKE ALL ON FUNCTION billing.erase_reasons(text) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION billing.erase_reasons(text) TO solaris_billing")


def downgrade() -> None:
    op.execute("DROP FUNCTION billing.erase_reasons(text)")
