"""A storm: two notifiers killed and frozen again and again, a moody mail server, events delivered repeatedly."""

import asyncio
import contextlib
import random
import signal
from collections import Counter

from aiosmtpd.smtp import SMTP, Envelope, Session
from local_run.ports import any_free
from notifier.application.sending import LEASE

from tests.integration.notifier.mailbox import Mailbox, serving
from tests.integration.notifier.stage import (
    Database,
    Ledger,
    environment_of,
    event,
    running_process,
    settings_for,
    threshold,
    tokens_exhausted,
)
from tests.support import receipt_examples as say
from tests.support.eventually import eventually

ACCOUNTS = [f"storm-{number}" for number in range(60)]
GRAVITY = {"threshold-80": 80, "threshold-90": 90, "threshold-95": 95, "threshold-100": 100, "tokens-exhausted": 300}
REFUSALS = ["451 4.7.1 later", "554 5.7.1 Relay access denied", "552 5.2.2 full", "421 4.3.2 bye"]
LIVES = 4
"""How often each of the two processes is started anew before the storm is over."""


class MoodyMailbox(Mailbox):
    """Slow now and then, and now and then in no mood to take a mail that it would take a moment later."""

    whims = random.Random(7)

    async def handle_RCPT(  # noqa: N802  aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.whims.random() < 0.05:
            return self.whims.choice(REFUSALS)
        if self.whims.random() < 0.1:
            await asyncio.sleep(self.whims.random())
        return await super().handle_RCPT(server, session, envelope, address, options)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.whims.random() < 0.03:
            return "550 5.7.26 unauthenticated"
        if self.whims.random() < 0.05:
            await asyncio.sleep(self.whims.random())
        return await super().handle_DATA(server, session, envelope)


async def keep_killing(variables: dict[str, str], rng: random.Random) -> None:
    for _ in range(LIVES):
        async with running_process(variables) as process:
            await asyncio.sleep(2 + rng.random() * 3)  # its life
            if rng.random() < 0.4:
                process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(1)
                process.send_signal(signal.SIGCONT)
                await asyncio.sleep(1)


async def use_up(ledger: Ledger, account_id: str) -> None:
    rng = random.Random(account_id)
    bought, refunded = say.purchased(), say.revoked()
    for data in (threshold(80), bought, threshold(90), threshold(95), refunded, threshold(100), tokens_exhausted()):
        await asyncio.sleep(rng.choice([0.05, 1.0, 3.0]))  # crossed together, or apart
        await ledger.publish(event(account_id, data), times=rng.choice([1, 1, 3]))


async def test_in_a_storm_everything_is_told_once_and_in_order(
    ledger: Ledger, migrated_url: str, nats_url: str, database: Database
) -> None:
    mailbox = MoodyMailbox(port=any_free())
    all_variables = [
        environment_of(settings_for(migrated_url, nats_url, mailbox.url, window_seconds=0.5)) for _ in range(2)
    ]
    with serving(mailbox):
        storm = [keep_killing(variables, random.Random(seed)) for seed, variables in enumerate(all_variables)]
        await asyncio.gather(*storm, *(use_up(ledger, account) for account in ACCOUNTS))
        async with contextlib.AsyncExitStack() as calm:
            for variables in all_variables:
                await calm.enter_async_context(running_process(variables))
            await eventually(lambda: _all_ended(database, ledger), 2 * LEASE.total_seconds() + 60)
    told: Counter[tuple[str, str]] = Counter()
    order: dict[str, list[int]] = {}
    seen = set()
    for mail, recipient in zip(mailbox.mails, mailbox.recipients, strict=True):
        if mail["Message-ID"] in seen:
            continue  # taken by the server from a process that was killed before it heard so
        seen.add(mail["Message-ID"])
        kind, others = str(mail["X-Solaris-Kind"]), str(mail["X-Solaris-Also"] or "")
        told.update((recipient, each.strip()) for each in [kind, *others.split(",")] if each.strip())
        if kind in GRAVITY:
            order.setdefault(recipient, []).append(GRAVITY[kind])
    assert [kinds for kinds in order.values() if kinds != sorted(kinds)] == []
    assert {key: count for key, count in told.items() if count != 1} == {}
    # Of the thresholds one may have come after a higher one was told: its event was delivered again, late.
    rows = await database.rows("SELECT account_id, kind FROM notifier.messages WHERE status <> 'overtaken'")
    assert set(told) == {(f"{row['account_id']}@example.com", row["kind"]) for row in rows}
    for of_everyone in ("tokens-exhausted", "credits-purchased", "credits-revoked"):
        assert {recipient for recipient, kind in told if kind == of_everyone} == {
            f"{account}@example.com" for account in ACCOUNTS
        }


async def _all_ended(database: Database, ledger: Ledger) -> bool:
    waiting = await database.rows("SELECT 1 FROM notifier.messages WHERE status LIKE 'pending%' LIMIT 1")
    return waiting == [] and await ledger.handled()
