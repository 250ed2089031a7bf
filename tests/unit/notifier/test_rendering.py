"""What a mail says and looks like, and what untrusted profiles cannot do to it."""

from datetime import timedelta

import pytest
from contracts.purchase_links import sign_purchase_link

from tests.support.mail_bodies import html_of, text_of
from tests.unit.notifier.rendered import KEY, KINDS, NOW, STYLE, UNSOLD, Page, alert, render


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("locale", ["pt-BR", "en"])
def test_every_kind_has_figures_link_and_headers_in_both_parts_and_languages(kind: str, locale: str) -> None:
    mail = render(alert(kind, granted=250_000, debt=1_520), locale=locale)
    assert mail["X-Solaris-Kind"] == kind
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == locale
    assert mail["Date"] == "Thu, 20 Nov 2025 15:04:00 +0000"
    assert mail["From"].addresses[0].display_name == STYLE.presentation.brand
    assert mail["From"].addresses[0].addr_spec == "avisos@solaris.example"
    assert mail["To"] == "ana@example.com"
    assert mail["Reply-To"] is None
    assert mail["Message-ID"].endswith("@solaris.example>")
    separator = "." if locale == "pt-BR" else ","
    token = "" if kind == "access-restored" else sign_purchase_link("ana", NOW + timedelta(days=7), KEY)
    link = f"https://solaris.example/app/buy?t={token}" if token else "https://solaris.example/app/"
    for part in (text_of(mail), html_of(mail)):
        for number in ("812.345", "1.000.000", "187.655", "250.000", "1.520"):
            assert number.replace(".", separator) in part
        assert "81%" in part or kind == "access-restored"
        assert link in part
    page = Page(html_of(mail))
    assert page.open == []
    assert page.links == [link], "no picture, no style sheet, no script from elsewhere"
    assert not {"img", "link", "script", "iframe"} & set(page.tags)


def test_portuguese_is_told_in_the_account_s_time_zone() -> None:
    mail = render(alert())
    assert mail["Subject"] == "Você já usou 80% da sua franquia mensal de tokens"
    assert "Renovação: 1º de dezembro de 2025, 00:00 (UTC\N{MINUS SIGN}3)" in text_of(mail)
    assert "Olá, Ana!" in text_of(mail)


def test_english_follows_the_profile() -> None:
    mail = render(alert(), locale="en-US")
    assert mail["Subject"] == "You have used 80% of your monthly tokens"
    assert "Renews on: December 1, 2025, 12:00 AM (UTC\N{MINUS SIGN}3)" in text_of(mail)
    assert "Hello Ana," in text_of(mail)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("granted", [0, 9])
@pytest.mark.parametrize("locale", ["pt-BR", "en"])
def test_where_nothing_can_be_bought_no_mail_speaks_of_buying(kind: str, granted: int, locale: str) -> None:
    mail = render(alert(kind, granted=granted), locale=locale, style=UNSOLD)
    for subtype in ("plain", "html"):
        body = mail.get_body((subtype,))
        assert body is not None
        text = str(body.get_content()).lower()
        for word in ("buy", "compr", "payment", "pagamento"):
            assert word not in text
        assert "https://solaris.example/app/" in text
        if kind == "tokens-exhausted":
            assert ("renews on december 1" if locale == "en" else "se renova em 1º de dezembro") in text


def test_a_used_up_allowance_says_whether_credits_take_over() -> None:
    alone = render(alert("threshold-100", used=1_000_000), locale="en")
    with_credits = render(alert("threshold-100", used=1_000_000, granted=9), locale="en")
    assert "taken over" not in str(alone["Subject"])
    assert "taken over" in str(with_credits["Subject"])


@pytest.mark.parametrize(
    ("locale", "sentence"),
    [
        ("pt-BR", "Você também atingiu 80%, 90%, 95% e 100% da franquia mensal: "),
        ("en", "You also reached 80%, 90%, 95% and 100% of the monthly allowance: "),
    ],
)
def test_the_others_are_named_in_both_parts_and_in_a_header(locale: str, sentence: str) -> None:
    kinds = ["threshold-100", "threshold-95", "threshold-90", "threshold-80"]
    mail = render(alert("tokens-exhausted", *kinds, used=1_000_000), locale=locale)
    assert mail["X-Solaris-Kind"] == "tokens-exhausted"
    assert mail["X-Solaris-Also"] == ", ".join(kinds)
    assert sentence in text_of(mail)
    assert sentence in html_of(mail)
    assert render(alert("tokens-exhausted"))["X-Solaris-Also"] is None


def test_one_other_and_the_end_of_the_allowance_are_named_too() -> None:
    assert "You also reached 80% of the monthly allowance: " in text_of(
        render(alert("threshold-90", "threshold-80"), locale="en")
    )
    assert "Você também atingiu 77% da franquia mensal e o fim da franquia mensal: " in text_of(
        render(alert("tokens-exhausted", "allowance-exhausted", "threshold-77"))
    )


def test_a_warning_says_where_use_stands_by_now() -> None:
    assert "chegou a 80% da franquia mensal e já está em 97%. Ainda há 30.000 tokens até" in text_of(
        render(alert(used=970_000))
    )
    assert "chegou a 80% da franquia mensal. Ainda há 200.000 tokens até" in text_of(render(alert(used=800_000)))
    assert "have taken over" in text_of(render(alert(used=1_200_000, granted=5), locale="en"))


def test_being_out_says_what_is_left_and_promises_no_renewal_of_nothing() -> None:
    assert "Não resta nenhum token" in text_of(render(alert("tokens-exhausted", used=1_000_000)))
    assert "O que resta (90 tokens) não basta nem para uma resposta curta" in text_of(
        render(alert("tokens-exhausted", used=999_910))
    )
    nothing = text_of(render(alert("tokens-exhausted", used=0, limit=0), locale="en"))
    assert "Or wait" not in nothing
    assert "%" not in nothing
    assert "renews on" not in nothing


def test_restored_access_shows_what_there_is_and_no_alarm() -> None:
    mail = render(alert("access-restored", "threshold-100", used=1_000_000, granted=50_000))
    assert mail["Subject"] == "Você já pode voltar ao chat"
    assert "você tem de novo 50.000 tokens para usar" in text_of(mail)
    assert "#dc2626" not in html_of(mail)
    assert "50.000 <span" in html_of(mail)


def test_debt_is_shown_only_where_there_is_one() -> None:
    assert "Débito" not in text_of(render(alert()))
    assert "Débito: 7 tokens" in text_of(render(alert(debt=7)))


@pytest.mark.parametrize("locale", ["pt-BR", "en"])
def test_one_token_is_no_tokens_in_the_table_as_in_the_sentences(locale: str) -> None:
    text = text_of(render(alert(used=999_999, granted=1), locale=locale))
    assert sum(line.endswith(": 1 token") for line in text.splitlines()) == 2  # left of the allowance, credits
    assert "1 tokens" not in text


def test_use_beyond_the_limit_keeps_the_bar_within_its_width() -> None:
    html = html_of(render(alert("threshold-100", used=2_500_000)))
    assert "250%</td>" in html
    assert 'width="100%" height="12"' in html


def test_markup_in_the_brand_and_names_is_escaped_or_left_out() -> None:
    html = html_of(render(alert(), name="<script>alert(1)</script>"))
    assert "<script" not in html
    assert "alert" not in html
    assert "IA SOLARIS &amp; Cia &lt;1&gt;" in html


@pytest.mark.parametrize(
    ("name", "greeting"), [("Jose\u0301", "Olá, José!"), ("आरती शर्मा", "Olá, आरती!"), ("🌸 Ana", "Olá, Ana!")]
)
def test_names_of_any_script_are_greeted_in_both_parts(name: str, greeting: str) -> None:
    mail = render(alert(), name=name)
    assert greeting in text_of(mail)
    assert greeting in html_of(mail).replace("<bdi>", "").replace("</bdi>", "")


def test_names_in_the_profile_never_reach_a_header() -> None:
    mail = render(alert(), name="Ana\r\nX-Evil: 1")
    assert mail["X-Evil"] is None
    assert "Ana" not in str(mail["To"])
