"""Reads a file of people row by row, whatever kind of file it is, and refuses who stands in it twice."""

from collections.abc import Iterator
from io import TextIOWrapper

from chassis.operate.errors import BadInputError

from ledger.application.people_rows import PersonRow, RefusedRow
from ledger.operate.people_files.csv_records import records_of_csv
from ledger.operate.people_files.json_records import Record, records_of_lines, records_of_text
from ledger.operate.people_files.opening import Kind, PeopleFile, chunks_of
from ledger.operate.people_files.person_rows import row_of, unknown_names
from ledger.store.seen_rows import SeenRows

_DEPTHS = {Kind.OBJECTS: 0, Kind.ARRAY: 1, Kind.API: 2}


class Rows:
    """The rows of a file, from 1; `ignored` are names of fields that say nothing to us, as far as it was read."""

    def __init__(self, file: PeopleFile, *, credits_per_token: int | None = None) -> None:
        self._file = file
        self._credits_per_token = credits_per_token
        self.ignored: set[str] = set()

    def __iter__(self) -> Iterator[PersonRow | RefusedRow]:
        """Raises BadInputError where the file is at fault, and not one of its records."""
        with SeenRows() as seen:
            for number, record in enumerate(_records(self._file), start=1):
                if number == 1:
                    self.ignored = unknown_names(record)
                yield _once(row_of(number, record, self._credits_per_token), seen)


def _once(row: PersonRow | RefusedRow, seen: SeenRows) -> PersonRow | RefusedRow:
    if isinstance(row, RefusedRow):
        return row
    if (before := seen.note("id", row.account_id, row.number)) is not None:
        return RefusedRow(number=row.number, account_id=row.account_id, why=f"id: stands in row {before} too")
    email = row.profile.email
    if email is not None and (before := seen.note("email", email.casefold(), row.number)) is not None:
        return RefusedRow(number=row.number, account_id=row.account_id, why=f"email: stands in row {before} too")
    return row


def _records(people: PeopleFile) -> Iterator[Record]:
    try:
        with people.path.open("rb") as file:
            match people.kind:
                case Kind.CSV:
                    # What Windows' code page has no letter for becomes U+FFFD, which no field takes.
                    with TextIOWrapper(file, people.encoding, errors="replace", newline="") as text:
                        yield from records_of_csv(text)
                case Kind.LINES:
                    yield from records_of_lines(chunks_of(file))
                case Kind.OBJECTS | Kind.ARRAY | Kind.API:
                    yield from records_of_text(chunks_of(file), _DEPTHS[people.kind])
    except OSError as error:
        raise BadInputError(f"FILE: {people.path}: {error.strerror}") from error
