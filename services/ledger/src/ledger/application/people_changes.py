"""What a row of a file would change of one account, by what stands there now: nothing is done here."""

from contracts.profiles import Profile
from msgspec import Struct

from ledger.application.people_rows import Outcome, PersonRow, RefusedRow, RowReport
from ledger.domain.account import Account
from ledger.domain.policy import Policy
from ledger.store.profiles import KnownPerson
from ledger.store.rows import StoredCommand

CREDITS_CHANGED_KEY = "another number of credits was imported before; KEY=… makes these a grant of their own"


class Known(Struct, frozen=True, kw_only=True):
    """What stands of the account of a row; `plan_done`, `limit_done`: this very file has changed that before."""

    account: Account
    person: KnownPerson | None
    plan_done: bool = False
    limit_done: bool = False
    credits_granted: StoredCommand | None = None


class RowChanges(Struct, frozen=True, kw_only=True):
    """What is to be done of a row: each field that is None, or False, is as it should be."""

    row: PersonRow
    is_new: bool = False
    plan: str | None = None
    monthly_limit: int | None = None
    credits: int | None = None
    profile: Profile | None = None
    tags: tuple[str, ...] | None = None
    told: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def report(self) -> RowReport:
        outcome = Outcome.NEW if self.is_new else Outcome.CHANGED if self.told else Outcome.UNCHANGED
        return RowReport(
            row=self.row.number,
            account_id=self.row.account_id,
            outcome=outcome,
            changes=self.told,
            notes=self.notes,
        )


def changes_of(row: PersonRow, known: Known, credits_hash: str | None, policy: Policy) -> RowChanges | RefusedRow:
    """What the row asks for and is not there yet.

    A plan or limit that this file has set before is not set again: whoever changed it since knows better. Credits are
    granted once a key, whatever the file. A person who was forgotten gets no name or address of a file.
    """
    account = known.account
    plans = policy.catalog.plans
    if row.plan is not None and row.plan not in plans:
        return _refused(row, f"plan: the catalog has {', '.join(sorted(plans))}")
    granted = known.credits_granted
    if granted is not None and credits_hash is not None and granted.content_hash != credits_hash:
        return _refused(row, f"credits: {CREDITS_CHANGED_KEY}")
    told: list[str] = []
    notes: list[str] = []
    is_new = not account.is_open
    plan_now = policy.default_plan if is_new else account.plan
    plan = row.plan if row.plan not in (None, plan_now) and not known.plan_done else None
    if is_new:
        told.append(f"plan {row.plan or plan_now}")
    elif plan is not None:
        told.append(f"plan {plan_now} -> {plan}")
    limit_now = plans[plan or plan_now].monthly_tokens if is_new or plan else account.monthly_limit
    limit = row.monthly_limit if row.monthly_limit not in (None, limit_now) and not known.limit_done else None
    if limit is not None:
        told.append(f"limit {limit}" if is_new else f"limit {limit_now} -> {limit}")
    grant = row.credits if granted is None else None
    if grant is not None:
        told.append(f"credits +{grant}")
    if row.anchor_day is not None:
        if is_new:
            told.append(f"anchor_day {row.anchor_day}")
        elif row.anchor_day != account.anchor_day:
            notes.append(f"anchor_day stays {account.anchor_day}: an account has it from its opening on")
    profile, tags = _wanted_words(row, known.person, told, notes)
    return RowChanges(
        row=row,
        is_new=is_new,
        plan=None if is_new else plan,
        monthly_limit=limit,
        credits=grant,
        profile=profile,
        tags=tags,
        told=tuple(told),
        notes=tuple(notes),
    )


def _wanted_words(
    row: PersonRow, person: KnownPerson | None, told: list[str], notes: list[str]
) -> tuple[Profile | None, tuple[str, ...] | None]:
    """The profile and the tags, each None where it is as it should be."""
    wanted = row.profile
    changed = [
        name
        for name, value, stored in (
            ("email", wanted.email, person.email if person else None),
            ("name", wanted.name, person.name if person else None),
            ("tags", row.tags, tuple(person.tags or ()) if person else ()),
        )
        if value is not None and value != stored
    ]
    if changed and person is not None and person.is_forgotten:
        notes.append("the person was forgotten: name, address and tags are not taken from a file")
        return None, None
    told.extend(changed)
    return wanted if {"email", "name"} & {*changed} else None, row.tags if "tags" in changed else None


def _refused(row: PersonRow, why: str) -> RefusedRow:
    return RefusedRow(number=row.number, account_id=row.account_id, why=why)
