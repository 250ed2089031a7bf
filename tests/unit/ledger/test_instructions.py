"""What the ledger takes each event of billing for, and by what it knows it again."""

import pytest
from chassis.dead_letters import PoisonError
from contracts.codec import encode
from contracts.events.billing import PlanChange, PlanEnd
from ledger.domain.commands import EndSubscription, GrantCredits, RestoreCredits, RevokeCredits, SubscribePlan
from ledger.messaging.instructions import Instruction, read_instruction
from msgspec.structs import replace

from tests.support.billing_messages import Said, plan_ended, plan_subscribed, purchased, restored, revoked
from tests.unit.ledger.story import START

STARTED = plan_subscribed("sub-1", "basic", revision=1, change=PlanChange.STARTED, period_starts_at=START)
ENDED = plan_ended("sub-1", "basic", revision=2)


def read(said: Said, subject: str | None = None) -> Instruction:
    return read_instruction(subject or said.subject("ana"), encode(said.by("ana")))


@pytest.mark.parametrize(
    ("said", "command", "name"),
    [
        (purchased("o-1", 500), GrantCredits, "billing:purchased:o-1"),
        (revoked("o-1", 5, revision=1), RevokeCredits, "billing:order:o-1:1"),
        (restored("o-1", 5, revision=2), RestoreCredits, "billing:order:o-1:2"),
        (STARTED, SubscribePlan, "billing:subscription:sub-1:1"),
        (ENDED, EndSubscription, "billing:subscription:sub-1:2"),
    ],
)
def test_what_is_said_twice_is_one_command_however_it_comes(said: Said, command: type, name: str) -> None:
    first, second = read(said), read(said)
    assert isinstance(first.command, command)
    assert first.command.account_id == "ana"
    assert first.event_id != second.event_id
    assert first.idempotency == second.idempotency
    assert first.idempotency.command_id == name


def test_a_revision_that_takes_is_not_the_one_that_gives_back() -> None:
    taken, given = read(revoked("o-1", 5, revision=1)).idempotency, read(restored("o-1", 5, revision=1)).idempotency
    assert taken.command_id == given.command_id
    assert taken.content_hash != given.content_hash


@pytest.mark.parametrize("cause", PlanEnd)
def test_only_an_end_whose_payment_is_gone_takes_back_what_was_used(cause: PlanEnd) -> None:
    command = read(Said(replace(ENDED.data, cause=cause))).command
    assert isinstance(command, EndSubscription)
    assert command.is_taken_back == (cause is PlanEnd.TAKEN_BACK)


@pytest.mark.parametrize("said", [purchased("o-1", 500), ENDED])
def test_a_message_counts_on_its_own_subject_alone(said: Said) -> None:
    for subject in (said.subject("rui"), STARTED.subject("ana")):
        with pytest.raises(PoisonError, match="subject of another event or account"):
            read(said, subject)
