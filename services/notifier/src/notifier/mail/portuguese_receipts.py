"""The sentences of receipts in Brazilian Portuguese."""

from datetime import datetime
from typing import Final

from contracts.events.billing import (
    CreditsPurchased,
    OrderSource,
    PaymentFailed,
    PlanChange,
    PlanEnd,
    PlanEnded,
    PlanSubscribed,
    PurchaseRestored,
    PurchaseRevoked,
    RenewalFailed,
    TakenBackFor,
    TopUpPause,
    TopUpPaused,
)
from language.choice import Language
from language.formats import format_count, format_moment, format_money

from notifier.mail import portuguese
from notifier.mail.sentences import ReceiptLabels, Situation, Target, Words

LABELS: Final = ReceiptLabels(
    details="Detalhes",
    balance="Seu saldo agora",
    bought="Compra",
    package="Pacote",
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
    never_expires="Não expiram",
    order="Pedido",
    date="Data",
    plan="Plano",
    period="Período",
    period_from_to="{start} a {end}",
    plan_ends="Fim do plano",
    tokens_unit="tokens",
    tokens_a_month="tokens por mês",
    not_paid="não pagos",
    last_day="último dia do plano",
)
_SEE_ACCOUNT: Final = "Abrir minha conta"
_BUY: Final = "Comprar créditos"
_TALK: Final = "fale com quem administra o {brand}"
_WHERE: Final = "na sua conta ou com quem administra o {brand}"


def credits_purchased(data: CreditsPurchased, situation: Situation) -> Words:
    tokens, brand = _tokens(data.tokens), situation.brand
    match data.source:
        case OrderSource.PACKAGE:
            subject = f"Compra confirmada: {tokens}"
            what = _credited(data, brand)
        case OrderSource.TOP_UP:
            subject = f"Recarga automática feita: {tokens}"
            price = f" por {_money(data)}" if data.amount_minor else ""
            what = (
                f"Seu saldo baixou até o limite que você escolheu, e a recarga automática comprou {tokens}{price}. "
                f"Você pode mudá-la ou desligá-la quando quiser, {_WHERE.format(brand=brand)}."
            )
        case OrderSource.VOUCHER:
            subject = f"Código aceito: {tokens}"
            what = f"Seu código valeu {tokens}, que creditamos na sua conta do {brand}."
        case OrderSource.MANUAL:
            subject = f"Créditos lançados: {tokens}"
            what = _credited(data, brand)
    lasting = (
        f"Use esses tokens até {_moment(data.expires_at, situation)}: o que sobrar depois disso expira."
        if data.expires_at
        else "Esses tokens não expiram e só são usados depois da franquia mensal."
    )
    return Words(
        subject=subject,
        headline="Seus tokens chegaram e o chat voltou" if situation.works_again else "Seus tokens chegaram",
        paragraphs=(what, *_available(situation, raised_by=data.tokens), *(() if situation.is_out else (lasting,))),
        offer=_NEEDS_MORE if situation.is_out else None,
        button=_BUY if situation.is_out else portuguese.LABELS.see_usage,
        target=Target.PURCHASE if situation.is_out else Target.USAGE,
    )


def credits_revoked(data: PurchaseRevoked, situation: Situation) -> Words:
    tokens, money, appeal = _tokens(data.tokens), _money(data), ""
    match data.cause:
        case TakenBackFor.REFUND:
            subject, headline = f"Reembolso de {money}", "Um pedido seu foi reembolsado"
            why = f"O reembolso é de {money}, e os tokens que ele tinha pago saem da sua conta."
        case TakenBackFor.DISPUTE:
            subject, headline = f"Pagamento contestado: {money}", "Um pagamento seu foi contestado"
            why = (
                f"Um pagamento de {money} foi contestado no banco ou na operadora do cartão. Enquanto isso não se "
                "resolve, os tokens correspondentes ficam fora da sua conta; se a compra for confirmada, eles voltam."
            )
        case TakenBackFor.FRAUD_WARNING:
            subject, headline = f"Pagamento em análise: {money}", "Um pagamento seu está em análise"
            why = (
                f"A operadora do cartão avisou que um pagamento de {money} pode não ter sido autorizado pelo titular. "
                "Até que isso se esclareça, os tokens dele que restavam ficam fora da sua conta."
            )
            appeal = f" Se foi você quem pagou, {_TALK.format(brand=situation.brand)}."
    removed = f"Retiramos {tokens} da sua conta." if data.tokens else "Nenhum token foi retirado da sua conta."
    return Words(
        subject=subject,
        headline=headline,
        paragraphs=(f"{why} {removed}{appeal}", *_after_taking_back(situation)),
        offer=_NEEDS_MORE if _lacks(situation) else None,
        button=_BUY if _lacks(situation) else portuguese.LABELS.see_usage,
        target=Target.PURCHASE if _lacks(situation) else Target.USAGE,
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
        subject=f"Devolvemos {_tokens(data.tokens)} à sua conta",
        headline=headline,
        paragraphs=(
            f"{why} Creditamos {_tokens(data.tokens)} na sua conta do {situation.brand}.",
            *_available(situation, raised_by=data.tokens),
        ),
        button=portuguese.LABELS.see_usage,
        target=Target.USAGE,
    )


def plan_subscribed(data: PlanSubscribed, situation: Situation) -> Words:
    plan, ends = _plan(data.plan), _moment(data.period_ends_at, situation)
    renews = f"O plano vale até {ends}, quando se renova automaticamente."
    paid = f"{_paid(data)}." if data.amount_minor else ""
    match data.change:
        case PlanChange.STARTED:
            subject, headline = f"Seu {plan} começou", f"Seu {plan} começou"
            what = f"{paid or 'Nada foi cobrado.'} {_allowance(situation)}{renews}"
        case PlanChange.RENEWED:
            subject, headline = f"Recibo: {plan} renovado", f"Seu {plan} foi renovado"
            what = f"{paid or 'Nada foi cobrado.'} {_allowance(situation)}{renews}"
        case PlanChange.UPGRADED:
            subject = headline = f"Agora você tem o {plan}"
            what = f"{paid} A mudança já vale, e o que você usou neste ciclo continua contado. {_allowance(situation)}"
            what = f"{what}{renews}".strip()
        case PlanChange.DOWNGRADED:
            subject = headline = f"Seu plano mudou para {data.plan}" if data.plan else "Seu plano mudou"
            what = f"{paid} A mudança que você pediu já vale. {_allowance(situation)}{renews}".strip()
    return Words(
        subject=subject,
        headline=headline,
        paragraphs=(what, *_works_again(situation), "Seus créditos comprados continuam seus, à parte do plano."),
        button=portuguese.LABELS.see_usage,
        target=Target.USAGE,
    )


def plan_ended(data: PlanEnded, situation: Situation) -> Words:
    plan = _plan(data.plan)
    match data.cause:
        case PlanEnd.CANCELLED:
            why = f"Sua assinatura do {plan} foi cancelada e terminou."
        case PlanEnd.UNPAID:
            why = f"Seu {plan} terminou porque a renovação não foi paga dentro do prazo."
        case PlanEnd.TAKEN_BACK:
            why = f"Seu {plan} terminou porque o pagamento dele foi reembolsado ou contestado."
        case PlanEnd.REPLACED:
            why = (
                f"Esta assinatura do {plan} foi encerrada porque outra tomou o lugar dela. Nada mais é cobrado por ela."
            )
    return Words(
        subject=f"Seu {plan} terminou" if data.cause != PlanEnd.REPLACED else f"Assinatura do {plan} encerrada",
        headline=f"Seu {plan} terminou" if data.cause != PlanEnd.REPLACED else "Uma assinatura sua foi encerrada",
        paragraphs=(why, f"{_allowance(situation)}Seus créditos comprados continuam seus.", *_paused(situation)),
        offer=None if data.cause == PlanEnd.REPLACED else "Quando quiser, assine de novo ou compre créditos.",
        button=portuguese.LABELS.see_usage if data.cause == PlanEnd.REPLACED else "Ver planos e créditos",
        target=Target.USAGE if data.cause == PlanEnd.REPLACED else Target.PURCHASE,
    )


def payment_failed(data: PaymentFailed, situation: Situation) -> Words:
    tokens, money = _tokens(data.tokens), _money(data)
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
        then += f"{_TALK.format(brand=situation.brand)}."
    return Words(
        subject=subject,
        headline=headline,
        paragraphs=(what, then, *_paused(situation)),
        offer="Se ainda quiser os tokens, faça uma nova compra: leva menos de um minuto.",
        button="Comprar de novo",
    )


def renewal_failed(data: RenewalFailed, situation: Situation) -> Words:
    plan, ends = _plan(data.plan), _moment(data.grace_ends_at, situation)
    last = data.reminder > 1
    return Words(
        subject=f"Último aviso: seu {plan} termina em breve" if last else f"A renovação do seu {plan} não foi paga",
        headline=f"Seu {plan} termina em breve" if last else f"A renovação do seu {plan} não foi paga",
        paragraphs=(
            f"O pagamento de {_money(data)} pela renovação do {plan} {'ainda ' if last else ''}não foi aceito.",
            f"O plano continua valendo até {ends}. Se o pagamento não for feito até lá, ele termina e sua conta volta "
            "ao plano padrão. Seus créditos comprados continuam seus.",
            "Para mantê-lo, atualize o cartão da assinatura ou pague a fatura em aberto, "
            f"{_WHERE.format(brand=situation.brand)}.",
        ),
        button=_SEE_ACCOUNT,
        target=Target.USAGE,
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
    then = f"{do}, e ligue a recarga de novo {_WHERE.format(brand=situation.brand)}."
    return Words(
        subject="Sua recarga automática está em pausa",
        headline="Sua recarga automática está em pausa",
        paragraphs=(f"{why} Até que você a ligue de novo, nada é comprado automaticamente.", then, *_paused(situation)),
        offer="Enquanto isso, você pode comprar créditos você mesmo.",
        button=_BUY,
    )


_NEEDS_MORE: Final = "Para ter tokens agora, compre créditos: são liberados assim que o pagamento é confirmado."


def _credited(data: CreditsPurchased, brand: str) -> str:
    credited = f"{_tokens(data.tokens)} na sua conta do {brand}"
    if not data.amount_minor:
        return f"Creditamos {credited}, sem custo."
    return f"{_paid(data)}{',' if data.payer_id is not None else ''} e creditamos {credited}."


def _paid(data: CreditsPurchased | PlanSubscribed) -> str:
    """Begins a sentence about a payment that was made."""
    if data.payer_id is not None:
        return f"Outra pessoa pagou {_money(data)} por você"
    return f"Recebemos seu pagamento de {_money(data)}"


def _available(situation: Situation, *, raised_by: int) -> tuple[str, ...]:
    figures = situation.figures
    if figures is None:
        return _works_again(situation)
    if situation.is_out:
        if figures.debt:
            debt = _tokens(figures.debt)
            return (f"Eles cobriram parte de um débito de uso anterior. Faltam {debt}, e o chat continua em pausa.",)
        return (f"O que há agora ({_tokens(figures.remaining)}) ainda não basta para uma resposta no chat.",)
    said = f"Agora você tem {_tokens(figures.remaining)} para usar."
    if figures.remaining < raised_by:
        said += " Se havia um débito de uso anterior, ele foi descontado primeiro."
    return (said, *_works_again(situation))


def _works_again(situation: Situation) -> tuple[str, ...]:
    return ("O chat voltou a funcionar, e suas conversas estão como você as deixou.",) if situation.works_again else ()


def _after_taking_back(situation: Situation) -> tuple[str, ...]:
    figures = situation.figures
    if figures is None:
        return ()
    said = ""
    if figures.debt:
        said = (
            f"Parte deles já tinha sido usada, e ficou um débito de {_tokens(figures.debt)}, que sai primeiro da "
            "próxima compra ou da próxima renovação da franquia. "
        )
    if _lacks(situation):
        return (f"{said}Não há tokens para usar agora, e o chat fica em pausa.",)
    return (f"{said}Você ainda tem {_tokens(figures.remaining)} para usar, e o chat continua funcionando.",)


def _lacks(situation: Situation) -> bool:
    return situation.is_out or (situation.figures is not None and not situation.figures.remaining)


def _paused(situation: Situation) -> tuple[str, ...]:
    return ("Não há tokens para usar agora, e o chat está em pausa.",) if _lacks(situation) else ()


def _allowance(situation: Situation) -> str:
    """A sentence with a space behind it, or nothing where the ledger did not say."""
    limit = situation.figures.monthly_limit if situation.figures else 0
    return f"Sua franquia é de {_tokens(limit)} por mês. " if limit else ""


def _plan(name: str) -> str:
    return f"plano {name}" if name else "plano"


def _tokens(number: int) -> str:
    return format_count(number, *portuguese.LABELS.tokens, Language.PORTUGUESE)


def _money(
    data: CreditsPurchased | PurchaseRevoked | PlanSubscribed | PaymentFailed | RenewalFailed,
) -> str:
    return format_money(data.amount_minor, data.currency, Language.PORTUGUESE)


def _moment(moment: datetime, situation: Situation) -> str:
    return format_moment(moment.astimezone(situation.time_zone), Language.PORTUGUESE)
