"""`make holds`: what awaits its usage, open or charged without any, the oldest first."""

import csv

import asyncpg
from ledger.application.submission import Kind
from ledger.domain.commands import ExpireReservation
from ledger.operate.executing import open_executor
from ledger.settings import LedgerSettings

from tests.support.gateway_messages import usage_recorded
from tests.support.ledger_commands import reserve_tokens, settle_usage
from tests.support.ledger_history import roomy_policy
from tests.support.ledger_operate import operate_on
from tests.support.projecting import caught_up, projecting

_TRUTH = """
SELECT reservation_id, CASE state WHEN 'expired' THEN 'unsettled' ELSE state END FROM ledger.holds
WHERE state IN ('open', 'expired') ORDER BY reserved_at, account_id, reservation_id
"""


async def test_holds_are_listed_until_their_usage_comes(own_ledger: str, damaged: asyncpg.Connection) -> None:
    operate = operate_on(own_ledger)
    (await operate("holds")).assert_refused(1)
    settings = LedgerSettings(database_url=own_ledger)
    async with projecting(own_ledger), open_executor(settings, roomy_policy(), damaged) as executor:
        (first, *others) = await damaged.fetch(
            "SELECT account_id, reservation_id FROM ledger.holds WHERE state = 'open' ORDER BY reservation_id"
        )
        await executor.submit(ExpireReservation(account_id=first[0], reservation_id=first[1]), Kind.SWEEPER)
        await executor.submit(reserve_tokens(first[0], "just now"), Kind.RESERVE)
        await caught_up(damaged, "outstanding")
        listed = (await operate("holds")).lines
        truth = [tuple(row) for row in await damaged.fetch(_TRUTH)]
        assert [(line["reservation_id"], line["state"]) for line in listed] == truth
        assert {line["state"] for line in listed} == {"open", "unsettled"}
        assert listed[-1]["reservation_id"] == "just now"
        aged = (await operate("holds", older="1h")).lines
        assert aged == listed[:-1]
        own = (await operate("holds", account=first[0])).lines
        assert own == [line for line in listed if line["account_id"] == first[0]]

        tokens = sum(line["tokens"] for line in listed)
        table = (await operate("holds", format="table")).out.splitlines()
        assert [*table[-1].split()] == ["total", f"{tokens:,}"]
        records = [*csv.DictReader((await operate("holds", format="csv")).out.splitlines())]
        assert (records[-1]["account_id"], records[-1]["tokens"]) == ("total", str(tokens))

        for account_id, reservation_id in (*map(tuple, (first, *others)), (first[0], "just now")):
            await executor.submit(settle_usage(account_id, usage_recorded(reservation_id, prompt=1)), Kind.USAGE)
        await caught_up(damaged, "outstanding")
    assert (await operate("holds")).lines == []
    assert (await operate("replay", projection="outstanding")).code == 0
