"""The sentences of receipts about plans in Brazilian Portuguese."""

from contracts.events.billing import PlanChange, PlanEnd, PlanEnded, PlanSubscribed, RenewalFailed

from notifier.mail import portuguese
from notifier.mail import portuguese_phrases as say
from notifier.mail.sentences import Situation, Target, Words


def plan_subscribed(data: PlanSubscribed, situation: Situation) -> Words:
    plan, ends = say.plan_named(data.plan), say.moment(data.period_ends_at, situation)
    terms = f"{say.allowance(situation)}O plano vale até {ends}, quando se renova automaticamente."
    paid = f"{say.paid(data)}." if data.amount_minor else ""
    match data.change:
        case PlanChange.STARTED:
            subject = headline = f"Seu {plan} começou"
            what = f"{paid or 'Nada foi cobrado.'} {terms}"
        case PlanChange.RENEWED:
            subject, headline = f"Recibo: {plan} renovado", f"Seu {plan} foi renovado"
            what = f"{paid or 'Nada foi cobrado.'} {terms}"
        case PlanChange.UPGRADED:
            subject = headline = f"Agora você tem o {plan}"
            what = f"{paid} A mudança já vale, e o que você usou neste ciclo continua contado. {terms}".strip()
        case PlanChange.DOWNGRADED:
            subject = headline = f"Seu plano mudou para {data.plan}" if data.plan else "Seu plano mudou"
            what = f"{paid} A mudança que você pediu já vale. {terms}".strip()
    return Words(
        subject=subject,
        headline=headline,
        paragraphs=(what, *say.works_again(situation), *say.credits_stay(situation)),
        button=portuguese.LABELS.see_usage,
        target=Target.USAGE,
    )


def plan_ended(data: PlanEnded, situation: Situation) -> Words:
    plan = say.plan_named(data.plan)
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
        paragraphs=(f"{why} {say.allowance(situation)}".strip(), *say.credits_stay(situation), *say.paused(situation)),
        offer=None if data.cause == PlanEnd.REPLACED else "Quando quiser, assine de novo ou compre créditos.",
        button=portuguese.LABELS.see_usage if data.cause == PlanEnd.REPLACED else "Ver planos e créditos",
        target=Target.USAGE if data.cause == PlanEnd.REPLACED else Target.PURCHASE,
    )


def renewal_failed(data: RenewalFailed, situation: Situation) -> Words:
    plan, ends = say.plan_named(data.plan), say.moment(data.grace_ends_at, situation)
    last = data.reminder > 1
    return Words(
        subject=f"Último aviso: seu {plan} termina em breve" if last else f"A renovação do seu {plan} não foi paga",
        headline=f"Seu {plan} termina em breve" if last else f"A renovação do seu {plan} não foi paga",
        paragraphs=(
            f"O pagamento de {say.money(data)} pela renovação do {plan} {'ainda ' if last else ''}não foi aceito.",
            f"O plano continua valendo até {ends}. Se o pagamento não for feito até lá, ele termina e sua conta volta "
            "ao plano padrão. Seus créditos comprados continuam seus.",
            "Para mantê-lo, atualize o cartão da assinatura ou pague a fatura em aberto, "
            f"{say.WHERE.format(brand=situation.brand)}.",
        ),
        button="Abrir minha conta",
        target=Target.USAGE,
    )
