"""What a file says of people, one row each, and what became of each row."""

from enum import StrEnum
from typing import Final

from contracts.profiles import Profile
from msgspec import Struct

MAX_TAG_LENGTH: Final = 64


class PersonRow(Struct, frozen=True, kw_only=True):
    """What is wanted of one person; what is None is left as it is, or as the default plan has it."""

    number: int
    account_id: str
    profile: Profile
    plan: str | None = None
    monthly_limit: int | None = None
    credits: int | None = None
    anchor_day: int | None = None
    tags: tuple[str, ...] | None = None


class RefusedRow(Struct, frozen=True, kw_only=True):
    """A row of which nothing is done, and why; `why` quotes nothing of it."""

    number: int
    account_id: str | None
    why: str


class Outcome(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


class RowReport(Struct, frozen=True, kw_only=True):
    """What a row changes, or has changed: names of fields, figures with what they were, and nothing that is personal.

    `notes` say what of the row is not done, though it is no error.
    """

    row: int
    account_id: str | None
    outcome: Outcome
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    why: str | None = None


class ImportTally(Struct, kw_only=True):
    """What a file came to; `digest` names its content."""

    digest: str
    kind: str
    applied: bool
    rows: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    ignored_fields: list[str] = []

    def count(self, report: RowReport) -> None:
        self.rows += 1
        match report.outcome:
            case Outcome.NEW:
                self.new += 1
            case Outcome.CHANGED:
                self.changed += 1
            case Outcome.UNCHANGED:
                self.unchanged += 1
            case Outcome.REFUSED:
                self.refused += 1
