"""What an older release left behind is sent and retried by this one."""

import json
import shutil
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import notifier
from chassis.migrations import migrate
from local_run.ports import any_free
from notifier.domain.notices import Figures, Notice

from tests.integration.notifier.mailbox import Mailbox
from tests.integration.notifier.stage import Database, Ledger, event, running, settings_for, standing, threshold
from tests.integration.notifier.verbs import operate
from tests.support.eventually import eventually
from tests.support.infrastructure import Postgres
from tests.support.receipt_examples import purchased

COLUMNS = "account_id, cycle_id, kind, cause, figures, occurred_at"


def older(account_id: str, percent: int) -> Notice:
    figures = Figures(
        monthly_used=950_000,
        monthly_limit=1_000_000,
        credits=0,
        debt=0,
        resets_at=datetime.now(UTC) + timedelta(days=9),
    )
    return Notice(
        account_id=account_id,
        cycle_id="2025-11",
        kind=f"threshold-{percent}",
        cause="limit:1000000",
        figures=figures,
        occurred_at=datetime.now(UTC),
    )


def _as_stored(thing: Figures | Notice) -> object:
    return json.loads(json.dumps(asdict(thing), default=lambda moment: moment.isoformat().replace("+00:00", "Z")))


async def insert(connection: asyncpg.Connection, notice: Notice, *, status: str, waited: timedelta) -> int:
    """As the release before the second revision did."""
    return int(
        await connection.fetchval(
            f"INSERT INTO notifier.messages ({COLUMNS}, status, created_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, now() - $8::interval) RETURNING id",
            notice.account_id,
            notice.cycle_id,
            notice.kind,
            notice.cause,
            json.dumps(_as_stored(notice.figures)),
            notice.occurred_at,
            status,
            waited,
        )
    )


async def test_mails_and_dead_letters_of_an_older_release_are_sent(
    ledger: Ledger, mailbox: Mailbox, database_url: str, nats_url: str
) -> None:
    await migrate(database_url, "notifier")
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        for percent, hours in ((80, 3), (90, 2)):
            await insert(connection, older("waiting", percent), status="pending", waited=timedelta(hours=hours))
        failed = await insert(connection, older("failed", 95), status="failed", waited=timedelta(hours=1))
        await connection.execute(
            "INSERT INTO notifier.dead_letters (consumer, message_id, subject, payload, reason) "
            "VALUES ('notifier-mail', $1, 'solaris.ledger.threshold_crossed.failed', $2, 'smtp recipient 554 5.7.1')",
            str(failed),
            json.dumps([_as_stored(older("failed", 95))]).encode(),
        )
    finally:
        await connection.close()
    for account in ("waiting", "failed"):
        ledger.standings[account] = standing(account, used=950_000)
    database = Database(database_url)
    async with running(settings_for(database_url, nats_url, mailbox.url)):
        await eventually(lambda: mailbox.kinds == ["threshold-90"])
        assert mailbox.mails[0]["X-Solaris-Also"] == "threshold-80"
        code, (retried,) = await operate(database_url, "dead-letters-retry")
        assert (code, retried["retried"]) == (0, True)
        await eventually(lambda: mailbox.kinds == ["threshold-90", "threshold-95"])
        await eventually(lambda: _sent(database, "failed"))


async def _sent(database: Database, account_id: str) -> bool:
    return await database.statuses(account_id) == ["sent"]


async def test_what_a_process_of_an_older_release_is_sending_is_left_to_it_and_what_follows_waits(
    ledger: Ledger, mailbox: Mailbox, database_url: str, nats_url: str
) -> None:
    await migrate(database_url, "notifier")
    connection = await asyncpg.connect(database_url, timeout=10)
    database = Database(database_url)
    for account in ("beside", "alone"):
        ledger.standings[account] = standing(account, used=950_000)
    try:
        taken = await insert(connection, older("beside", 80), status="pending", waited=timedelta(minutes=1))
        # As it takes a message: without a claim, out of the queue for three minutes.
        await connection.execute(
            "UPDATE notifier.messages SET attempts = 1, due_at = now() + interval '3 minutes' WHERE id = $1", taken
        )
        await insert(connection, older("beside", 90), status="pending", waited=timedelta(seconds=30))
        await insert(connection, older("alone", 90), status="pending", waited=timedelta(0))
        async with running(settings_for(database_url, nats_url, mailbox.url)):
            await eventually(lambda: _sent(database, "alone"))
            assert await database.statuses("beside") == ["pending", "pending"]
            await connection.execute(
                "UPDATE notifier.messages SET status = 'sent', finished_at = now() WHERE id = $1", taken
            )
            await eventually(lambda: len(mailbox.mails) == 2)
    finally:
        await connection.close()
    assert mailbox.recipients == ["alone@example.com", "beside@example.com"]
    assert [mail["X-Solaris-Also"] for mail in mailbox.mails] == [None, None], "what the other sends is not told again"


async def test_a_mail_that_an_older_release_gave_up_twice_has_one_letter_which_is_not_announced_again(
    postgres_server: Postgres, tmp_path: Path
) -> None:
    url = await postgres_server.create_database("given_up_twice")
    earlier = tmp_path / "migrations"
    later = shutil.ignore_patterns("0005_*", "0006_*")
    shutil.copytree(Path(notifier.__file__).parent / "migrations", earlier, ignore=later)
    assert (await migrate(url, "notifier", folder=earlier))[-1] == "0004"
    connection = await asyncpg.connect(url, timeout=10)
    try:
        for reason, retried_at in (("first", "now()"), ("second", "NULL")):
            await connection.execute(
                "INSERT INTO notifier.dead_letters (consumer, message_id, subject, payload, reason, retried_at) "
                f"VALUES ('notifier-mail', '7', 's', '', '{reason}', {retried_at})"
            )
        assert await migrate(url, "notifier") == ["0005", "0006"]
        rows = await connection.fetch("SELECT reason, announced_at IS NOT NULL AS told FROM notifier.dead_letters")
        assert [tuple(row) for row in rows] == [("second", True)]
    finally:
        await connection.close()


async def test_what_billing_says_is_unseen_by_release_0_2_which_goes_on_with_what_it_understands(
    ledger: Ledger, database_url: str, nats_url: str
) -> None:
    await migrate(database_url, "notifier")
    database = Database(database_url)
    async with running(settings_for(database_url, nats_url, f"smtp://127.0.0.1:{any_free()}")):
        await ledger.publish(event("both", purchased()), event("both", threshold(90)))
        await eventually(lambda: _queued(database, "both"))
    # All that it claims, gathers and ends is found by this status.
    seen = await database.rows("SELECT kind FROM notifier.messages WHERE account_id = 'both' AND status = 'pending'")
    assert [row["kind"] for row in seen] == ["threshold-90"]


async def test_what_a_later_release_queued_is_left_to_it_and_holds_up_nothing(
    ledger: Ledger, mailbox: Mailbox, database_url: str, nats_url: str
) -> None:
    await migrate(database_url, "notifier")
    database = Database(database_url)
    await database.rows(
        "INSERT INTO notifier.messages (account_id, event, kind, cause, details, occurred_at, status) "
        "VALUES ('later', 'billing.invoice_sent', 'invoice-sent', 'order:x', '{}', now(), 'pending_alone')"
    )
    async with running(settings_for(database_url, nats_url, mailbox.url)):
        await ledger.publish(event("later", purchased()), event("later", threshold(90)))
        await eventually(lambda: len(mailbox.mails) == 2)
        await eventually(lambda: _no_claims(database))
    assert mailbox.kinds == ["credits-purchased", "threshold-90"]
    left = await database.rows("SELECT kind, attempts FROM notifier.messages WHERE status LIKE 'pending%'")
    assert [(row["kind"], row["attempts"]) for row in left if row["kind"] == "invoice-sent"] == [("invoice-sent", 0)]


async def _no_claims(database: Database) -> bool:
    return await database.rows("SELECT 1 FROM notifier.claims") == []


async def _queued(database: Database, account_id: str) -> bool:
    return sorted(await database.statuses(account_id)) == ["pending", "pending_alone"]
