"""A person's life with the chat: opened, used, paid for, administered; decided by the services' own rules."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Final

from billing.store.invented import InventedOrder, InventedSubscription
from billing.store.outbox import Said
from chassis.ids import new_uuid7
from contracts.accounts import subject_token
from contracts.events.actors import Actor
from contracts.subjects import event_subject
from ledger.application.administration import Order as Administered
from ledger.demo.history import History
from ledger.domain.commands import (
    AdvanceAccount,
    ChangeLimit,
    ChangeStatus,
    Command,
    GrantCredits,
    OpenAccount,
    RevokeCredits,
)
from ledger.domain.policy import Policy
from ledger.messaging.instructions import HEARD, read_instruction
from ledger.store.rows import AuditEntry, Changes
from msgspec import Struct

from company.buying import OPERATOR
from company.chatting import Asked, Chatting
from company.people import Person
from company.shopping import Shop, Shopping
from company.timeline import Timeline

LAST_SECONDS: Final = timedelta(seconds=10)
HEARD_AFTER: Final = timedelta(seconds=1)
"""So long billing's word takes to the ledger."""
SUSPENDED_FOR: Final = "Uso suspeito: chamadas de dois países na mesma hora"


class Lived(Struct, frozen=True, kw_only=True):
    """All that a person's life leaves behind: rows of the ledger and of billing, and the calls as they were asked."""

    person: Person
    changes: Changes
    orders: Sequence[InventedOrder]
    subscriptions: Sequence[InventedSubscription]
    asked: Sequence[Asked]


class Life:
    """Of one person, until `now`; the same person, time and rules lead the same one, but for ids."""

    def __init__(self, policy: Policy, shop: Shop, person: Person, now: datetime) -> None:
        random = Random(f"life:{person.seed}:{person.number}")  # noqa: S311  a demo, the same every time
        self._policy = policy
        self._person = person
        self._now = now
        self._history = History(policy, now)
        self._timeline = Timeline(now - LAST_SECONDS)
        self._shopping = Shopping(shop, person, self._timeline, random, self._hear)
        self._chatting = Chatting(
            policy, person, self._history, self._timeline, random=random, then=self._look_at_balance
        )

    def live(self) -> Lived:
        """Live it."""
        person, timeline = self._person, self._timeline
        opened_at = self._now - timedelta(days=person.opened_days_ago)
        plan = person.plan if person.plan in self._policy.catalog.plans else None
        open_account = OpenAccount(account_id=person.account_id, plan=plan)
        timeline.plan(opened_at, partial(self._history.execute, open_account))
        last_call = timeline.ends_at
        if person.suspended_days_ago is not None:
            last_call = timeline.before_end(days=person.suspended_days_ago)
        self._shopping.plan(opened_at)
        self._chatting.plan(opened_at, last_call)
        self._plan_administration()
        timeline.plan(timeline.ends_at, partial(self._history.execute, AdvanceAccount(account_id=person.account_id)))
        timeline.run()
        return Lived(
            person=person,
            changes=self._history.take(),
            orders=self._shopping.orders,
            subscriptions=self._shopping.subscriptions,
            asked=self._chatting.asked,
        )

    def _plan_administration(self) -> None:
        person, timeline = self._person, self._timeline
        if person.suspended_days_ago is not None:
            timeline.plan(timeline.before_end(days=person.suspended_days_ago), self._suspend)
        if person.courtesy_days_ago is not None:
            timeline.plan(timeline.before_end(days=person.courtesy_days_ago), self._grant)
        if person.limit_raised_days_ago is not None:
            timeline.plan(timeline.before_end(days=person.limit_raised_days_ago), self._raise_limit)

    def _hear(self, told: Sequence[Said], at: datetime) -> None:
        """As the ledger hears billing, a moment later."""
        for said in told:
            name = str(said.row["name"])
            if name not in HEARD:
                continue
            payload = said.row["payload"]
            assert isinstance(payload, bytes), "an event as it is published"
            subject = event_subject(name, subject_token(self._person.account_id))
            instruction = read_instruction(subject, payload)
            carry_out = partial(
                self._history.execute,
                instruction.command,
                idempotency=instruction.idempotency,
                causation_id=instruction.event_id,
            )
            self._timeline.plan(min(at + HEARD_AFTER, self._timeline.ends_at), carry_out)

    def _look_at_balance(self, at: datetime) -> None:
        if self._person.tops_up:
            self._shopping.tops_up(self._history.account(self._person.account_id).balance_without_holds, at)

    def _suspend(self, at: datetime) -> None:
        order = Administered(action="suspend", account_id=self._person.account_id, reason=SUSPENDED_FOR)
        command = ChangeStatus(
            account_id=order.account_id, status="suspended", reason_id=order.audit_id, actor=Actor.OPERATOR
        )
        self._administer(order, command, at)

    def _raise_limit(self, at: datetime) -> None:
        limit = self._history.account(self._person.account_id).monthly_limit * 3 // 2
        why = "Projeto com prazo: limite maior até o fim do trimestre"
        order = self._order("limit", why, tokens=limit)
        command = ChangeLimit(
            account_id=order.account_id, monthly_limit=limit, reason_id=order.audit_id, actor=Actor.OPERATOR
        )
        self._administer(order, command, at)

    def _grant(self, at: datetime) -> None:
        order = self._order("credit", "Cortesia: falha do provedor na semana passada", tokens=150_000)
        command = GrantCredits(
            account_id=order.account_id,
            lot_id=order.new_lot_id,
            tokens=150_000,
            source="admin",
            reference=order.reference,
            reason_id=order.audit_id,
            actor=Actor.OPERATOR,
        )
        self._administer(order, command, at)
        if self._person.courtesy_taken_back:
            self._timeline.plan(at + timedelta(hours=20), partial(self._revoke, order.new_lot_id))

    def _revoke(self, lot_id: str, at: datetime) -> None:
        order = self._order("revoke", "Dado em dobro por engano", tokens=50_000, lot_id=lot_id)
        command = RevokeCredits(
            account_id=order.account_id,
            lot_id=lot_id,
            tokens=50_000,
            reference=order.reference,
            reason_id=order.audit_id,
            actor=Actor.OPERATOR,
        )
        self._administer(order, command, at)

    def _order(self, action: str, reason: str, **details: object) -> Administered:
        return Administered(
            action=action, account_id=self._person.account_id, reason=reason, details=details, audit_id=new_uuid7()
        )

    def _administer(self, order: Administered, command: Command, at: datetime) -> None:
        audit = AuditEntry(
            id=order.audit_id, actor=OPERATOR, action=order.action, reason=order.reason, details=order.details
        )
        self._history.execute(command, at, audit=audit)
