"""Whatever an operator mistypes, in whatever verb: one line that says so, an exit code, and nothing is changed."""

import asyncio
from typing import Final

import pytest
from ledger.operate import settings as operate_settings
from ledger.operate.__main__ import VERBS

from tests.support.ledger_operate import CATALOG, Ran
from tests.support.typing_errors import NO_KEYS, NO_NUMBERS, NO_REASONS, TypingErrors, everything

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
    "import": {"file": str(CATALOG)},
    "export": {"account": KNOWN},
    "forget": {"account": KNOWN},
    "verify": {},
    "checkpoint": {},
    "replay": {},
    "republish": {},
    "dead-letters": {},
    "dead-letters-retry": {},
    "dead-letters-discard": {"id": "ledger:1", "reason": "r"},
    "usage": {},
    "statement": {"account": KNOWN},
    "explain": {"id": "r-00000001"},
    "holds": {},
    "overview": {},
    "requests": {},
    "refusals": {},
    "reconcile": {},
    "people": {},
}
"""What each verb needs, typed right."""

NO_POSITIONS: Final = ("-1", "1.5", "1e3", "x", " 7", "9" * 19, "9" * 400)
WRONG: Final[dict[str, tuple[str, ...]]] = {
    "account": (UNKNOWN, "a b", "á", "a\n", "ana@example.com", "a" * 129, "*", "' OR 1=1"),
    "tokens": NO_NUMBERS,
    "reason": NO_REASONS,
    "key": NO_KEYS,
    "new": ("yes", "0", "true", "-1"),
    "show": ("yes", "0"),
    "custom": ("yes", "0"),
    "plan": ("prro", "PRO", " pro", "p" * 65, "*"),
    "lot": ("no-such-lot", " ", "l" * 600),
    "file": ("/no/such/people.csv", "/", "/dev/zero", " ", "f" * 4_097, "a zero \x00"),
    "apply": ("yes", "0"),
    "credits_per_token": (*NO_NUMBERS, "0"),
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
    "sort": ("--used", "+used", "monthly_used", "Name", "-", "used desc"),
    "older": ("15", "m", "-1m", "0s", "1.5h", "2 h", "1w", "15M", "9" * 9 + "d"),
    "projection": ("balances", "Accounts", "*"),
    "source": ("guesses", "LITELLM", " "),
    "threshold": ("-1", "101", "nan", "1e3", "0,5", "x"),
    "correct": ("yes", "0"),
    "model": (" ", "m" * 257, "half a pair: \udcff"),
    "tag": (" ", "t" * 65, "half a pair: \udcff"),
    "by": ("year", "Day", " "),
    "format": ("xml", "JSON", " "),
    "explain id": (" ", "i" * 257, "half a pair: \udcff"),
    "code": (" ", "c" * 257),
    "requests id": ("no-such-request", " ", "r" * 257, "half a pair: \udcff"),
    "checkpoint": ("x", "{}", "[]", "null", "4711", '{"position": "1"}', '{"position": 1, "events": 1, "digest": 7}'),
    "since": ("x", "{}", "lastest", "-1", "1.5", "4711"),
    "states": ("yes", "0"),
    "due": ("yes", "0"),
    "anew": NO_REASONS,
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

ABSENT: Final = {UNKNOWN, "no-such-request", "nobody at all", "4711", "ledger:999999", "0001-01-01", "1999-01-01"}
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
    "import": ("apply", "key", "credits_per_token", "format"),
    "verify": ("checkpoint", "since", "states"),
    "checkpoint": ("due", "anew"),
    "replay": ("projection",),
    "usage": ("account", "model", "tag", "from", "to", "by", "format"),
    "people": ("who", "sort", "format"),
    "overview": ("from", "to", "format"),
    "statement": ("from", "to", "format"),
    "explain": ("account", "format"),
    "holds": ("account", "older", "format"),
    "requests": ("account", "id", "code", "from", "to", "format"),
    "refusals": ("account", "from", "to", "by", "format"),
    "reconcile": ("from", "to", "source", "file", "threshold", "format", "correct", "due"),
    "republish": ("from", "to"),
    "dead-letters-retry": ("id",),
}


ERRORS: Final = TypingErrors(needed=NEEDED, optional=OPTIONAL, wrong=WRONG, harmless={"account": UNKNOWN, "new": "1"})


@pytest.fixture
def settings(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLARIS_DATABASE_URL", ledger_url)
    monkeypatch.setenv("SOLARIS_CATALOG", str(CATALOG))
    monkeypatch.delenv("SOLARIS_NATS_URL", raising=False)
    # It is for a process of its own: in this one, later tests would look for warnings that are filtered out.
    monkeypatch.setattr(operate_settings, "configure_logging", lambda *_: None)


def test_every_verb_is_mistyped_here_with_each_of_its_options() -> None:
    assert ERRORS.left_out(VERBS) == set()


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("verb", NEEDED)
def test_a_typing_error_is_told_in_one_line_and_changes_nothing(
    ledger_url: str, verb: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = asyncio.run(everything(ledger_url, "ledger"))
    for words in ERRORS.of(verb):
        ran = Ran(VERBS.run(words), *capfd.readouterr())
        is_absent = "--new=1" not in words and any(word.partition("=")[2] in ABSENT for word in words)
        ran.assert_refused(1 if is_absent else 2)
    assert asyncio.run(everything(ledger_url, "ledger")) == before
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
