"""What the pages say in English."""

from typing import Final

from pages.words import Fault

from billing.domain.vouchers import VoucherRefusal
from billing.http.pages.words import BuyWords, OrderStage, OrderWords, Situation, Words

_NOTHING_CHARGED: Final = "Nothing was charged. You can try again, also with another way to pay."
_ASK_AGAIN: Final = "To get a new one, write to the assistant in the chat again."

_BUY: Final = BuyWords(
    title="Buy credits",
    lead="Choose, pay, and go on chatting.",
    methods={"brl": "Pay by card, Pix or boleto.", "": "Pay by card."},
    currency="Currency",
    packages="Credits",
    packages_text="You pay once, and they never expire.",
    plans="Monthly plans",
    plans_text={
        "brl": "New tokens every month, by card or boleto. To cancel, just contact support.",
        "": "New tokens every month, by card. To cancel, just contact support.",
    },
    tokens=("token", "tokens"),
    tokens_a_month="{tokens} a month",
    chats="about {chats} short chats",
    a_million="{price} per million tokens",
    a_month="a month",
    cheapest="Lowest price per token",
    buy="Buy",
    buy_label="Buy {name}: {tokens} for {price}",
    subscribe="Subscribe",
    subscribe_label="Subscribe to {name}: {tokens} a month for {price}",
    promotion="Have a discount coupon? Enter it when you pay.",
    voucher="I have a code for credits",
    voucher_code="Code",
    voucher_hint="A code is worth tokens, without a payment.",
    voucher_faults={
        VoucherRefusal.MISTYPED: "This code is mistyped. Check every letter.",
        VoucherRefusal.UNKNOWN: "There is no such code. Check every letter.",
        VoucherRefusal.EXPIRED: "This code has expired.",
        VoucherRefusal.USED_UP: "This code has been used.",
        VoucherRefusal.TOO_MANY_ATTEMPTS: "Too many attempts. Wait an hour and try again.",
    },
    redeem="Use the code",
    a_chat=(
        "A short chat has five questions, with answers of about 300 words. Since every message sends the whole "
        "conversation again, it takes about {tokens} tokens. Long chats take more, and some models count for more."
    ),
    whose="What you buy here is for the account that got this link, in a chat or by e-mail.",
)
_ORDER: Final = OrderWords(
    title="Order",
    situations={
        OrderStage.UNPAID: Situation(
            title="Only the payment is left", text="Pay {price} and get {item}: your chat works again at once."
        ),
        OrderStage.AWAITED: Situation(
            title="Waiting for the payment to be confirmed",
            text=(
                "A Pix is confirmed seconds after it is paid, a boleto within three business days. You may close this "
                "page: as soon as the payment arrives, your chat works again."
            ),
        ),
        OrderStage.ARRIVING: Situation(
            title="Your order is complete",
            text="{item}: in the account in a moment. You need not pay again, and may close this page.",
        ),
        OrderStage.CREDITED: Situation(
            title="Done! Your chat works again",
            text="{item} are in the account. Go back to the chat and send your message again.",
        ),
        OrderStage.SUBSCRIBED: Situation(
            title="Done! Your chat works again",
            text="The {item} is active. Go back to the chat and send your message again.",
        ),
        OrderStage.SETTLED: Situation(title="This order is paid", text="You got {item} for it."),
        OrderStage.TAKEN_BACK: Situation(
            title="This order was refunded",
            text="The order's tokens were taken back, and what was paid for them was returned.",
        ),
        OrderStage.QUESTIONED: Situation(
            title="This payment was questioned",
            text=(
                "The bank or the card's issuer questioned it, so the order's tokens were taken back. If that is a "
                "mistake, contact support with the number below."
            ),
        ),
        OrderStage.DECLINED: Situation(title="The payment was not approved", text=_NOTHING_CHARGED),
        OrderStage.EXPIRED: Situation(title="The payment did not come in time", text=_NOTHING_CHARGED),
        OrderStage.CANCELLED: Situation(title="This order was cancelled", text=_NOTHING_CHARGED),
        OrderStage.EXAMINED: Situation(
            title="We are looking into this order",
            text="Someone on our team has to review it. If it takes long, contact support with the number below.",
        ),
    },
    pay="Go to the payment",
    code="Show the payment code",
    again="Try again",
    number="Order",
    taken_back="{tokens} of this order were taken back after a refund or a dispute.",
    price="Price",
    plan="{name} plan",
    free="free of charge",
    good_until="Good until",
    waiting="This page updates itself.",
)

ENGLISH: Final = Words(
    buy=_BUY,
    order=_ORDER,
    expired_link=Fault(
        title="This link has expired", text=f"Purchase links are short-lived, for your safety. {_ASK_AGAIN}"
    ),
    foreign_link=Fault(title="This link is not valid", text=f"Maybe only half of it was copied. {_ASK_AGAIN}"),
    no_link=Fault(
        title="Open this page with your link",
        text="The assistant sends it in the chat when you run out of tokens, and we send it by e-mail.",
    ),
    purchases_off=Fault(title="Purchases are off", text="Credits are not sold here at the moment. Contact support."),
    payments_away=Fault(
        title="Payments are unavailable",
        text="We could not reach the payment service. Nothing was charged. Try again in a few minutes.",
    ),
    unknown_order=Fault(title="Order not found", text="Maybe only half of its address was copied. Check the link."),
    not_sold=Fault(
        title="This offer has ended", text="Prices changed while you were choosing. Go back and choose again."
    ),
    too_many=Fault(
        title="Too many purchases were started", text="For your safety, wait an hour. What has been paid is yours."
    ),
    payment_refused=Fault(
        title="The payment could not be opened",
        text="The payment service did not accept this order. Nothing was charged. Contact support.",
    ),
    already_subscribed=Fault(
        title="This account already has a plan",
        text="To continue now, go back and buy credits. To change the plan, contact support.",
    ),
)
