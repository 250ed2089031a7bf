"""What the pages say in Portuguese."""

from typing import Final

from pages.words import Fault

from billing.domain.vouchers import VoucherRefusal
from billing.http.pages.words import BuyWords, OrderStage, OrderWords, Situation, Words

_NOTHING_CHARGED: Final = "Nada foi cobrado. Você pode tentar de novo, também com outra forma de pagamento."
_ASK_AGAIN: Final = "Para receber um novo, escreva de novo ao assistente no chat."

_BUY: Final = BuyWords(
    title="Comprar créditos",
    lead="Escolha, pague e continue a conversa.",
    methods={"brl": "Pague com cartão, Pix ou boleto.", "": "Pague com cartão."},
    currency="Moeda",
    packages="Créditos avulsos",
    packages_text="Você paga uma vez e eles não expiram.",
    plans="Planos mensais",
    plans_text={
        "brl": "Tokens novos todo mês, no cartão ou por boleto. Para cancelar, basta falar com o suporte.",
        "": "Tokens novos todo mês, no cartão. Para cancelar, basta falar com o suporte.",
    },
    tokens=("token", "tokens"),
    tokens_a_month="{tokens} por mês",
    chats="cerca de {chats} conversas curtas",
    a_million="{price} por milhão de tokens",
    a_month="por mês",
    cheapest="Menor preço por token",
    buy="Comprar",
    buy_label="Comprar {name}: {tokens} por {price}",
    subscribe="Assinar",
    subscribe_label="Assinar {name}: {tokens} por mês por {price}",
    promotion="Tem um cupom de desconto? Digite-o na tela de pagamento.",
    voucher="Tenho um código de créditos",
    voucher_code="Código",
    voucher_hint="Um código vale tokens, sem pagamento.",
    voucher_faults={
        VoucherRefusal.MISTYPED: "Este código tem um erro de digitação. Confira cada letra.",
        VoucherRefusal.UNKNOWN: "Este código não existe. Confira cada letra.",
        VoucherRefusal.EXPIRED: "O prazo deste código acabou.",
        VoucherRefusal.USED_UP: "Este código já foi usado.",
        VoucherRefusal.TOO_MANY_ATTEMPTS: "Foram muitas tentativas. Espere uma hora e tente de novo.",
    },
    redeem="Usar código",
    a_chat=(
        "Uma conversa curta tem cinco perguntas, com respostas de cerca de 300 palavras. Como cada mensagem reenvia a "
        "conversa inteira, ela usa uns {tokens} tokens. Conversas longas usam mais, e alguns modelos contam mais."
    ),
    whose="O que você compra aqui vale para a conta que recebeu este link, no chat ou por e-mail.",
)
_ORDER: Final = OrderWords(
    title="Pedido",
    situations={
        OrderStage.UNPAID: Situation(
            title="Falta só o pagamento", text="Pague {price} e receba {item}: seu chat volta a funcionar na hora."
        ),
        OrderStage.AWAITED: Situation(
            title="Aguardando a confirmação do pagamento",
            text=(
                "Um Pix é confirmado segundos depois de pago; um boleto, em até três dias úteis. Você pode fechar esta "
                "página: assim que o pagamento chegar, seu chat volta a funcionar."
            ),
        ),
        OrderStage.ARRIVING: Situation(
            title="Tudo certo com o pedido",
            text="{item}: na conta em instantes. Você não precisa pagar de novo, e pode fechar esta página.",
        ),
        OrderStage.CREDITED: Situation(
            title="Pronto! Seu chat voltou a funcionar",
            text="{item} já estão na conta. Volte ao chat e envie sua mensagem de novo.",
        ),
        OrderStage.SUBSCRIBED: Situation(
            title="Pronto! Seu chat voltou a funcionar",
            text="O {item} está ativo. Volte ao chat e envie sua mensagem de novo.",
        ),
        OrderStage.SETTLED: Situation(title="Este pedido está pago", text="Por ele você recebeu {item}."),
        OrderStage.TAKEN_BACK: Situation(
            title="Este pedido foi estornado",
            text="Os tokens deste pedido foram retirados, e o que foi pago por eles voltou.",
        ),
        OrderStage.QUESTIONED: Situation(
            title="Este pagamento foi questionado",
            text=(
                "O banco ou a operadora do cartão o questionou, e por isso os tokens deste pedido foram retirados. Se "
                "for engano, fale com o suporte e informe o número abaixo."
            ),
        ),
        OrderStage.DECLINED: Situation(title="O pagamento não foi aprovado", text=_NOTHING_CHARGED),
        OrderStage.EXPIRED: Situation(title="O pagamento não veio a tempo", text=_NOTHING_CHARGED),
        OrderStage.CANCELLED: Situation(title="Este pedido foi cancelado", text=_NOTHING_CHARGED),
        OrderStage.EXAMINED: Situation(
            title="Estamos conferindo este pedido",
            text="Uma pessoa da nossa equipe precisa olhar. Se demorar, fale com o suporte e informe o número abaixo.",
        ),
    },
    pay="Ir para o pagamento",
    code="Ver o código do pagamento",
    again="Tentar de novo",
    number="Pedido",
    taken_back="{tokens} deste pedido foram retirados depois de um estorno ou de uma contestação.",
    price="Valor",
    plan="Plano {name}",
    free="sem custo",
    good_until="Valem até",
    waiting="Esta página se atualiza sozinha.",
)

PORTUGUESE: Final = Words(
    buy=_BUY,
    order=_ORDER,
    expired_link=Fault(
        title="Este link expirou", text=f"Links de compra valem por pouco tempo, para a sua segurança. {_ASK_AGAIN}"
    ),
    foreign_link=Fault(title="Este link não vale", text=f"Talvez só metade dele tenha sido copiada. {_ASK_AGAIN}"),
    no_link=Fault(
        title="Abra esta página pelo seu link",
        text="O assistente envia o link no chat quando seus tokens acabam, e nós o enviamos por e-mail.",
    ),
    purchases_off=Fault(
        title="As compras estão desligadas", text="No momento não se compram créditos aqui. Fale com o suporte."
    ),
    payments_away=Fault(
        title="O pagamento está fora do ar",
        text="Não conseguimos falar com o serviço de pagamento. Nada foi cobrado. Tente de novo em alguns minutos.",
    ),
    unknown_order=Fault(
        title="Pedido não encontrado", text="Talvez só metade do endereço tenha sido copiada. Confira o link."
    ),
    not_sold=Fault(
        title="Esta oferta não existe mais", text="Os preços mudaram enquanto você escolhia. Volte e escolha de novo."
    ),
    too_many=Fault(
        title="Muitas compras iniciadas", text="Por segurança, aguarde uma hora. O que já foi pago está garantido."
    ),
    payment_refused=Fault(
        title="Não foi possível abrir o pagamento",
        text="O serviço de pagamento não aceitou este pedido. Nada foi cobrado. Fale com o suporte.",
    ),
    already_subscribed=Fault(
        title="Esta conta já tem um plano",
        text="Para continuar agora, volte e compre créditos avulsos. Para trocar de plano, fale com o suporte.",
    ),
)
