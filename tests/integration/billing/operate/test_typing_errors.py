"""Whatever an operator mistypes, in whatever verb: one line that says so, an exit code, and nothing is changed."""

import asyncio
from typing import Final

import pytest
from billing.operate import settings as operate_settings
from billing.operate.__main__ import VERBS

from tests.support.ledger_operate import CATALOG, NOWHERE, Ran
from tests.support.typing_errors import NO_KEYS, NO_NUMBERS, NO_REASONS, TypingErrors, everything, words_of

NO_ORDER: Final = "ord_" + "0" * 32
NEEDED: Final[dict[str, dict[str, str]]] = {
    "order": {"account": "ana", "tokens": "7", "paid_by": "cash", "reference": "E-1", "reason": "r"},
    "approve": {"order": NO_ORDER},
    "refund": {"order": NO_ORDER, "reason": "r"},
    "unfreeze": {"order": NO_ORDER, "reason": "r"},
    "orders": {},
    "billing-sync": {},
    "billing-republish": {},
    "republish": {},
    "stripe-setup": {},
    "stripe-check": {},
    "top-up": {"account": "ana", "package": "small", "below": "7"},
    "vouchers": {"tokens": "7", "count": "1", "reason": "r"},
    "vouchers-withdraw": {"batch": "1", "reason": "r"},
    "export": {"account": "ana"},
    "forget": {"account": "ana"},
    "dead-letters": {},
    "dead-letters-retry": {},
    "dead-letters-discard": {"id": "billing:1", "reason": "r"},
}
"""What each verb needs, typed right."""

NO_DAYS: Final = (
    *("yesterday", "26/11/2026", "11/26/2026", "26.11.2026", "2026-02-30", "2026-13-01", "2026", "1764115200"),
    *("2026-11-26T10:00", "0001-01-01", "9999-12-31", "2026-W48-4", " 2026-11-26"),
)
NO_LINES: Final = (" ", "\t\n", "x" * 201, "half a pair: \udcff", "a zero \x00", "two\nlines", "a bell \x07", " before")
WRONG: Final[dict[str, tuple[str, ...]]] = {
    "account": ("a b", "á", "a\n", "ana@example.com", "a" * 129, "*", "' OR 1=1"),
    "payer": ("a b", "á", "*"),
    "order": ("a b", "é", "o" * 65, "*", "' OR 1=1", "ord_none", f" {NO_ORDER}", NO_ORDER.upper(), NO_ORDER),
    "tokens": (*NO_NUMBERS, "0"),
    "count": (*NO_NUMBERS, "0", "10001"),
    "uses": (*NO_NUMBERS, "0", "1000001"),
    "per_account": (*NO_NUMBERS, "0", "2"),
    "expires_days": (*NO_NUMBERS, "0", "36501"),
    "batch": (*NO_NUMBERS, "0", "999999"),
    "amount": NO_NUMBERS,
    "below": (*NO_NUMBERS, "0"),
    "monthly_cap": (*NO_NUMBERS, "0"),
    "off": ("yes", "0", "1"),
    "currency": ("BRL", "br", "real", "b1l", "R$", " brl"),
    "package": ("smal", "SMALL", *NO_LINES),
    "paid_by": (*NO_LINES, "x" * 65),
    "reference": NO_LINES,
    "reason": NO_REASONS,
    "key": NO_KEYS,
    "state": ("Paid", "refunded", "*"),
    "format": ("xml", "JSON", "tables"),
    "from": NO_DAYS,
    "to": NO_DAYS,
    "until": (*NO_DAYS, "2020-01-01"),
    "show": ("yes", "0"),
    "id": ("1", "billing:", "billing:x", "billing:-1", "billing:999999", "biling:1", "ledger:1", "billing:1:2"),
}
"""What is no right value of an option, in whatever verb."""

ABSENT: Final = {NO_ORDER, "999999", "billing:999999"}
"""Of those what could be right, and is not there: exit code 1 and not 2."""

OPTIONAL: Final[dict[str, tuple[str, ...]]] = {
    "order": ("package", "amount", "currency", "payer", "key"),
    "refund": ("amount",),
    "orders": ("order", "account", "state", "from", "to", "format"),
    "billing-sync": ("from",),
    "stripe-setup": ("show",),
    "top-up": ("monthly_cap", "currency", "payer", "off"),
    "vouchers": ("uses", "per_account", "until", "expires_days"),
    "forget": ("reason",),
    "dead-letters-retry": ("id",),
}


ERRORS: Final = TypingErrors(needed=NEEDED, optional=OPTIONAL, wrong=WRONG)


@pytest.fixture
def settings(billing_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLARIS_DATABASE_URL", billing_url)
    monkeypatch.setenv("SOLARIS_CATALOG", str(CATALOG))
    monkeypatch.setenv("SOLARIS_NATS_URL", NOWHERE)
    monkeypatch.delenv("SOLARIS_STRIPE_API_KEY", raising=False)
    # It is for a process of its own: in this one, later tests would look for warnings that are filtered out.
    monkeypatch.setattr(operate_settings, "configure_logging", lambda *_: None)


def test_every_verb_is_mistyped_here_with_each_of_its_options() -> None:
    assert ERRORS.left_out(VERBS) == {"vouchers batch"}


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("verb", NEEDED)
def test_a_typing_error_is_told_in_one_line_and_changes_nothing(
    billing_url: str, verb: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = asyncio.run(everything(billing_url, "billing"))
    for words in ERRORS.of(verb):
        ran = Ran(VERBS.run(words), *capfd.readouterr())
        is_absent = any(word.partition("=")[2] in ABSENT for word in words) and _is_readable(words)
        ran.assert_refused(1 if is_absent else 2)
    assert asyncio.run(everything(billing_url, "billing")) == before


def _is_readable(words: list[str]) -> bool:
    """Whether nothing but what it names is wrong: all else is read before anything is looked for."""
    given = dict(word.removeprefix("--").split("=", 1) for word in words[1:] if "=" in word)
    names_what_is_not_there = {name for name, value in given.items() if value in ABSENT}
    known = NEEDED.get(words[0])
    if known is None or "surplus" in words or not set(given) <= {*known, *OPTIONAL.get(words[0], ())}:
        return False
    others = {name: value for name, value in given.items() if name not in names_what_is_not_there}
    return set(known) <= set(given) and all(value and value not in WRONG[name] for name, value in others.items())


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["refnd", "--order=o"], "Did you mean 'refund'?"),
        (words_of("order", NEEDED["order"] | {"amount": "74,90"}), "AMOUNT: a whole number from 0 to"),
        (words_of("order", NEEDED["order"] | {"package": "small"}), "PACKAGE=… or TOKENS=… is needed, and not both"),
        (["order", "--account=ana", "--package=smal", "--paid_by=x", "--reference=y", "--reason=z"], "catalog sells"),
        (["order", "--account=ana", "--tokens=7", "--reference=y", "--reason=z"], "PAID_BY=… is needed"),
        (["orders", "--state=refunded"], "STATE: one of awaiting_approval, created"),
        (["orders", "--from=26/11/2026"], "FROM: a day such as 2026-12-31"),
        (["orders", f"--order={NO_ORDER}"], f"no order {NO_ORDER}"),
        (["orders", "--order=ord_none"], "32 letters and digits"),
        (["vouchers", "--tokens=7", "--count=1", "--reason=r", "--until=2020-01-01"], "UNTIL: that day is over"),
        (["billing-sync", "--from=2099-01-01"], "purchases are off"),
    ],
)
def test_what_is_told_says_what_to_type(words: list[str], told: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert VERBS.run(words) != 0
    assert told.lower() in capfd.readouterr().err.lower()
