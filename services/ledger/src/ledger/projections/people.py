"""What admins see of an account: its row in the list of people."""

from ledger.store.projected.people_tables import PersonRow, about_moment, about_tokens
from ledger.store.projected.statement_rows import KnownAccount


def person_of(known: KnownAccount) -> PersonRow:
    """The account as its last event left it: what time alone changes is seen when the ledger has decided it."""
    account = known.account
    return PersonRow(
        account_id=account.account_id,
        plan=account.plan,
        status=account.status,
        monthly_used=account.monthly_used,
        monthly_limit=account.monthly_limit,
        credits=account.credits,
        debt=account.debt,
        last_call_at=known.last_call_at,
        monthly_used_about=about_tokens(account.monthly_used),
        credits_about=about_tokens(account.credits),
        last_call_about=about_moment(known.last_call_at),
    )
