"""What becomes due for one account within the window is one mail; what is crossed apart is mailed apart, in order."""

import asyncio

from local_run.ports import any_free
from notifier.domain.retries import RetryPolicy

from tests.integration.notifier.mailbox import Mailbox, serving
from tests.integration.notifier.stage import (
    Database,
    Ledger,
    access_restored,
    allowance_exhausted,
    environment_of,
    event,
    running,
    running_process,
    settings_for,
    standing,
    threshold,
    tokens_exhausted,
)
from tests.support.eventually import eventually
from tests.support.mail_bodies import text_of

WINDOW = 0.5


async def test_a_jump_over_everything_is_one_mail_that_names_the_rest(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    jump = [threshold(80), threshold(90), threshold(95), threshold(100), allowance_exhausted(announced=True)]
    async with running(settings_for(migrated_url, nats_url, mailbox.url, window_seconds=WINDOW)):
        await ledger.publish(*(event("jump", data) for data in [*jump, tokens_exhausted()]))
        await eventually(lambda: _all_ended(database, "jump", 5))
    assert mailbox.kinds == ["tokens-exhausted"]
    assert mailbox.mails[0]["X-Solaris-Also"] == "threshold-100, threshold-95, threshold-90, threshold-80"
    assert "80%, 90%, 95% e 100% da franquia mensal" in text_of(mailbox.mails[0])
    assert sorted(await database.statuses("jump")) == ["sent", "told", "told", "told", "told"]


async def _all_ended(database: Database, account_id: str, count: int) -> bool:
    statuses = await database.statuses(account_id)
    return len(statuses) == count and "pending" not in statuses


async def test_the_end_of_the_allowance_and_one_hundred_percent_are_one_mail(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    async with running(settings_for(migrated_url, nats_url, mailbox.url, window_seconds=WINDOW)):
        await ledger.publish(event("both", allowance_exhausted(announced=False)), event("both", threshold(100)))
        await eventually(lambda: _all_ended(database, "both", 2))
    assert mailbox.kinds == ["threshold-100"]
    assert mailbox.mails[0]["X-Solaris-Also"] is None


async def test_what_is_crossed_apart_is_mailed_apart(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str
) -> None:
    async with running(settings_for(migrated_url, nats_url, mailbox.url, window_seconds=WINDOW)):
        for number, percent in enumerate((80, 90, 95), start=1):
            await ledger.publish(event("apart", threshold(percent)))
            await eventually(lambda number=number: len(mailbox.mails) == number)  # type: ignore[misc]
    assert mailbox.kinds == ["threshold-80", "threshold-90", "threshold-95"]


async def test_what_waited_for_a_mail_server_that_comes_back_is_one_mail_of_what_is_true_then(
    ledger: Ledger, migrated_url: str, nats_url: str, database: Database
) -> None:
    mailbox = Mailbox(port=any_free())
    hasty = RetryPolicy(first_delay_seconds=0.05, longest_outage_delay_seconds=0.2)
    async with running(settings_for(migrated_url, nats_url, mailbox.url), hasty):
        for number, data in enumerate((threshold(80), threshold(90), threshold(95), threshold(100)), start=1):
            await ledger.publish(event("waited", data))
            await eventually(lambda number=number: _has_rows(database, "waited", number))  # type: ignore[misc]
            await eventually(lambda: _tried(database, "waited"))
        ledger.standings["waited"] = standing("waited", used=960_000)
        with serving(mailbox):
            await eventually(lambda: _all_ended(database, "waited", 4))
            await ledger.publish(event("waited", threshold(100, limit=900_000)))
            await eventually(lambda: _all_ended(database, "waited", 5))
    assert mailbox.kinds == ["threshold-95", "threshold-100"]
    assert mailbox.mails[0]["X-Solaris-Also"] == "threshold-90, threshold-80"
    assert await database.statuses("waited") == ["told", "told", "sent", "overtaken", "sent"]


async def test_what_waited_for_a_recipient_who_was_refused_is_one_mail(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    mailbox.recipient_answers = ["451 4.7.1 greylisted"]
    mailbox.data_answers = ["451 4.3.0 not now"]
    patient = RetryPolicy(first_delay_seconds=3600)  # the test says when it is over
    async with running(settings_for(migrated_url, nats_url, mailbox.url), patient):
        for number, percent in enumerate((80, 90, 95), start=1):
            await ledger.publish(event("refused", threshold(percent)))
            await eventually(lambda number=number: _has_rows(database, "refused", number))  # type: ignore[misc]
            await database.end_lease("refused")
            if number < 3:
                await eventually(lambda number=number: _failed(database, "refused", number))  # type: ignore[misc]
        await eventually(lambda: _all_ended(database, "refused", 3))
    assert mailbox.kinds == ["threshold-95"]
    assert mailbox.mails[0]["X-Solaris-Also"] == "threshold-90, threshold-80"


async def _failed(database: Database, account_id: str, times: int) -> bool:
    query = "SELECT max(failures) FROM notifier.messages WHERE account_id = $1"
    return int((await database.rows(query, account_id))[0][0] or 0) >= times


async def _has_rows(database: Database, account_id: str, count: int) -> bool:
    return len(await database.statuses(account_id)) == count


async def _tried(database: Database, account_id: str) -> bool:
    query = "SELECT count(*) FROM notifier.messages WHERE account_id = $1 AND last_error IS NOT NULL"
    return int((await database.rows(query, account_id))[0][0]) > 0


async def test_a_mail_that_the_server_may_have_taken_stays_the_same_whatever_comes_meanwhile(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    settings = settings_for(migrated_url, nats_url, mailbox.url, window_seconds=WINDOW)
    mailbox.hold_answers = True
    async with running_process(environment_of(settings)) as killed:
        await ledger.publish(event("same", threshold(80)), event("same", threshold(90)))
        await eventually(lambda: len(mailbox.mails) == 1, 30)
        killed.kill()
        await killed.wait()
    mailbox.hold_answers = False
    async with running(settings):
        await ledger.publish(event("same", threshold(95)))
        await eventually(lambda: _has_rows(database, "same", 3))
        await database.end_lease("same")
        await eventually(lambda: _all_ended(database, "same", 3))
    assert mailbox.kinds == ["threshold-90", "threshold-90", "threshold-95"]
    assert [mail["X-Solaris-Also"] for mail in mailbox.mails] == ["threshold-80", "threshold-80", None]
    assert mailbox.mails[0]["Message-ID"] == mailbox.mails[1]["Message-ID"]


async def test_who_may_have_read_to_be_out_in_a_mail_whose_fate_is_unknown_is_told_to_be_back(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    settings = settings_for(migrated_url, nats_url, mailbox.url, window_seconds=WINDOW)
    mailbox.hold_answers = True
    async with running_process(environment_of(settings)) as killed:
        await ledger.publish(event("unsure", threshold(100)), event("unsure", tokens_exhausted()))
        await eventually(lambda: len(mailbox.mails) == 1, 30)
        killed.kill()
        await killed.wait()
    mailbox.hold_answers = False
    async with running(settings):
        await ledger.publish(event("unsure", access_restored(granted=50_000)))
        await eventually(lambda: _has_rows(database, "unsure", 3))
        await database.end_lease("unsure")
        await eventually(lambda: _all_ended(database, "unsure", 3))
    assert mailbox.kinds == ["tokens-exhausted", "threshold-100", "access-restored"]
    first, again, back = (mail["Message-ID"] for mail in mailbox.mails)
    assert first == again != back


async def test_what_a_mail_of_unknown_fate_did_not_name_was_not_told(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    settings = settings_for(migrated_url, nats_url, mailbox.url, window_seconds=WINDOW)
    mailbox.hold_answers = True
    async with running_process(environment_of(settings)) as killed:
        await ledger.publish(event("spared", threshold(100)), event("spared", tokens_exhausted()))
        ledger.standings["spared"] = standing("spared", used=1_000_000, granted=5_000)
        await eventually(lambda: len(mailbox.mails) == 1, 30)
        killed.kill()
        await killed.wait()
    mailbox.hold_answers = False
    async with running(settings):
        await ledger.publish(event("spared", access_restored(granted=5_000)))
        await eventually(lambda: _has_rows(database, "spared", 3))
        await database.end_lease("spared")
        await eventually(lambda: _all_ended(database, "spared", 3))
    assert mailbox.kinds == ["threshold-100", "threshold-100"]
    assert sorted(await database.statuses("spared")) == ["overtaken", "overtaken", "sent"]


async def test_who_may_have_read_to_be_out_is_told_to_be_back_also_where_the_mail_is_refused_the_second_time(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    settings = settings_for(migrated_url, nats_url, mailbox.url, window_seconds=WINDOW)
    mailbox.hold_answers = True
    async with running_process(environment_of(settings)) as killed:
        await ledger.publish(event("gone", tokens_exhausted()))
        await eventually(lambda: len(mailbox.mails) == 1, 30)
        killed.kill()
        await killed.wait()
    mailbox.hold_answers = False
    mailbox.recipient_answers = ["550 5.1.1 no such user"]
    async with running(settings):
        await database.end_lease("gone")
        await eventually(lambda: _all_ended(database, "gone", 1))
        await ledger.publish(event("gone", access_restored(granted=5_000)))
        await eventually(lambda: _all_ended(database, "gone", 2))
    assert await database.statuses("gone") == ["failed", "sent"]
    assert mailbox.kinds == ["tokens-exhausted", "access-restored"]


async def test_the_window_outlives_the_process_that_opened_it_and_two_share_it(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    settings = settings_for(migrated_url, nats_url, mailbox.url, window_seconds=6.0)
    async with running(settings):
        await ledger.publish(event("restart", threshold(80)), times=3)
        await eventually(lambda: _has_rows(database, "restart", 1))
    assert mailbox.mails == []
    async with (
        running(settings),
        running(settings_for(migrated_url, nats_url, mailbox.url, window_seconds=6.0)),
    ):
        await asyncio.gather(*(ledger.publish(event("restart", threshold(percent))) for percent in (90, 95)))
        await eventually(lambda: _all_ended(database, "restart", 3), 30)
    assert mailbox.kinds == ["threshold-95"]
    assert mailbox.mails[0]["X-Solaris-Also"] == "threshold-90, threshold-80"


async def test_restored_access_is_mailed_once_and_only_while_it_is_true(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        await ledger.publish(event("back", tokens_exhausted()))
        await eventually(lambda: mailbox.kinds == ["tokens-exhausted"])
        await ledger.publish(event("back", access_restored(granted=50_000)), times=5)
        await eventually(lambda: len(mailbox.mails) == 2)
        await eventually(ledger.handled)
    assert mailbox.kinds == ["tokens-exhausted", "access-restored"]
    assert "50.000 tokens" in text_of(mailbox.mails[1])


async def test_a_notice_is_due_ten_seconds_after_it_came_unless_told_otherwise(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    variables = environment_of(settings_for(migrated_url, nats_url, mailbox.url))
    del variables["SOLARIS_ALERT_WINDOW_SECONDS"]
    async with running_process(variables):
        await ledger.publish(event("default", threshold(80)))
        await eventually(lambda: _has_rows(database, "default", 1), 30)
    due = "SELECT due_at - created_at = interval '10 seconds' FROM notifier.messages WHERE account_id = 'default'"
    assert [row[0] for row in await database.rows(due)] == [True]
