"""Reads what billing says as commands of the ledger: credits of orders, and plans of subscriptions."""

from collections.abc import Mapping
from typing import Final, assert_never

from chassis.dead_letters import PoisonError
from contracts.accounts import subject_token
from contracts.codec import DECODE_ERRORS, fault_of
from contracts.envelope import CloudEvent, event_decoder, event_name
from contracts.events.actors import Actor
from contracts.events.billing import (
    CreditsPurchased,
    PlanEnd,
    PlanEnded,
    PlanSubscribed,
    PurchaseRestored,
    PurchaseRevoked,
    order_lot_id,
)
from contracts.events.registry import BILLING_EVENT_NAMES
from contracts.limits import is_clean_text
from contracts.subjects import event_subject
from msgspec import Struct, json

from ledger.application.content import content_hash
from ledger.application.submission import Idempotency
from ledger.domain.commands import (
    Command,
    EndSubscription,
    GrantCredits,
    RestoreCredits,
    Revision,
    RevokeCredits,
    SubscribePlan,
)

MAX_EVENT_ID_LENGTH: Final = 128

type HeardEvent = CreditsPurchased | PurchaseRevoked | PurchaseRestored | PlanSubscribed | PlanEnded


class Instruction(Struct, frozen=True, kw_only=True):
    """One event of billing: its id, the command that it is, and by what a repetition of that is known."""

    event_id: str
    command: Command
    idempotency: Idempotency


class _Header(Struct, frozen=True):
    type: str


_decode_header: Final = json.Decoder(_Header).decode
HEARD: Final[Mapping[str, type[HeardEvent]]] = {
    BILLING_EVENT_NAMES[heard]: heard
    for heard in (CreditsPurchased, PurchaseRevoked, PurchaseRestored, PlanSubscribed, PlanEnded)
}


def read_instruction(subject: str, payload: bytes, *, gap_allowed: bool = False) -> Instruction:
    """What a message of billing asks for; `gap_allowed`: what is missing before it is taken for lost.

    Raises:
        PoisonError: no event that is heard here, or not on the subject of its type and account.
    """
    event = read_heard(subject, payload)
    command_id, command = _command_of(event, gap_allowed)
    return Instruction(
        event_id=event.id,
        command=command,
        # Of what is said alone: told again, it may have another id and another time.
        idempotency=Idempotency(
            command_id=command_id, content_hash=content_hash((BILLING_EVENT_NAMES[type(event.data)], event.data))
        ),
    )


def read_heard(subject: str, payload: bytes) -> CloudEvent[HeardEvent]:
    """The event of billing in a message; raises as `read_instruction` does."""
    name, event = _read_event(payload)
    if subject != event_subject(name, subject_token(event.subject)):
        raise PoisonError("published on the subject of another event or account")
    if not event.id or not is_clean_text(event.id, MAX_EVENT_ID_LENGTH):
        raise PoisonError("id: not a usable event id")
    return event


def _read_event(payload: bytes) -> tuple[str, CloudEvent[HeardEvent]]:
    try:
        name = event_name(_decode_header(payload).type)
        return name, event_decoder(HEARD[name]).decode(payload)
    except KeyError as error:
        raise PoisonError("an event that the ledger does not hear") from error
    except DECODE_ERRORS as error:
        raise PoisonError(fault_of(error)) from error
    except ValueError as error:
        raise PoisonError("not a Solaris event type") from error


def _command_of(event: CloudEvent[HeardEvent], gap_allowed: bool) -> tuple[str, Command]:
    """The command and its id.

    An order is bought once, and whatever is said of it later, or of a subscription, has a revision of its own: the same
    revision with another content is a conflict.
    """
    account_id, said = event.subject, event.data
    match said:
        case CreditsPurchased():
            return f"billing:purchased:{said.order_id}", GrantCredits(
                account_id=account_id,
                lot_id=order_lot_id(said.order_id),
                tokens=said.tokens,
                source=said.source.value,
                reference=said.order_id,
                expires_at=said.expires_at,
                actor=Actor.BILLING,
            )
        case PurchaseRevoked() | PurchaseRestored():
            kind = RevokeCredits if isinstance(said, PurchaseRevoked) else RestoreCredits
            return f"billing:order:{said.order_id}:{said.revision}", kind(
                account_id=account_id,
                lot_id=order_lot_id(said.order_id),
                tokens=said.tokens,
                reference=_clean(said.reference, "data.reference"),
                revision=Revision(said.revision, gap_allowed),
                actor=Actor.BILLING,
            )
        case PlanSubscribed():
            return f"billing:subscription:{said.subscription_id}:{said.revision}", SubscribePlan(
                account_id=account_id,
                subscription_id=said.subscription_id,
                revision=Revision(said.revision, gap_allowed),
                plan=_clean(said.plan, "data.plan"),
                period_starts_at=said.period_starts_at,
                period_ends_at=said.period_ends_at,
                actor=Actor.BILLING,
            )
        case PlanEnded():
            return f"billing:subscription:{said.subscription_id}:{said.revision}", EndSubscription(
                account_id=account_id,
                subscription_id=said.subscription_id,
                revision=Revision(said.revision, gap_allowed),
                is_taken_back=said.cause is PlanEnd.TAKEN_BACK,
                actor=Actor.BILLING,
            )
        case _:
            assert_never(said)


def _clean(text: str, name: str) -> str:
    if not is_clean_text(text):
        raise PoisonError(f"{name}: not a usable text")
    return text
