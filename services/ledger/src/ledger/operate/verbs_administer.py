"""The verbs that change one account."""

from ledger.operate import database
from ledger.operate.administer import Order, administer
from ledger.operate.inputs import account_id_of, key_of, plan_of, reason_of, tokens_of
from ledger.operate.output import write_line
from ledger.operate.service import load_settings


async def credit(account: str | None, tokens: str | None, reason: str | None, key: str | None) -> None:
    await _carry_out(
        Order(
            action="credit",
            account_id=account_id_of(account),
            tokens=tokens_of(tokens, least=1),
            reason=reason_of(reason),
            key=key_of(key),
        )
    )


async def plan(account: str | None, plan_name: str | None, reason: str | None, key: str | None) -> None:
    await _carry_out(
        Order(
            action="plan",
            account_id=account_id_of(account),
            plan=plan_of(plan_name),
            reason=_optional(reason),
            key=key_of(key),
        )
    )


async def limit(account: str | None, tokens: str | None, reason: str | None, key: str | None) -> None:
    await _carry_out(
        Order(
            action="limit",
            account_id=account_id_of(account),
            tokens=tokens_of(tokens, least=0),
            reason=_optional(reason),
            key=key_of(key),
        )
    )


async def status(action: str, account: str | None, reason: str | None, key: str | None) -> None:
    await _carry_out(Order(action=action, account_id=account_id_of(account), reason=reason_of(reason), key=key_of(key)))


async def _carry_out(order: Order) -> None:
    settings, policy = load_settings()
    await database.probe(settings.database_url)
    write_line(await administer(settings.database_url, policy, order))


def _optional(reason: str | None) -> str:
    return reason_of(reason) if reason else ""
