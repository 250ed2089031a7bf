"""Whatever an operator mistypes, in whatever verb: one line that says so, an exit code, and nothing is changed."""

import asyncio
from collections.abc import Iterator
from typing import Final

import asyncpg
import pytest
from ledger.operate import settings as operate_settings
from ledger.operate.__main__ import VERBS
from typer.core import TyperGroup
from typer.main import get_command

from tests.support.ledger_operate import CATALOG, Ran

KNOWN: Final = "account-00003"
UNKNOWN: Final = "acount-00003"

NEEDED: Final[dict[str, dict[str, str]]] = {
    "balance": {"account": KNOWN},
    "events": {},
    "lots": {"account": KNOWN},
    "credit": {"account": KNOWN, "tokens": "7", "reason": "r"},
    "revoke": {"account": KNOWN, "lot": "of the test", "tokens": "7", "reason": "r"},
    "plan": {"account": KNOWN, "plan": "pro"},
    "limit": {"account": KNOWN, "tokens": "7"},
    "suspend": {"account": KNOWN, "reason": "r"},
    "activate": {"account": KNOWN, "reason": "r"},
    "block": {"account": KNOWN, "reason": "r"},
    "correct-cycle": {"account": KNOWN, "reason": "r"},
    "apply-catalog": {},
    "find": {"who": KNOWN},
    "export": {"account": KNOWN},
    "forget": {"account": KNOWN},
    "verify": {},
    "replay": {},
    "republish": {},
    "dead-letters": {},
    "dead-letters-retry": {},
    "dead-letters-discard": {"id": "ledger:1", "reason": "r"},
    "seed": {},
}
"""What each verb needs, typed right."""

TOO_LONG: Final = "x" * 501
NO_NUMBERS: Final = (
    "-1",
    "-0",
    "1.5",
    "7.0",
    "1e6",
    "1_000",
    "1.000",
    "+7",
    "٣",
    " 7",
    "7k",
    "0x7",
    "NaN",
    "inf",
    str(2**53 + 1),
    "9" * 400,
)
NO_POSITIONS: Final = ("-1", "1.5", "1e3", "x", " 7", "9" * 19, "9" * 400)
NO_REASONS: Final = (" ", "\t\n", TOO_LONG, "half a pair: \udcff", "a zero \x00")
WRONG: Final[dict[str, tuple[str, ...]]] = {
    "account": (UNKNOWN, "a b", "á", "a\n", "ana@example.com", "a" * 129, "*", "' OR 1=1"),
    "tokens": NO_NUMBERS,
    "reason": NO_REASONS,
    "key": (" ", "k" * 129, "half a pair: \udcff"),
    "new": ("yes", "0", "true", "-1"),
    "show": ("yes", "0"),
    "custom": ("yes", "0"),
    "plan": ("prro", "PRO", " pro", "p" * 65, "*"),
    "lot": ("no-such-lot", " ", "l" * 600),
    "who": ("nobody at all", " ", "é", "%", "w" * 321),
    "at": (
        *("yesterday", "26/11/2026", "11/26/2026", "26.11.2026", "2026-02-30", "2026-13-01", "2026", "1764115200"),
        *(
            "2026-11-26T25:00",
            "2026-11-26T10:00+99:00",
            "2026-11-26 at 10",
            "9999-12-31T23:59:59-12:00",
            "0001-01-01",
            "1999-01-01",
        ),
    ),
    "from": NO_POSITIONS,
    "to": (*NO_POSITIONS, "0"),
    "projection": ("balances", "Accounts", "*"),
    "checkpoint": ("x", "{}", "[]", "null", "7", '{"position": "1"}', '{"position": 1, "events": 1, "digest": 7}'),
    "id": (
        "1",
        "ledger:",
        "ledger:x",
        "ledger:-1",
        "ledger:1.5",
        "ledger:999999",
        "ledgr:1",
        "notifier:1",
        "ledger:1:2",
    ),
}
"""What is no right value of an option, in whatever verb."""

ABSENT: Final = {UNKNOWN, "nobody at all", "ledger:999999", "0001-01-01", "1999-01-01"}
"""Of those what could be right, and is not there: exit code 1 and not 2."""

OPTIONAL: Final[dict[str, tuple[str, ...]]] = {
    "balance": ("at",),
    "events": ("account", "from", "to"),
    "credit": ("key", "new"),
    "revoke": ("key",),
    "plan": ("reason", "key", "new"),
    "limit": ("reason", "key", "new"),
    "suspend": ("key", "new"),
    "activate": ("key", "new"),
    "block": ("key", "new"),
    "apply-catalog": ("plan", "reason", "show", "custom"),
    "forget": ("reason",),
    "verify": ("checkpoint",),
    "replay": ("projection",),
    "republish": ("from", "to"),
    "dead-letters-retry": ("id",),
}


def mistyped(verb: str) -> Iterator[list[str]]:
    """Command lines of one verb, each wrong in one place."""
    needed, optional = NEEDED[verb], OPTIONAL.get(verb, ())
    for name in needed:
        yield _words(verb, {other: value for other, value in needed.items() if other != name})
    for name in (*needed, *optional):
        yield _words(verb, needed | {name: ""})
        for value in WRONG[name]:
            yield _words(verb, needed | {name: value})
            if "new" in optional and name not in {"account", "new"}:  # nor is an account opened for it
                yield _words(verb, needed | {name: value, "account": UNKNOWN, "new": "1"})
    yield [*_words(verb, needed), "--tokns=7"]
    yield [*_words(verb, needed), "surplus"]
    yield _words(verb[:-1], needed)


def _words(verb: str, options: dict[str, str]) -> list[str]:
    return [verb, *(f"--{name}={value}" for name, value in options.items())]


async def _everything(url: str) -> dict[str, str]:
    """A digest of the rows of every table of the ledger."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'ledger'")
        rows = "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '')"
        return {name: await connection.fetchval(f'{rows} FROM ledger."{name}" AS t') for (name,) in tables}
    finally:
        await connection.close()


@pytest.fixture
def settings(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLARIS_DATABASE_URL", ledger_url)
    monkeypatch.setenv("SOLARIS_CATALOG", str(CATALOG))
    monkeypatch.delenv("SOLARIS_NATS_URL", raising=False)
    # It is for a process of its own: in this one, later tests would look for warnings that are filtered out.
    monkeypatch.setattr(operate_settings, "configure_logging", lambda *_: None)


def test_every_verb_is_mistyped_here() -> None:
    group = get_command(VERBS.commands([]))
    assert isinstance(group, TyperGroup)
    assert set(NEEDED) == set(group.commands)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("verb", NEEDED)
def test_a_typing_error_is_told_in_one_line_and_changes_nothing(
    ledger_url: str, verb: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = asyncio.run(_everything(ledger_url))
    for words in mistyped(verb):
        ran = Ran(VERBS.run(words), *capfd.readouterr())
        is_absent = "--new=1" not in words and any(word.partition("=")[2] in ABSENT for word in words)
        ran.assert_refused(1 if is_absent else 2)
    assert asyncio.run(_everything(ledger_url)) == before
    assert VERBS.run(["verify"]) == 0


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["credti", f"--account={KNOWN}"], "Did you mean 'credit'?"),
        ([], "Missing command"),
        (["plan", f"--account={KNOWN}", "--plan=prro"], "the catalog has basic, enterprise, premium, pro"),
        (["credit", f"--account={KNOWN}", "--tokens=-5", "--reason=r"], "TOKENS: a whole number from 1 to 9007"),
        (["credit", f"--account={KNOWN}", "--tokens=0", "--reason=r"], "TOKENS: a whole number from 1 to 9007"),
        (["revoke", f"--account={KNOWN}", "--lot=l", "--tokens=0", "--reason=r"], "TOKENS: a whole number from 1 to"),
        (["limit", f"--account={KNOWN}", "--tokens=-5"], "TOKENS: a whole number from 0 to 9007"),
        (["credit", f"--account={UNKNOWN}", "--tokens=5", "--reason=r"], f"no account {UNKNOWN}; NEW=1 opens it"),
        (["balance", f"--account={KNOWN}", "--at=26/11/2026"], "AT: an ISO 8601 time such as"),
        (["balance", f"--account={KNOWN}", "--at=1999-01-01"], "was opened later, at 2026"),
        (["suspend", f"--account={KNOWN}"], "REASON=… is needed"),
    ],
)
def test_what_is_told_says_what_to_type(words: list[str], told: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert VERBS.run(words) != 0
    assert told in capfd.readouterr().err
