"""A person goes through the whole stack, is handed out complete, is forgotten, and is nowhere but as a number."""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import nats
import openai
import pytest
from nats.js.errors import NotFoundError

from tests.support.eventually import eventually, eventually_blocking
from tests.support.stack import KEY, REPOSITORY, Stack

QUESTION: Any = [{"role": "user", "content": "What is a ledger?"}]
STAND_INS = {"mail", "stripe"}
"""Folders of those who stand in for a mail server and for Stripe: what they keep is theirs to delete."""
HOLDING = {
    *("ledger.profiles", "ledger.audit", "ledger.dead_letters", "notifier.dead_letters", "billing.dead_letters"),
    *("billing.webhook_events", "billing.order_changes", "billing.refunds"),
}
"""Tables in which a person's name or address may stand."""
DOCUMENT = REPOSITORY / "docs" / "privacy.md"


def _post(url: str, body: dict[str, object], *, key: str | None = None) -> dict[str, Any]:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


class Person:
    """Somebody whose name and address stand nowhere else."""

    def __init__(self, account: str) -> None:
        unique = account[-8:]
        self.account = account
        self.email = f"needle.{unique}@pessoa.example.org"
        self.name = f"Nadia Needle{unique} da Silva"
        self.words = (self.email, f"Needle{unique}", f"needle.{unique}")

    def client(self, stack: Stack) -> openai.OpenAI:
        return stack.client(self.account, **{"X-User-Email": self.email, "X-User-Name": self.name})

    def is_mailed(self, stack: Stack, kind: str) -> bool:
        return bool(stack.fetch_json(f"{stack.mailbox_url}/api/messages?to={self.email}&kind={kind}"))


async def test_an_exported_person_is_complete_and_a_forgotten_one_a_number(
    stack: Stack, account: str, tmp_path: Path
) -> None:
    person = Person(account)
    _live(stack, person, tmp_path)
    owner = await asyncpg.connect(stack.owner_database_url(), timeout=10)
    try:
        await _break_messages(owner, person)
        summed = "SELECT count(*) FROM projections.usage WHERE account_id = $1"
        await eventually(lambda: owner.fetchval(summed, account), 30)
        held = json.loads(_done(stack, "export", ACCOUNT=account))
        _check_complete(held, person)
        # The searches find what there is.
        assert set(await _tables_with(owner, person)) >= HOLDING
        await owner.execute("ANALYZE")  # whose samples outlast rows
        await owner.execute("CHECKPOINT")
        assert [*_database_files_with(stack, person)]

        _forget(stack, person)
        assert await _tables_with(owner, person) == []
        assert not await _messages_with(stack, person)
        assert [*_files_with(stack, person)] == []
        await _rewrite_as_documented(owner)
        assert [*_database_files_with(stack, person)] == []
        assert _done(stack, "find", WHO=account).count(account) == 1, "as a number"
        kept = json.loads(_done(stack, "export", ACCOUNT=account))
        assert len(kept["ledger"]["events"]) == len(held["ledger"]["events"])
        assert [order["amount_minor"] for order in kept["billing"]["orders"]] == [7_490]
        assert [entry["action"] for entry in kept["ledger"]["audit"]][-1] == "forget"
        assert all(word not in json.dumps(kept) for word in person.words)
        _done(stack, "verify")
        await _check_documented(owner)
    finally:
        await owner.close()


def _live(stack: Stack, person: Person, folder: Path) -> None:
    """Imported, chats, is mailed, buys, is refunded a part, is refused."""
    file = folder / "people.csv"
    file.write_text(f"id,email,name,limit\n{person.account},{person.email},{person.name},3000\n")
    assert stack.operate("import", FILE=file, APPLY=1).returncode == 0
    person.client(stack).chat.completions.create(model="demo-usage:2900:0:60", messages=QUESTION)
    stack.wait_settled(person.account)
    with pytest.raises(openai.APIStatusError) as refused:
        person.client(stack).chat.completions.create(model="demo-usage:2900:0:60", messages=QUESTION)
    assert refused.value.status_code == 402
    eventually_blocking(lambda: person.is_mailed(stack, "tokens-exhausted"), 60, message="a mail")
    bought = _post(
        f"{stack.billing_url}/billing/purchase-credits", {"package_id": "small", "account_id": person.account}, key=KEY
    )
    _post(f"{bought['checkout_url']}/pay", {"method": "card", "outcome": "paid", "email": person.email})
    eventually_blocking(lambda: stack.balance(person.account)["credits"] == 500_000, 60, message="credited")
    eventually_blocking(lambda: person.is_mailed(stack, "credits-purchased"), 60, message="a receipt")
    _done(stack, "refund", ORDER=bought["order_id"], AMOUNT=749, REASON=f"{person.name} did not like it")
    _done(stack, "credit", ACCOUNT=person.account, TOKENS=5, REASON=f"asked for by {person.email}")


async def _break_messages(owner: asyncpg.Connection, person: Person) -> None:
    """What no gateway sends, and a broken one might: messages that were given up on, with an address in them."""
    for schema in ("ledger", "notifier", "billing"):
        await owner.execute(
            f"INSERT INTO {schema}.dead_letters (consumer, message_id, subject, payload, reason)"
            " VALUES ('e2e', $1, $2, $3, 'odd')",
            *(person.account, f"solaris.usage.recorded.{person.account}", person.email.encode()),
        )


def _check_complete(held: dict[str, Any], person: Person) -> None:
    ledger, notifier, billing = held["ledger"], held["notifier"], held["billing"]
    assert (ledger["profile"]["email"], ledger["profile"]["name"]) == (person.email, person.name)
    assert ledger["balance"]["monthly_limit"] == 3_000
    types = {event["type"].removeprefix("solaris.ledger.").removesuffix(".v1") for event in ledger["events"]}
    assert types >= {"account_opened", "limit_changed", "usage_settled", "tokens_exhausted", "credits_granted"}
    assert {entry["action"] for entry in ledger["audit"]} == {"import", "credit"}
    assert {lot["source"] for lot in ledger["lots"]} == {"package", "admin"}
    assert ledger["ledger.holds"]
    assert ledger["projections.usage"], "sums of it too"
    assert {"tokens-exhausted", "credits-purchased"} <= {mail["kind"] for mail in notifier["mails"]}
    assert [order["state"] for order in billing["orders"]] == ["paid"]
    assert person.email in json.dumps(billing["stripe_events"])
    assert [refund["amount_minor"] for refund in billing["refunds"]] == [749]
    for part in (ledger, notifier, billing):
        assert person.email in json.dumps(part["dead_letters"])


def _forget(stack: Stack, person: Person) -> None:
    """As the documents say: once more where Stripe's events wait."""

    def is_forgotten() -> bool:
        told = [json.loads(line) for line in _done(stack, "forget", ACCOUNT=person.account).splitlines()]
        return bool(told[-1]["events_waiting"] == 0)

    eventually_blocking(is_forgotten, 60, message="all events handled")


async def _tables_with(owner: asyncpg.Connection, person: Person) -> list[str]:
    """Every table of every schema, with what Postgres keeps about them; bytes are searched as it shows them."""
    wanted = [f"%{text}%" for word in person.words for text in (word, word.encode().hex())]
    tables = await owner.fetch(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname <> 'information_schema'"
    )
    query = "SELECT EXISTS (SELECT FROM {} AS t WHERE t::text ILIKE ANY ($1::text[]))"
    return [table for (table,) in tables if await owner.fetchval(query.format(table), wanted)]


async def _messages_with(stack: Stack, person: Person) -> list[str]:
    connection = await nats.connect(stack.operator_environment()["SOLARIS_NATS_URL"], inbox_prefix=b"_INBOX_operator")
    try:
        streams = connection.jetstream()
        found = []
        for info in await streams.streams_info():
            name, state = str(info.config.name), info.state
            for sequence in range(state.first_seq, state.last_seq + 1):
                try:
                    message = await streams.get_msg(name, sequence, direct=True)
                except NotFoundError:
                    continue
                text = f"{message.subject} {message.headers} ".encode() + (message.data or b"")
                if any(word.encode().lower() in text.lower() for word in person.words):
                    found.append(f"{name} {sequence}")
        return found
    finally:
        await connection.close()


def _files_with(stack: Stack, person: Person) -> Iterator[str]:
    """Journal, streams on disk, checkpoints, logs, and whatever else stands in the data folder beside the database."""
    for path in _files_of(stack.directory, without={"postgres", *STAND_INS}):
        content = path.read_bytes().lower()
        if any(word.encode().lower() in content for word in person.words):
            yield str(path)


def _database_files_with(stack: Stack, person: Person) -> Iterator[str]:
    """The write-ahead log is left out: what was written stands there until it is recycled, as the documents say."""
    for path in _files_of(stack.directory / "postgres", without={"pg_wal"}):
        content = path.read_bytes()
        if any(word.encode() in content for word in person.words):
            yield str(path)


def _files_of(folder: Path, *, without: set[str]) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in without or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files_of(path, without=without)
        elif path.is_file():
            yield path


async def _rewrite_as_documented(owner: asyncpg.Connection) -> None:
    """The statements that the document tells those who must be sure to run."""
    (statements,) = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    for statement in statements.split(";"):
        if statement.strip():
            await owner.execute(statement, timeout=60)


async def _check_documented(owner: asyncpg.Connection) -> None:
    """Of every table that services keep the document says how long: a table that is added has to be thought of."""
    rows = await owner.fetch("""
        SELECT space.nspname || '.' || held.relname FROM pg_class AS held
        JOIN pg_namespace AS space ON space.oid = held.relnamespace
        WHERE held.relkind IN ('r', 'p') AND NOT held.relispartition AND held.relname <> 'alembic_version'
        AND space.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        AND (space.nspname <> 'projections' OR held.relname = 'tracks')
    """)
    named = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", DOCUMENT.read_text()))
    assert sorted({row[0] for row in rows} - named) == []


def _done(stack: Stack, verb: str, **values: object) -> str:
    completed = stack.operate(verb, **values)
    assert (completed.returncode, completed.stderr) == (0, ""), verb
    return completed.stdout
