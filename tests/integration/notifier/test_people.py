"""What is kept about a person's mails is handed out to them, and erased when they are forgotten."""

from local_run.ports import any_free

from tests.integration.notifier.mailbox import Mailbox, serving
from tests.integration.notifier.stage import Database, Ledger, event, running, settings_for, threshold
from tests.integration.notifier.verbs import operate
from tests.support.eventually import eventually


async def test_an_export_has_every_mail_that_is_kept_and_forgetting_leaves_and_sends_none(
    ledger: Ledger, migrated_url: str, nats_url: str, database: Database
) -> None:
    mailbox = Mailbox(port=any_free())
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        for account in ("person", "other"):
            await ledger.publish(event(account, threshold(80)))
            await eventually(lambda account=account: _postponed(database, account))  # type: ignore[misc]
        code, lines = await operate(migrated_url, "export", account="person")
        assert code == 0
        (held,) = lines
        (kept,) = held["mails"]
        assert isinstance(kept, dict)
        assert (kept["account_id"], kept["kind"], kept["status"]) == ("person", "threshold-80", "pending")
        assert kept["figures"]["monthly_used"] == 800_000

        erased = await operate(migrated_url, "forget", account="person", reason="asked for")
        assert erased == (0, [{"account_id": "person", "mails_erased": 1, "letters_erased": 0}])
        assert await operate(migrated_url, "export", account="person") == (0, [{}])
        with serving(mailbox):
            await eventually(lambda: mailbox.recipients == ["other@example.com"])
    assert await database.statuses("other") == ["sent"]
    assert await database.statuses("person") == []


async def _postponed(database: Database, account_id: str) -> bool:
    rows = await database.rows("SELECT last_error FROM notifier.messages WHERE account_id = $1", account_id)
    return bool(rows) and rows[0]["last_error"] is not None
