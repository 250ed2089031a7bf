"""What people read when a call is refused, and how their history is cleaned of it."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from contracts.errors import RefusalCode
from contracts.purchase_links import link_with_token, sign_purchase_link
from contracts.reservations import RefusalFigures, Refused, RefusingCap
from gateway.domain.notice_marks import is_notice, marked, without_notices
from gateway.domain.notices import MAX_LINE_LENGTH, refusal_line, refusal_notice
from gateway.domain.outages import Outage, outage_line, outage_notice
from gateway.http.errors import TOLD_IN_CHAT
from hypothesis import given
from hypothesis import strategies as st
from language.choice import Language
from language.formats import format_number
from language.presentation import Presentation
from msgspec.structs import replace

KEY = b"a key"
FIGURES = RefusalFigures(
    available=2**53,
    needed=2**53,
    monthly_limit=2**53,
    monthly_used=2**53,
    credits=0,
    resets_at=datetime(2026, 12, 1, 2, 0, tzinfo=UTC),
)


PUBLIC_URL = "http://127.0.0.1:8080"
PURCHASE_URL = "https://solaris.example/buy"
LONG_URL = "https://" + "x" * 112
TOO_LARGE = replace(FIGURES, available=5_000, needed=23_840, exhausted=False)
BUSY = replace(FIGURES, available=85, needed=274, monthly_limit=400, monthly_used=0, exhausted=False)
DEBT = replace(FIGURES, available=9_500, needed=9_900, monthly_limit=10_000, monthly_used=0, held=0, exhausted=False)
HELD = replace(DEBT, available=9_300, held=700)
HELD_BUT_TOO_LITTLE = replace(DEBT, available=9_300, held=200)
OUT = replace(DEBT, available=-500, monthly_used=10_000, exhausted=True)
CAPPED = replace(OUT, available=85, needed=274, cap=RefusingCap(scope="day"))
CAPPED_MODEL = replace(CAPPED, cap=RefusingCap(scope="week", every_model=False))
CAP_HELD = replace(CAPPED, held=300, exhausted=False)
NO_ALLOWANCE = replace(FIGURES, available=0, needed=274, monthly_limit=0, monthly_used=0)
SOLD = [None, FIGURES, TOO_LARGE, BUSY, NO_ALLOWANCE, DEBT, HELD, HELD_BUT_TOO_LITTLE, OUT]
UNSOLD = [CAPPED, CAPPED_MODEL, CAP_HELD, replace(CAPPED, cap=RefusingCap(scope="of a newer ledger"))]


def signed(page: str, account: str = "507f1f77bcf86cd799439011") -> str:
    """The page's link for an account, by default that of somebody of LibreChat."""
    return link_with_token(page, sign_purchase_link(account, FIGURES.resets_at, KEY))


def presentation(purchase_url: str | None = PURCHASE_URL, *, public_url: str = PUBLIC_URL) -> Presentation:
    return Presentation(
        brand="IA SOLARIS",
        public_url=public_url,
        purchase_url=purchase_url,
        default_language=Language.PORTUGUESE,
        time_zone=ZoneInfo("America/Sao_Paulo"),
    )


def insufficient(figures: RefusalFigures | None) -> Refused:
    return Refused(reservation_id="r", code=RefusalCode.INSUFFICIENT_TOKENS, figures=figures)


def texts(figures: RefusalFigures | None, language: Language, style: Presentation) -> tuple[str, str]:
    """What an error says and what a chat says."""
    refused = insufficient(figures)
    return refusal_line(refused, language, style), refusal_notice(refused, language, style)


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("code", sorted(TOLD_IN_CHAT - {RefusalCode.INSUFFICIENT_TOKENS}))
@pytest.mark.parametrize("url", [PUBLIC_URL, LONG_URL])
def test_line_is_short_single_and_has_its_link(language: Language, code: RefusalCode, url: str) -> None:
    refused = Refused(reservation_id="r", code=code, retry_after_seconds=7)
    line = refusal_line(refused, language, presentation(public_url=url))
    assert len(line) <= MAX_LINE_LENGTH
    assert "\n" not in line
    assert (url in line) is (code is not RefusalCode.RATE_LIMITED)
    notice = refusal_notice(refused, language, presentation(public_url=url))
    if code is not RefusalCode.RATE_LIMITED:
        assert f"]({url}" in notice


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("page", [PURCHASE_URL, LONG_URL])
@pytest.mark.parametrize("figures", SOLD)
def test_who_lacks_tokens_is_linked_to_where_credits_are_bought(
    language: Language, page: str, figures: RefusalFigures | None
) -> None:
    url = signed(page)
    line, notice = texts(figures, language, presentation(url))
    assert len(line) <= MAX_LINE_LENGTH
    assert "\n" not in line
    assert line.endswith(url)
    assert f"]({url})" in notice
    with_figures = texts(replace(TOO_LARGE, exhausted=True), language, presentation(signed(PURCHASE_URL)))
    assert all(format_number(23_840, language) in text for text in with_figures), "an everyday link leaves room"


@pytest.mark.parametrize("language", list(Language))
def test_a_link_that_does_not_fit_is_left_out_of_the_line_whole(language: Language) -> None:
    url = signed(LONG_URL, "a" * 128)
    line, notice = texts(FIGURES, language, presentation(url))
    assert len(line) <= MAX_LINE_LENGTH
    assert "http" not in line
    assert line.endswith(".")
    assert f"]({url})" in notice
    assert signed(PURCHASE_URL, "a" * 128) in refusal_line(
        insufficient(FIGURES), language, presentation(signed(PURCHASE_URL, "a" * 128))
    )


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize(
    ("figures", "url"), [*((figures, None) for figures in SOLD), *((figures, PURCHASE_URL) for figures in UNSOLD)]
)
def test_where_nothing_can_be_bought_or_it_would_not_help_no_text_links_or_speaks_of_it(
    language: Language, figures: RefusalFigures | None, url: str | None
) -> None:
    line, notice = texts(figures, language, presentation(url))
    assert len(line) <= MAX_LINE_LENGTH
    for text in (line, notice):
        assert "http" not in text
        assert "](" not in text
        for word in ("compr", "crédito", "buy", "credit"):
            assert word not in text.lower()
        assert text.rstrip("*").endswith(".")
        assert "{" not in text


@pytest.mark.parametrize("language", list(Language))
def test_who_has_no_allowance_is_not_told_that_it_renews(language: Language) -> None:
    renews = "renova" if language is Language.PORTUGUESE else "renews"
    assert all(renews in text for text in texts(FIGURES, language, presentation(None)))
    assert not any(renews in text for text in texts(NO_ALLOWANCE, language, presentation(None)))


def test_figures_and_dates_are_written_as_the_person_writes_them() -> None:
    portuguese = refusal_line(insufficient(FIGURES), Language.PORTUGUESE, presentation())
    english = refusal_line(insufficient(FIGURES), Language.ENGLISH, presentation())
    assert "9.007.199.254.740.992" in portuguese
    assert "30/11/2026" in portuguese  # still the evening before in São Paulo
    assert "9,007,199,254,740,992" in english
    assert "Nov 30, 2026" in english


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("outage", list(Outage))
def test_outages_are_told_in_both_languages(outage: Outage, language: Language) -> None:
    assert 0 < len(outage_line(outage, language)) <= MAX_LINE_LENGTH


@given(st.text(), st.text(alphabet=" \n\t", max_size=4))
def test_only_what_was_marked_is_a_notice(text: str, spaces: str) -> None:
    assert is_notice(marked(text, KEY) + spaces, KEY)
    assert not is_notice(marked(text, b"another key"), KEY)
    assert not is_notice(marked(text, KEY) + " more", KEY)
    assert not is_notice("more " + marked(text, KEY), KEY)
    assert not is_notice(text, KEY)


@pytest.mark.timeout(60)  # seconds at most, where backtracking would take hours
def test_long_texts_are_looked_at_once() -> None:
    for text in (" " * 5_000_000, "[solaris-notice]: #" * 200_000, "\n[solaris-notice]: #" + "é" * 32):
        assert not is_notice(text + "x", KEY)
        assert not is_notice(text, KEY)


def test_notices_are_removed_from_assistants_messages_alone() -> None:
    notice = marked("You are out.", KEY)
    question = {"role": "user", "content": notice}
    answer = {"role": "assistant", "content": "An answer."}
    mixed = {"role": "assistant", "content": [{"type": "text", "text": notice}, {"type": "text", "text": "kept"}]}
    messages: list[dict[str, Any]] = [
        question,
        {"role": "assistant", "content": notice},
        answer,
        mixed,
        {"role": "assistant", "content": [{"type": "text", "text": notice}]},
        {"role": "assistant", "content": None, "tool_calls": []},
    ]
    assert without_notices(messages, KEY) == [
        question,
        answer,
        {"role": "assistant", "content": [{"type": "text", "text": "kept"}]},
        messages[-1],
    ]
    assert without_notices([question, answer], KEY) is None


@pytest.mark.parametrize("language", list(Language))
def test_a_call_refused_for_its_size_is_told_to_start_anew_and_not_that_all_is_gone(language: Language) -> None:
    start_anew = "Comece uma" if language is Language.PORTUGUESE else "Start a new"
    for text in texts(TOO_LARGE, language, presentation()):
        assert start_anew in text
        assert format_number(23_840, language) in text
        assert format_number(5_000, language) in text


@pytest.mark.parametrize("language", list(Language))
def test_a_call_refused_for_what_calls_in_flight_hold_is_told_to_wait_and_not_to_start_anew(language: Language) -> None:
    portuguese = language is Language.PORTUGUESE
    for text in texts(BUSY, language, presentation()):
        assert ("Espere que termine" if portuguese else "Wait until it ends") in text
        assert ("Comece uma" if portuguese else "Start a new") not in text
        assert "274" in text
        assert "85" in text


WAIT = {Language.PORTUGUESE: "Outro pedido seu", Language.ENGLISH: "Another request of yours"}
SHORTEN = {Language.PORTUGUESE: "Comece uma conversa nova", Language.ENGLISH: "Start a new"}
RENEWS = {
    Language.PORTUGUESE: "Sua cota renova em 30/11/2026",
    Language.ENGLISH: "Your allowance renews on Nov 30, 2026",
}
CAP_RENEWS = {
    Language.PORTUGUESE: "Esse limite renova em 30/11/2026",
    Language.ENGLISH: "That limit renews on Nov 30, 2026",
}
ADVICE = [WAIT, SHORTEN, RENEWS, CAP_RENEWS]


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize(
    ("figures", "advice"),
    [
        (HELD, WAIT),
        (CAP_HELD, WAIT),
        (HELD_BUT_TOO_LITTLE, SHORTEN),
        (DEBT, SHORTEN),
        (OUT, RENEWS),
        (CAPPED, CAP_RENEWS),
        (CAPPED_MODEL, CAP_RENEWS),
        (replace(DEBT, held=None), WAIT),  # an older ledger, which does not say
        (replace(TOO_LARGE, held=None), SHORTEN),
    ],
)
def test_people_are_told_what_helps_and_nothing_else(
    figures: RefusalFigures, advice: dict[Language, str], language: Language
) -> None:
    for text in texts(figures, language, presentation(None)):
        assert [each for each in ADVICE if each[language] in text] == [advice]


@pytest.mark.parametrize(
    ("figures", "portuguese", "english"),
    [
        (CAPPED, "limite diário do seu plano", "daily limit of your plan"),
        (CAPPED_MODEL, "limite semanal do seu plano para este modelo", "weekly limit of your plan for this model"),
        (UNSOLD[-1], "limite do seu plano", "limit of your plan"),
    ],
)
def test_a_cap_of_the_plan_is_told_by_its_name(figures: RefusalFigures, portuguese: str, english: str) -> None:
    assert all(portuguese in text for text in texts(figures, Language.PORTUGUESE, presentation()))
    assert all(english in text for text in texts(figures, Language.ENGLISH, presentation()))


@pytest.mark.parametrize("outage", list(Outage))
def test_nothing_was_charged_is_said_only_where_it_is_true(outage: Outage) -> None:
    charged = outage in {Outage.INTERRUPTED, Outage.ANSWER_CUT}
    for language, words in ((Language.PORTUGUESE, "Nada foi cobrado"), (Language.ENGLISH, "Nothing was charged")):
        for text in (outage_line(outage, language, "x"), outage_notice(outage, language, "x")):
            assert (words in text) is not charged
            assert "{" not in text
