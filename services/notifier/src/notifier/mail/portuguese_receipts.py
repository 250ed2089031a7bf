"""The sentences of receipts about orders and auto top-up in Brazilian Portuguese."""

from typing import Final

from contracts.events.billing import (
    CreditsPurchased,
    OrderSource,
    PaymentFailed,
    PurchaseRestored,
    PurchaseRevoked,
    TakenBackFor,
    TopUpPause,
    TopUpPaused,
)

from notifier.mail import portuguese
from notifier.mail import portuguese_phrases as say
from notifier.mail.sentences import ReceiptLabels, Situation, Target, Words

LABELS: Final = ReceiptLabels(
    details="Detalhes",
    balance="Seu saldo agora",
    bought="Compra",
    package="Pacote",
    package_named="Pacote {name}",
    top_up="Recarga automática",
    voucher="Código promocional",
    manual="Lançamento manual",
    tokens="Quantidade",
    tokens_taken_back="Retirados",
    tokens_given_back="Devolvidos",
    amount="Valor",
    free="Sem custo",
    paid_by="Pago por",
    somebody_else="outra pessoa",
    valid_until="Válidos até",
    order="Pedido",
    date="Data",
    plan="Plano",
    period="Período",
    period_from_to="{start} a {end}",
    plan_ends="Fim do plano",
    tokens_a_month="tokens por mês",
    not_paid="não pagos",
    last_day="último dia do plano",
)


def credits_purchased(data: CreditsPurchased, situation: Situation) -> Words:
    tokens, brand = say.tokens_counted(data.tokens), situation.brand
    match data.source:
        case OrderSource.PACKAGE:
            subject = f"Compra confirmada: {tokens}"
            what = _credited(data, brand)
        case OrderSource.TOP_UP:
            subject = f"Recarga automática feita: {tokens}"
            price = f" por {say.money(data)}" if data.amount_minor else ""
            what = (
                f"Seu saldo baixou até o limite que você escolheu, e a recarga automática comprou {tokens}{price}. "
                f"Você pode mudá-la ou desligá-la quando quiser, {say.WHERE.format(brand=brand)}."
            )
        case OrderSource.VOUCHER:
            subject = f"Código aceito: {tokens}"
            what = f"Seu código valeu {tokens}, que creditamos na sua conta do {brand}."
        case OrderSource.MANUAL:
            subject = f"Créditos lançados: {tokens}"
            what = _credited(data, brand)
    lasting = (
        f"Use esses tokens até {say.moment(data.expires_at, situation)}: o que sobrar depois disso expira."
        if data.expires_at
        else "Esses tokens não expiram e só são usados depois da franquia mensal."
    )
    return Words(
        subject=subject,
        headline="Seus tokens chegaram e o chat voltou" if situation.works_again else "Seus tokens chegaram",
        paragraphs=(what, *say.available(situation, raised_by=data.tokens), *(() if situation.is_out else (lasting,))),
        offer=say.NEEDS_MORE if situation.is_out else None,
        button=say.BUY if situation.is_out else portuguese.LABELS.see_usage,
        target=Target.PURCHASE if situation.is_out else Target.USAGE,
    )


def credits_revoked(data: PurchaseRevoked, situation: Situation) -> Words:
    tokens, money, appeal = say.tokens_counted(data.tokens), say.money(data), ""
    match data.cause:
        case TakenBackFor.REFUND if not data.amount_minor:
            subject, headline = f"Créditos retirados: {tokens}", "Um pedido seu foi desfeito"
            why = "Desfizemos um pedido seu que não teve custo."
        case TakenBackFor.REFUND:
            subject, headline = f"Reembolso de {money}", "Um pedido seu foi reembolsado"
            why = f"Reembolsamos {money} de um pedido seu."
        case TakenBackFor.DISPUTE:
            subject, headline = f"Pagamento contestado: {money}", "Um pagamento seu foi contestado"
            why = (
                f"Um pagamento de {money} foi contestado no banco ou na operadora do cartão. Enquanto isso não se "
                "resolve, os tokens correspondentes ficam fora da sua conta; se a compra for confirmada, eles voltam."
            )
        case TakenBackFor.FRAUD_WARNING:
            # A warning says nothing of money: none has moved.
            subject, headline = "Um pagamento seu está em análise", "Um pagamento seu está em análise"
            why = (
                "A operadora do cartão avisou que um pagamento seu pode não ter sido autorizado pelo titular. Até que "
                "isso se esclareça, os tokens dele que restavam ficam fora da sua conta."
            )
            appeal = f" Se foi você quem pagou, {say.TALK.format(brand=situation.brand)}."
    removed = f"Retiramos {tokens} da sua conta." if data.tokens else "Nenhum token foi retirado da sua conta."
    return Words(
        subject=subject,
        headline=headline,
        paragraphs=(f"{why} {removed}{appeal}", *say.after_taking_back(situation)),
        offer=say.NEEDS_MORE if say.lacks(situation) else None,
        button=say.BUY if say.lacks(situation) else portuguese.LABELS.see_usage,
        target=Target.PURCHASE if say.lacks(situation) else Target.USAGE,
    )


def credits_restored(data: PurchaseRestored, situation: Situation) -> Words:
    match data.cause:
        case TakenBackFor.REFUND:
            why = "Um reembolso que tínhamos anunciado não pôde ser feito, e por isso os tokens dele são seus de novo."
        case TakenBackFor.DISPUTE:
            why = "A contestação de um pagamento seu terminou a favor da compra, e por isso os tokens dela voltaram."
        case TakenBackFor.FRAUD_WARNING:
            why = "A análise de um pagamento seu terminou bem, e por isso os tokens dele voltaram."
    headline = "Seus tokens voltaram, e o chat também" if situation.works_again else "Seus tokens voltaram"
    return Words(
        subject=f"Devolvemos {say.tokens_counted(data.tokens)} à sua conta",
        headline=headline,
        paragraphs=(
            f"{why} Creditamos {say.tokens_counted(data.tokens)} na sua conta do {situation.brand}.",
            *say.available(situation, raised_by=data.tokens),
        ),
        button=portuguese.LABELS.see_usage,
        target=Target.USAGE,
    )


def payment_failed(data: PaymentFailed, situation: Situation) -> Words:
    tokens, money = say.tokens_counted(data.tokens), say.money(data)
    if data.source is OrderSource.TOP_UP:
        subject, headline = "A recarga automática não foi paga", "A recarga automática não foi paga"
        what = f"A recarga automática tentou comprar {tokens} por {money}, e o pagamento foi recusado."
        then = "Nada foi cobrado, e nenhum token foi creditado."
    else:
        subject, headline = f"Pagamento de {money} não recebido", "Seu pagamento não chegou"
        what = (
            f"O pagamento de {money} por {tokens} não foi confirmado: o boleto ou Pix venceu sem ser pago, ou o banco "
            "o recusou."
        )
        then = "Por isso nenhum token foi creditado. Se você pagou e o valor saiu da sua conta bancária, "
        then += f"{say.TALK.format(brand=situation.brand)}."
    return Words(
        subject=subject,
        headline=headline,
        paragraphs=(what, then, *say.paused(situation)),
        offer="Se ainda quiser os tokens, faça uma nova compra: leva menos de um minuto.",
        button="Comprar de novo",
    )


def top_up_paused(data: TopUpPaused, situation: Situation) -> Words:
    match data.cause:
        case TopUpPause.AUTHENTICATION_REQUIRED:
            why = "O banco quer que o titular do cartão confirme o pagamento, e isso não pode ser feito sem ele."
            do = "Confirme o pagamento ou troque o cartão"
        case TopUpPause.FAILED_TWICE:
            why = "Dois pagamentos seguidos da recarga foram recusados."
            do = "Verifique o limite e a validade do cartão, ou troque-o"
        case TopUpPause.TAKEN_BACK:
            why = "Um pedido da recarga foi reembolsado ou contestado."
            do = "Se ainda a quiser, veja antes o que houve com o pagamento"
    then = f"{do}, e ligue a recarga de novo {say.WHERE.format(brand=situation.brand)}."
    return Words(
        subject="Sua recarga automática está em pausa",
        headline="Sua recarga automática está em pausa",
        paragraphs=(
            f"{why} Até que você a ligue de novo, nada é comprado automaticamente.",
            then,
            *say.paused(situation),
        ),
        offer="Enquanto isso, você pode comprar créditos você mesmo.",
        button=say.BUY,
    )


def _credited(data: CreditsPurchased, brand: str) -> str:
    credited = f"{say.tokens_counted(data.tokens)} na sua conta do {brand}"
    if not data.amount_minor:
        return f"Creditamos {credited}, sem custo."
    return f"{say.paid(data)}{',' if data.payer_id is not None else ''} e creditamos {credited}."
