"""Files of people as programs and people write them: every row is one of a person, or told why it is none."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from chassis.operate.errors import BadInputError
from ledger.application.people_rows import PersonRow, RefusedRow
from ledger.operate.people_files.opening import MAX_RECORD_BYTES, look_at
from ledger.operate.people_files.reading import Rows

ANA = "665f1a2b3c4d5e6f70818283"
BIA = "665f1a2b3c4d5e6f70818284"


def _rows(path: Path, content: str | bytes, **options: int) -> list[PersonRow | RefusedRow]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(Rows(look_at(path), **options))


def _person(row: PersonRow | RefusedRow) -> tuple[Any, ...]:
    assert isinstance(row, PersonRow), row
    return (
        row.account_id,
        row.profile.email,
        row.profile.name,
        row.plan,
        row.monthly_limit,
        row.credits,
        row.anchor_day,
    )


FULL = (ANA, "ana@exemplo.com.br", "Ana Conceição", "pro", 0, 500, 31)


@pytest.mark.parametrize(
    "content",
    [
        f"id,e-mail,name,plan,limit,credits,anchor day\n{ANA},ana@exemplo.com.br,Ana Conceição,pro,0,500,31\n",
        f"\ufeffid;email;nome;plano;limite;Créditos;Dia\r\n{ANA};ana@exemplo.com.br;Ana Conceição;pro;0;500;31\r\n",
        f"sep=;\r\nid;email;name;plan;limit;credits;anchor_day\r\n{ANA};ana@exemplo.com.br;Ana Conceição;pro;0;500;31",
        "account_id\temail\tname\tplan\tlimit\tcredits\tanchor\n"
        f'"{ANA}"\tana@exemplo.com.br\tAna Conceição\tpro\t0\t500\t31\n\n',
        f"id;email;name;plan;limit;credits;anchor_day\n{ANA};ana@exemplo.com.br;Ana Conceição;pro;0;500;31".encode(
            "latin-1"
        ),
        f"id,email,name,plan,limit,credits,anchor_day\n{ANA},ana@exemplo.com.br,Ana Conceição,pro,0,500,31".encode(
            "utf-16"
        ),
        json.dumps(dict(zip(("id", "email", "name", "plan", "limit", "credits", "anchor_day"), FULL, strict=True))),
        json.dumps(
            [{"_id": {"$oid": ANA}, "email": FULL[1], "name": FULL[2], "plan": "pro", "limit": {"$numberInt": "0"},
              "credits": {"$numberLong": "500"}, "anchor_day": 31}],
            indent=2,
        ),
    ],
    ids=["csv", "excel", "sep", "tabs", "latin-1", "utf-16", "json", "array"],
)  # fmt: skip
def test_a_person_is_read_of_whatever_wrote_the_file(tmp_path: Path, content: str | bytes) -> None:
    (row,) = _rows(tmp_path / "people", content)
    assert _person(row) == FULL


EXPORTED = {
    "_id": {"$oid": ANA},
    "name": 'Ana "Aninha" {Souza}',
    "username": "ana",
    "email": "ana@exemplo.com.br",
    "emailVerified": True,
    "password": "$2a$10$abcdefghijklmnopqrstuv",
    "avatar": None,
    "provider": "local",
    "role": "USER",
    "plugins": [],
    "backupCodes": [{"codeHash": "x", "used": False}],
    "refreshToken": [{"refreshToken": "y"}],
    "createdAt": {"$date": "2026-01-31T12:00:00.000Z"},
    "updatedAt": {"$date": {"$numberLong": "1767225600000"}},
    "__v": 0,
}
LISTED = {
    "id": BIA,
    "name": "",
    "username": "bia",
    "email": "bia@exemplo.com.br",
    "avatar": "",
    "role": "ADMIN",
    "provider": "openid",
    "createdAt": "2026-01-31T12:00:00.000Z",
}


def test_librechats_users_are_read_as_mongoexport_writes_them(tmp_path: Path) -> None:
    other = EXPORTED | {"_id": {"$oid": BIA}, "email": "bia@exemplo.com.br"}
    for content in (
        "\n".join(map(json.dumps, (EXPORTED, other))),
        json.dumps([EXPORTED, other]),
        json.dumps(EXPORTED, indent=4) + "\n" + json.dumps(other, indent=4),
        f'_id,name,username,email,role\nObjectId({ANA}),"Ana ""Aninha"" {{Souza}}",ana,ana@exemplo.com.br,USER\n'
        f'ObjectId({BIA}),"Ana ""Aninha"" {{Souza}}",ana,bia@exemplo.com.br,USER\n',
    ):
        rows = _rows(tmp_path / "users", content)
        assert [_person(row)[:3] for row in rows] == [
            (ANA, "ana@exemplo.com.br", 'Ana "Aninha" {Souza}'),
            (BIA, "bia@exemplo.com.br", 'Ana "Aninha" {Souza}'),
        ]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("sort", [False, True])
def test_pages_of_librechats_admin_api_are_read_one_behind_the_other(
    tmp_path: Path, indent: int | None, sort: bool
) -> None:
    pages = [
        {"users": users, "total": 2, "limit": 1, "offset": n}
        for n, users in enumerate(([LISTED], [LISTED | {"id": ANA, "email": "a@b"}], []))
    ]
    content = "\n".join(json.dumps(page, indent=indent, sort_keys=sort) for page in pages)
    rows = _rows(tmp_path / "users.json", content)
    assert [_person(row)[:3] for row in rows] == [(BIA, "bia@exemplo.com.br", "bia"), (ANA, "a@b", "bia")]


def test_librechats_balances_become_credits_where_their_worth_is_told(tmp_path: Path) -> None:
    balances = [
        {"_id": {"$oid": "0" * 24}, "user": {"$oid": ANA}, "tokenCredits": 1_999.9, "autoRefillEnabled": False},
        {"_id": {"$oid": "1" * 24}, "user": {"$oid": BIA}, "tokenCredits": {"$numberDouble": "-3.5"}},
        {"_id": {"$oid": "2" * 24}, "user": {"$oid": "2" * 24}, "tokenCredits": {"$numberDouble": "NaN"}},
        {"_id": {"$oid": "3" * 24}, "user": {"$oid": "3" * 24}, "tokenCredits": 1e300},
    ]
    content = "\n".join(map(json.dumps, balances))
    rows = _rows(tmp_path / "balances", content, credits_per_token=1_000)
    assert [_person(row)[5] for row in rows[:2]] == [1, None]
    assert [type(row) for row in rows[2:]] == [RefusedRow, RefusedRow]
    assert [_person(row)[5] for row in _rows(tmp_path / "balances", content)] == [None] * 4


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("id", "", "id: missing"),
        ("id", "ana@example.com", "id: 1 to 128"),
        ("id", "a b", "id: 1 to 128"),
        ("id", "=cmd|calc", "id: 1 to 128"),
        ("id", "6,65E+23", "id: a spreadsheet has rounded it"),
        ("id", "a" * 129, "id: 1 to 128"),
        ("email", "nobody", "email: no address"),
        ("email", "a@b c", "email: no address"),
        ("email", "a@" + "b" * 319, "email: at most 320"),
        ("name", "n" * 201, "name: at most 200"),
        ("name", "two\nlines", "name: on one line"),
        ("name", "a zero \x00", "name: at most 200"),
        ("plan", "p" * 65, "plan: at most 64"),
        ("limit", "-1", "limit: a whole number"),
        ("limit", "1.000", "limit: a whole number"),
        ("limit", "1e6", "limit: a whole number"),
        ("limit", "٣", "limit: a whole number"),
        ("limit", str(2**53 + 1), "limit: a whole number"),
        ("credits", "9" * 400, "credits: a whole number"),
        ("credits", "NaN", "credits: a whole number"),
        ("anchor_day", "0", "anchor_day: from 1"),
        ("anchor_day", "32", "anchor_day: a whole number from 0 to 31"),
    ],
)
def test_a_field_that_can_not_be_right_refuses_its_row_alone_and_quotes_nothing(
    tmp_path: Path, field: str, value: str, told: str
) -> None:
    good = {"id": BIA}
    rows = _rows(tmp_path / "people.json", json.dumps([{"id": ANA, field: value}, good]))
    refused = rows[0]
    assert isinstance(refused, RefusedRow)
    assert refused.why.startswith(told)
    assert not value or value not in refused.why
    assert _person(rows[1])[0] == BIA


@pytest.mark.parametrize("value", [True, 1.5, [], {"$oid": []}, {"a": 1, "b": 2}])
def test_a_field_of_another_kind_refuses_its_row(tmp_path: Path, value: object) -> None:
    for field in ("id", "limit", "email"):
        (row,) = _rows(tmp_path / "people.json", json.dumps([{"id": ANA, field: value}]))
        assert isinstance(row, RefusedRow), (field, value)


def test_a_name_is_text_whatever_it_begins_with(tmp_path: Path) -> None:
    """Ours come with an apostrophe, which is none of theirs; a file that was written elsewhere has none."""
    rows = _rows(tmp_path / "p.csv", f"id,name\n{ANA},'=1+1\n{BIA},=HYPERLINK(x)\nc,'O Neill\n")
    assert [_person(row)[2] for row in rows] == ["=1+1", "=HYPERLINK(x)", "'O Neill"]


def test_tags_are_words_in_small_letters_each_once(tmp_path: Path) -> None:
    rows = _rows(
        tmp_path / "p.csv", f"id;tags\n{ANA};Vendas | Sul|vendas\n{BIA};\nc;{'|'.join('abcdefghijklmnopqrstu')}\n"
    )
    assert [row.tags if isinstance(row, PersonRow) else row.why for row in rows] == [
        ("sul", "vendas"),
        None,
        "tags: at most 20",
    ]
    rows = _rows(
        tmp_path / "p.json",
        json.dumps([{"id": ANA, "tags": ["Sul"]}, {"id": BIA, "tags": []}, {"id": "c", "tags": [1]}]),
    )
    assert [row.tags if isinstance(row, PersonRow) else row.why[:5] for row in rows] == [("sul",), (), "tags:"]


def test_who_stands_in_a_file_twice_is_refused_the_second_time(tmp_path: Path) -> None:
    rows = _rows(tmp_path / "p.csv", f"id,email\n{ANA},ANA@x.org\n{ANA},other@x.org\n{BIA},ana@X.org\nc,\nd,\n")
    whys = [row.why if isinstance(row, RefusedRow) else None for row in rows]
    assert whys == [None, "id: stands in row 1 too", "email: stands in row 1 too", None, None]


def test_lines_that_are_no_records_are_refused_alone(tmp_path: Path) -> None:
    lines = f'{{"id":"{ANA}"}}\n{{broken\n[]\n"text"\n{{"id":"\\ud800"}}\n{{"id":"{BIA}"}}'
    rows = _rows(tmp_path / "people.jsonl", lines)
    assert [isinstance(row, PersonRow) for row in rows] == [True, False, False, False, False, True]


def test_a_record_that_is_nested_without_end_is_refused_alone(tmp_path: Path) -> None:
    deep = '{"id":' + '{"a":' * 20_000 + "1" + "}" * 20_000 + "}"
    for content in (f'{deep}\n{{"id":"{BIA}"}}', f'[{deep},{{"id":"{BIA}"}}]'):
        rows = _rows(tmp_path / "people", content)
        assert [isinstance(row, PersonRow) for row in rows] == [False, True]


def test_a_row_of_more_cells_than_names_is_refused_alone(tmp_path: Path) -> None:
    rows = _rows(tmp_path / "p.csv", f"id,name\n{ANA},Souza, Ana\n{BIA},Bia,\n")
    assert [isinstance(row, PersonRow) for row in rows] == [False, True]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ("\ufeff \n", "is empty"),
        (f'[{{"id":"{ANA}"}}, {{"id":"b', "ends in the middle"),
        (f'[{{"id":"{ANA}"}}', "ends in the middle"),
        (f'[{{"id":"{ANA}"}}]]', "no JSON"),
        ('id,name\na,"' + "x" * (MAX_RECORD_BYTES + 1), "longer than"),
        ('id,name\na,"open\nb,c\n', "near line"),
        ('{"id":"' + "x" * (MAX_RECORD_BYTES + 1), "longer than"),
        ('[{"id":"' + "x" * (2 * MAX_RECORD_BYTES), "longer than"),
        ('{"a":1}\n' + "x" * (2 * MAX_RECORD_BYTES), "longer than"),
    ],
)
def test_a_file_that_is_at_fault_itself_is_told_in_one_line(tmp_path: Path, content: str, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        _rows(tmp_path / "people", content)


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", Path("/dev/zero")):
        with pytest.raises(BadInputError, match="is no file"):
            look_at(path)


def test_fields_that_say_nothing_are_named(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(f"id,plann,Limit\n{ANA},pro,5\n")
    rows = Rows(look_at(path))
    assert [_person(row)[4] for row in rows] == [5]
    assert rows.ignored == {"plann"}


def test_memory_is_that_of_one_record_however_long_the_file_is(tmp_path: Path) -> None:
    path = tmp_path / "users.json"

    def peak(people: int) -> int:
        with path.open("w") as file:
            file.write("[")
            for number in range(people):
                user = EXPORTED | {
                    "_id": {"$oid": f"{number:024x}"},
                    "email": f"{number}@example.com",
                    "note": "x" * 500,
                }
                file.write(("," if number else "") + json.dumps(user))
            file.write("]")
        tracemalloc.start()
        assert sum(isinstance(row, PersonRow) for row in Rows(look_at(path))) == people
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few = peak(600)
    assert path.stat().st_size > 500_000
    assert peak(2_400) < few * 1.2
