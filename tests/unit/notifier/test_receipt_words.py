"""What receipts say and show: every sort in both languages, at the edges of the figures, and of hostile names."""

import re
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage

import pytest
from contracts.events.billing import OrderSource, PlanChange, PlanEnd, TakenBackFor
from notifier.domain.billing_notices import ToldBillingEvent
from notifier.domain.composing import Standing
from notifier.domain.receipts import Receipt
from notifier.mail.rendering import Addressee, render_mail

from tests.support import receipt_examples as say
from tests.support.mail_bodies import html_of, text_of
from tests.support.receipt_examples import EXAMPLES, NOW, ORDER
from tests.unit.notifier.rendered import STYLE, UNSOLD, Page
from tests.unit.notifier.rendered import render as render_alert

LANGUAGES = ("pt-BR", "en")
OFFERS = (
    *("compre créditos", "comprar créditos", "nova compra", "assine"),
    *("buy credits", "buy them", "subscribe again"),
)
STANDINGS: dict[str, Standing | None] = {
    "unknown": None,
    "well off": say.standing(),
    "nothing": say.standing(used=0, limit=0, granted=0, exhausted=True),
    "one": say.standing(used=999_999, granted=0),
    "indebted": say.standing(granted=0, debt=120_000, exhausted=True),
    "indebted, older ledger": say.standing(granted=0, debt=120_000, exhausted=None),
    "beyond": say.standing(used=3 * 2**50, limit=2**50, granted=2**52, debt=1),
}


def render(receipt: Receipt, locale: str = "pt-BR", *, sold: bool = True) -> EmailMessage:
    return render_alert(receipt, locale=locale, style=STYLE if sold else UNSOLD)


@pytest.mark.parametrize("locale", LANGUAGES)
@pytest.mark.parametrize("standing", STANDINGS.values(), ids=STANDINGS)
@pytest.mark.parametrize("data", EXAMPLES.values(), ids=EXAMPLES)
def test_every_sort_is_a_whole_mail_whatever_the_account_is(
    data: ToldBillingEvent, standing: Standing | None, locale: str
) -> None:
    for works_again in (False, True):
        receipt = say.receipt(data, standing, works_again=works_again)
        mail = render(receipt, locale)
        assert mail["X-Solaris-Kind"] == receipt.lead.kind
        assert mail["X-Solaris-Also"] == ("access-restored" if works_again else None)
        assert mail["Content-Language"] == locale
        assert mail["Auto-Submitted"] == "auto-generated"
        text, html = text_of(mail), html_of(mail)
        page = Page(html)
        assert page.open == []
        (link,) = page.links
        assert link.startswith("https://solaris.example/app/")
        assert link in text
        for part in (text, html):
            assert "None" not in part
            assert not re.search(r"(?<![\d.,])1 tokens", part)
        assert "Ana" in text
        assert not re.search(r"[{}]|\S  |\s[.,:;]\s", text.replace(link, "")), "no gap, nothing unfilled"


@pytest.mark.parametrize("locale", LANGUAGES)
def test_a_plan_that_another_has_replaced_meanwhile_is_not_said_to_give_what_that_one_gives(locale: str) -> None:
    data = say.subscribed(PlanChange.STARTED)
    for heard, is_told in ((data.revision, True), (None, True), (data.revision + 1, False)):
        mail = render(say.receipt(data, replace(say.standing(limit=1_234_567), heard_revision=heard)), locale)
        plan, _, balance = text_of(mail).partition("Seu saldo agora" if locale == "pt-BR" else "Your balance now")
        figure = "1.234.567" if locale == "pt-BR" else "1,234,567"
        assert (figure in plan) is is_told
        assert figure in balance


@pytest.mark.parametrize("locale", LANGUAGES)
@pytest.mark.parametrize("data", EXAMPLES.values(), ids=EXAMPLES)
def test_where_nothing_can_be_bought_no_receipt_offers_to(data: ToldBillingEvent, locale: str) -> None:
    for standing in STANDINGS.values():
        mail = render(say.receipt(data, standing), locale, sold=False)
        text = text_of(mail)
        assert "/buy" not in text
        for offer in OFFERS:
            assert offer not in text.lower()


@pytest.mark.parametrize(
    ("locale", "brl", "others"),
    [
        ("pt-BR", "R$ 74,90", {"usd": "US$ 14,90", "kwd": "KWD 1,490", "krw": "KRW 1.490", "jpy": "JPY 1.490"}),
        ("en", "R$ 74.90", {"usd": "US$ 14.90", "kwd": "KWD 1.490", "krw": "KRW 1,490", "jpy": "JPY 1,490"}),
    ],
)
def test_a_receipt_tells_what_was_bought_for_how_much_and_what_there_is_now(
    locale: str, brl: str, others: dict[str, str]
) -> None:
    separator = "." if locale == "pt-BR" else ","
    mail = render(say.receipt(say.purchased(), say.standing(granted=612_345)), locale)
    for part in (text_of(mail), html_of(mail)):
        for what in ("small", f"500{separator}000 tokens", brl, ORDER, f"612{separator}345 tokens"):
            assert what in part
    for currency, amount in others.items():
        assert amount in text_of(render(say.receipt(say.purchased(amount_minor=1_490, currency=currency)), locale))


def test_each_source_is_told_as_what_it_is() -> None:
    subjects = {
        source: str(render(say.receipt(say.purchased(source=source)), "pt-BR")["Subject"]) for source in OrderSource
    }
    assert subjects == {
        OrderSource.PACKAGE: "Compra confirmada: 500.000 tokens",
        OrderSource.TOP_UP: "Recarga automática feita: 500.000 tokens",
        OrderSource.VOUCHER: "Código aceito: 500.000 tokens",
        OrderSource.MANUAL: "Créditos lançados: 500.000 tokens",
    }
    voucher = say.purchased(source=OrderSource.VOUCHER, amount_minor=0, package_id=None)
    assert "pagamento" not in text_of(render(say.receipt(voucher, say.standing())))
    courtesy = say.purchased(source=OrderSource.MANUAL, amount_minor=0, package_id=None)
    assert "payment" not in text_of(render(say.receipt(courtesy, say.standing()), "en"))


def test_tokens_that_expire_say_when_and_others_that_they_never_do() -> None:
    expiring = say.purchased(source=OrderSource.VOUCHER, expires_at=NOW + timedelta(days=60))
    text = text_of(render(say.receipt(expiring, say.standing())))
    assert "Use esses tokens até 19 de janeiro de 2027, 12:04 (UTC\N{MINUS SIGN}3)" in text
    assert "não expiram" not in text
    assert "These tokens never expire" in text_of(render(say.receipt(say.purchased(), say.standing()), "en"))


def test_who_paid_is_named_only_as_somebody_else() -> None:
    for data in (say.purchased(payer_id="bia-secret"), say.subscribed(payer_id="bia-secret")):
        for locale, words in zip(LANGUAGES, ("outra pessoa", "somebody else"), strict=True):
            mail = render(say.receipt(data, say.standing()), locale)
            assert words in text_of(mail)
            assert "bia" not in mail.as_string()


def test_the_chat_works_again_only_where_the_ledger_said_so() -> None:
    silent = text_of(render(say.receipt(say.purchased(), say.standing()), "en"))
    spoken = text_of(render(say.receipt(say.purchased(), say.standing(), works_again=True), "en"))
    assert "works again" not in silent
    assert "Your chat works again" in spoken


def test_a_purchase_that_does_not_bring_the_chat_back_says_why() -> None:
    indebted = text_of(render(say.receipt(say.purchased(), STANDINGS["indebted"])))
    assert "cobriram parte de um débito de uso anterior. Faltam 120.000 tokens" in indebted
    few = text_of(render(say.receipt(say.purchased(tokens=7), say.standing(granted=7, exhausted=True))))
    assert "O que há agora (7 tokens) ainda não basta" in few
    less = text_of(render(say.receipt(say.purchased(), say.standing(granted=499_999)), "en"))
    assert "You now have 499,999 tokens to use. If there was a debt from earlier use, it was taken off first." in less


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (TakenBackFor.REFUND, "Reembolsamos R$ 37,45 de um pedido seu."),
        (TakenBackFor.DISPUTE, "foi contestado"),
        (TakenBackFor.FRAUD_WARNING, "pode não ter sido autorizado"),
    ],
)
def test_what_is_taken_back_says_why_and_what_it_means(cause: TakenBackFor, said: str) -> None:
    well_off = text_of(render(say.receipt(say.revoked(cause), say.standing())))
    assert said in well_off
    assert "Retiramos 250.000 tokens da sua conta." in well_off
    assert "Você ainda tem 500.000 tokens para usar, e o chat continua funcionando." in well_off
    indebted = text_of(render(say.receipt(say.revoked(cause), STANDINGS["indebted"])))
    assert "ficou um débito de 120.000 tokens" in indebted
    assert "Não há tokens para usar agora, e o chat está em pausa." in indebted
    few = text_of(render(say.receipt(say.revoked(cause), say.standing(granted=9, exhausted=True))))
    assert "O que resta (9 tokens) não basta, e o chat está em pausa." in few
    suspended = text_of(render(say.receipt(say.revoked(cause), say.standing(is_active=False))))
    assert "Você ainda tem 500.000 tokens para usar." in suspended
    assert "https://solaris.example/app/buy?t=" in indebted
    nothing = text_of(render(say.receipt(say.revoked(cause, tokens=0), None)))
    assert "Nenhum token foi retirado" in nothing
    assert "\N{MINUS SIGN}0" not in html_of(render(say.receipt(say.revoked(cause, tokens=0), None)))


@pytest.mark.parametrize("language", ["pt-BR", "en"])
@pytest.mark.parametrize("cause", [TakenBackFor.FRAUD_WARNING, TakenBackFor.REFUND])
def test_where_no_money_moved_none_is_named(cause: TakenBackFor, language: str) -> None:
    mails = [
        render(say.receipt(say.revoked(cause, amount_minor=0), say.standing()), language),
        render(say.receipt(say.restored(cause, amount_minor=0), say.standing()), language),
    ]
    for mail in mails:
        whole = f"{mail['Subject']} {text_of(mail)} {html_of(mail)}"
        for amount in ("R$", "Sem custo", "Free", "Valor", "Amount"):
            assert amount not in whole


def test_a_warning_of_fraud_names_no_amount_beside_what_was_refunded_before() -> None:
    mail = render(say.receipt(say.revoked(TakenBackFor.FRAUD_WARNING, amount_minor=1_001), say.standing()))
    assert "R$" not in mail["Subject"]
    assert "um pagamento seu pode não ter sido autorizado" in text_of(mail)


def test_a_failed_renewal_says_until_when_the_plan_lasts_and_the_second_time_that_it_is_the_last() -> None:
    first, second = (render(say.receipt(say.renewal_failed(reminder), say.standing())) for reminder in (1, 2))
    for mail in (first, second):
        assert "até 23 de novembro de 2026, 12:04 (UTC\N{MINUS SIGN}3)" in text_of(mail)
        assert "R$ 249,00" in text_of(mail)
        assert "23/11/2026" in html_of(mail)
    assert str(first["Subject"]) == "A renovação do seu plano premium não foi paga"
    assert str(second["Subject"]) == "Último aviso: seu plano premium termina em breve"


def test_each_change_and_end_of_a_plan_reads_differently() -> None:
    changes = [say.subscribed(change) for change in PlanChange] + [say.ended(cause) for cause in PlanEnd]
    for locale in LANGUAGES:
        mails = [render(say.receipt(data, say.standing()), locale) for data in changes]
        said = {(str(mail["Subject"]), text_of(mail).splitlines()[2]) for mail in mails}
        assert len(said) == len(changes)


@pytest.mark.parametrize(
    "name",
    [
        "<b>small</b>",
        "small\r\nBcc: everyone@example.com",
        "evil.example",
        "https://evil.example/",
        "\N{RIGHT-TO-LEFT OVERRIDE}llams",
        "s" * 200,
        "{{ 7 * 7 }}",
        "small\N{ZERO WIDTH SPACE}",
        "a@b",
        "",
    ],
)
@pytest.mark.parametrize("locale", LANGUAGES)
def test_a_name_that_is_none_is_left_out_and_reaches_no_header(name: str, locale: str) -> None:
    named: list[ToldBillingEvent] = [
        say.purchased(package_id=name),
        say.purchased(package_id=name, source=OrderSource.TOP_UP),
        say.purchased(package_id=name, source=OrderSource.MANUAL),
        say.top_up_paused(package_id=name),
        say.ended(plan=name),
        say.renewal_failed(plan=name),
        *(say.subscribed(change, plan=name) for change in PlanChange),
    ]
    for data in named:
        mail = render(say.receipt(data, say.standing()), locale)
        whole = str(mail["Subject"]) + text_of(mail) + html_of(mail)
        assert not name or name not in whole
        for trace in ("evil", "Bcc", "<b>", "\N{RIGHT-TO-LEFT OVERRIDE}", "ssss", "a@b"):
            assert trace not in whole
        assert mail["Bcc"] is None


@pytest.mark.parametrize("name", ["small", "Plano Básico", "pro-2.5", "日本", "Pro+"])
def test_a_plain_name_is_shown(name: str) -> None:
    mail = render(say.receipt(say.subscribed(plan=name), say.standing()))
    assert name in text_of(mail)
    assert name in str(mail["Subject"])


def test_the_longest_order_breaks_no_table_and_a_person_s_name_no_header() -> None:
    receipt = say.receipt(say.purchased(order_id="o" * 128), say.standing())
    style = replace(STYLE, presentation=replace(STYLE.presentation, brand="B" * 60))
    hostile = Addressee(email="ana@example.com", name="Ana\r\nBcc: x@y.z", locale="pt-BR")
    mail = render_mail(receipt, hostile, style, now=NOW, named_after=receipt.lead)
    assert mail["Bcc"] is None
    assert max(len(line) for line in mail.as_bytes().splitlines()) <= 998
    assert "overflow-wrap:anywhere" in html_of(mail)
