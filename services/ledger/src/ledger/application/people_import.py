"""Imports people: looks at a page of rows at once, tells what each changes, and carries it out where that is wanted."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import batched
from typing import Final

import asyncpg
from chassis.ids import new_uuid7
from chassis.operators import operator
from contracts.errors import SolarisError
from contracts.events.actors import Actor
from msgspec import Struct

from ledger.application.content import content_hash
from ledger.application.executor import BusyError, Executor
from ledger.application.people_changes import Known, RowChanges, changes_of
from ledger.application.people_rows import Outcome, PersonRow, RefusedRow, RowReport
from ledger.application.submission import Idempotency, Kind
from ledger.domain.commands import AdvanceAccount, ChangeLimit, ChangePlan, Command, GrantCredits, OpenAccount
from ledger.domain.policy import Policy
from ledger.store.profiles import load_people, store_profiles, store_tags
from ledger.store.rows import AuditEntry, BatchState
from ledger.store.write_path import read_batch

PAGE: Final = 512
"""Rows that are looked at together, and carried out together, one command of each at a time: the queue holds them."""
ANSWER_SECONDS: Final = 60.0
"""For a command; a ledger beside us that is busy is waited for."""


class Import(Struct, frozen=True, kw_only=True):
    """One file's import; `digest` is of its content, `key` names the grant of credits, `file` is for the audit."""

    digest: str
    key: str
    file: str

    @property
    def lot_id(self) -> str:
        return f"import:{self.key}"

    @property
    def credits_id(self) -> str:
        return f"import:{self.key}:credits"

    def done_id(self, field: str) -> str:
        """Of what this very file does to a plan or a limit."""
        return f"import:{self.digest}:{field}"


async def import_people(
    connection: asyncpg.Connection,
    policy: Policy,
    rows: Iterable[PersonRow | RefusedRow],
    wanted: Import,
    executor: Executor | None,
) -> AsyncIterator[RowReport]:
    """A report for each row, in their order; without an executor of what would be done, and nothing is.

    Killed anywhere, it can be started again: what was done is found done.
    """
    for page in batched(rows, PAGE):
        looked = await _look(connection, policy, [row for row in page if isinstance(row, PersonRow)], wanted)
        failed: dict[int, str] = {}
        if executor is not None:
            changes = [each for each in looked.values() if isinstance(each, RowChanges)]
            failed = await _carry_out(connection, executor, changes, wanted)
        for row in page:
            found = row if isinstance(row, RefusedRow) else looked[row.number]
            if row.number in failed:
                found = RefusedRow(number=row.number, account_id=row.account_id, why=failed[row.number])
            yield found.report if isinstance(found, RowChanges) else _report_of(found)


async def _look(
    connection: asyncpg.Connection, policy: Policy, rows: Sequence[PersonRow], wanted: Import
) -> dict[int, RowChanges | RefusedRow]:
    if not rows:
        return {}
    ids = [row.account_id for row in rows]
    names = (wanted.credits_id, wanted.done_id("plan"), wanted.done_id("limit"))
    state = await read_batch(connection, ids, [], [(each, name) for each in ids for name in names])
    people = await load_people(connection, ids)
    found: dict[int, RowChanges | RefusedRow] = {}
    for row in rows:
        if (error := state.unreadable.get(row.account_id)) is not None:
            why = f"what is stored of the account can't be read: {type(error).__name__}; see verify"
            found[row.number] = RefusedRow(number=row.number, account_id=row.account_id, why=why)
            continue
        known = Known(
            account=state.accounts[row.account_id].account,
            person=people.get(row.account_id),
            plan_done=_is_done(state, row, wanted.done_id("plan")),
            limit_done=_is_done(state, row, wanted.done_id("limit")),
            credits_granted=state.commands.get((row.account_id, wanted.credits_id)),
        )
        credits_hash = None if row.credits is None else content_hash(row.credits)
        found[row.number] = changes_of(row, known, credits_hash, policy)
    return found


def _is_done(state: BatchState, row: PersonRow, command_id: str) -> bool:
    return (row.account_id, command_id) in state.commands


async def _carry_out(
    connection: asyncpg.Connection, executor: Executor, changes: Sequence[RowChanges], wanted: Import
) -> dict[int, str]:
    """Commands first, then names and addresses: what is missing of a row is found by the next run."""
    answers = await asyncio.gather(
        *(_execute(executor, each, wanted) for each in changes if each.told), return_exceptions=True
    )
    told = [each for each in changes if each.told]
    failed: dict[int, str] = {}
    for each, answer in zip(told, answers, strict=True):
        if isinstance(answer, SolarisError | BusyError):
            failed[each.row.number] = str(answer) or type(answer).__name__
        elif isinstance(answer, BaseException):
            raise answer
    await store_profiles(
        connection,
        {
            each.row.account_id: each.profile
            for each in told
            if each.profile is not None and each.row.number not in failed
        },
    )
    await store_tags(
        connection,
        {each.row.account_id: each.tags for each in told if each.tags is not None and each.row.number not in failed},
    )
    return failed


async def _execute(executor: Executor, changes: RowChanges, wanted: Import) -> None:
    """One row's commands, in their order; the first brings the audit, whose entry names all of them."""
    audit = AuditEntry(
        id=new_uuid7(),
        actor=operator(),
        action="import",
        reason=f"import of {wanted.file}, row {changes.row.number}",
        details={"digest": wanted.digest, "changes": list(changes.told)},
    )
    noted: AuditEntry | None = audit
    for command, command_id in _commands(changes, wanted, audit.id):
        # One after the other: what is tried again, since somebody else wrote the account, must not be overtaken.
        await executor.submit(
            command,
            Kind.ADMIN,
            deadline_seconds=ANSWER_SECONDS,
            idempotency=None if command_id is None else _idempotency(command, command_id),
            audit=noted,
        )
        noted = None


def _commands(changes: RowChanges, wanted: Import, reason_id: str) -> list[tuple[Command, str | None]]:
    """What is to be decided, each with the id by which it is known to have been.

    Where name and address alone change there is nothing to decide, and yet somebody to be noted for it.
    """
    row, account_id = changes.row, changes.row.account_id
    found: list[tuple[Command, str | None]] = []
    if changes.is_new:
        opening = OpenAccount(account_id=account_id, plan=row.plan, anchor_day=row.anchor_day, actor=Actor.OPERATOR)
        # What plan it was opened with is this file's doing as much as a change.
        found.append((opening, wanted.done_id("plan")))
    if changes.plan is not None:
        plan = ChangePlan(account_id=account_id, plan=changes.plan, reason_id=reason_id, actor=Actor.OPERATOR)
        found.append((plan, wanted.done_id("plan")))
    if changes.monthly_limit is not None:
        limit = ChangeLimit(
            account_id=account_id, monthly_limit=changes.monthly_limit, reason_id=reason_id, actor=Actor.OPERATOR
        )
        found.append((limit, wanted.done_id("limit")))
    if changes.credits is not None:
        grant = GrantCredits(
            account_id=account_id,
            lot_id=wanted.lot_id,
            tokens=changes.credits,
            source="import",
            reference=wanted.key,
            reason_id=reason_id,
            actor=Actor.OPERATOR,
        )
        found.append((grant, wanted.credits_id))
    return found or [(AdvanceAccount(account_id=account_id), None)]


def _idempotency(command: Command, command_id: str) -> Idempotency:
    return Idempotency(command_id=command_id, content_hash=_content_of(command))


def _content_of(command: Command) -> str:
    match command:
        case GrantCredits():
            return content_hash(command.tokens)
        case OpenAccount() | ChangePlan():
            return content_hash(command.plan)
        case ChangeLimit():
            return content_hash(command.monthly_limit)
    raise AssertionError(f"{type(command).__name__} is not imported")


def _report_of(refused: RefusedRow) -> RowReport:
    return RowReport(row=refused.number, account_id=refused.account_id, outcome=Outcome.REFUSED, why=refused.why)
