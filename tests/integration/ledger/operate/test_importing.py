"""People in bulk: told first, done on demand, once, whoever is killed or comes twice."""

import asyncio
import json
import os
import sys
from pathlib import Path

import asyncpg
import pytest
from ledger.operate.importing import import_

from tests.support.eventually import eventually
from tests.support.ledger_operate import CATALOG, Operate
from tests.support.typing_errors import everything

HEADER = "id;email;name;plan;limit;credits;anchor_day\n"


def _file(folder: Path, content: str) -> Path:
    path = folder / "people.csv"
    path.write_text(HEADER + content)
    return path


async def test_what_a_file_would_change_is_told_and_not_done(operate: Operate, ledger_url: str, tmp_path: Path) -> None:
    path = _file(tmp_path, "told-1;t@example.com;Tomé;pro;7;500;31\naccount-00002;;;trial;;;15\nbad id;;;;;;\n")
    before = await everything(ledger_url, "ledger")
    ran = await operate("import", file=path)
    *rows, tally = ran.lines
    assert ran.code == 1, "a row is refused"
    assert await everything(ledger_url, "ledger") == before
    assert [row["outcome"] for row in rows] == ["new", "changed", "refused"]
    assert rows[0]["changes"] == ["plan pro", "limit 7", "credits +500", "anchor_day 31", "email", "name"]
    assert rows[1]["changes"][0].endswith(" -> trial")
    assert "anchor_day stays" in rows[1]["notes"][0]
    assert (tally["rows"], tally["new"], tally["changed"], tally["refused"], tally["applied"]) == (3, 1, 1, 1, False)


async def test_a_file_is_done_once_and_what_others_changed_since_stays(
    operate: Operate, database: asyncpg.Connection, tmp_path: Path
) -> None:
    path = _file(tmp_path, "once-1;o@example.com;Olga;pro;7;500;31\nonce-2;;;;;;\n")
    rows = (await operate("import", file=path, apply=1)).lines
    assert [row["outcome"] for row in rows[:-1]] == ["new", "new"]
    balance = (await operate("balance", account="once-1")).json
    assert (balance["plan"], balance["monthly_limit"], balance["credits"]) == ("pro", 7, 500)
    assert balance["cycle"]["id"][-2:] in {"31", "30", "29", "28"}
    assert (await operate("balance", account="once-2")).json["plan"] == "basic"
    (profile,) = await database.fetch("SELECT email, name FROM ledger.profiles WHERE account_id = 'once-1'")
    assert tuple(profile) == ("o@example.com", "Olga")
    (audit,) = await database.fetch("SELECT action, reason, details FROM ledger.audit WHERE account_id = 'once-1'")
    assert (audit["action"], audit["reason"]) == ("import", "import of people.csv, row 1")
    assert json.loads(audit["details"])["changes"] == [
        *("plan pro", "limit 7", "credits +500", "anchor_day 31"),
        *("email", "name"),
    ]

    await operate("limit", account="once-1", tokens=9)
    await operate("plan", account="once-1", plan="trial")
    again = await operate("import", file=path, apply=1)
    assert (again.code, again.lines[-1]["unchanged"]) == (0, 2), "whoever changed it since knows better"
    assert (await operate("balance", account="once-1")).json["plan"] == "trial"
    path.write_text(path.read_text() + "once-3;;;;;;\n")
    other = await operate("import", file=path, apply=1)
    assert other.lines[0]["changes"] == ["plan trial -> pro", "limit 1500000 -> 7"], "another file's word is a new one"


async def test_who_gives_a_person_another_address_is_noted(
    operate: Operate, database: asyncpg.Connection, tmp_path: Path
) -> None:
    await operate("import", file=_file(tmp_path, "noted-1;one@example.com;;;;;\n"), apply=1)
    events = (await operate("events", account="noted-1")).lines
    ran = await operate("import", file=_file(tmp_path, "noted-1;two@example.com;;;;;\n"), apply=1)
    assert ran.lines[0]["changes"] == ["email"]
    assert (
        await database.fetchval("SELECT email FROM ledger.profiles WHERE account_id = 'noted-1'") == "two@example.com"
    )
    notes = "SELECT details->'changes' FROM ledger.audit WHERE account_id = 'noted-1' ORDER BY recorded_at"
    assert [json.loads(row[0])[-1] for row in await database.fetch(notes)] == ["email", "email"]
    assert "two" not in str(await database.fetch("SELECT * FROM ledger.audit WHERE account_id = 'noted-1'"))
    assert (await operate("events", account="noted-1")).lines == events


async def test_people_are_found_by_the_tags_of_a_file_until_they_are_forgotten(
    operate: Operate, tmp_path: Path
) -> None:
    path = tmp_path / "tags.json"
    for tags, changes in ((["Sul", "Vendas"], ["tags"]), (["Sul", "Vendas"], []), (["Norte"], ["tags"])):
        path.write_text(json.dumps({"id": "tagged-1", "name": "Tadeu", "tags": tags}))
        (row, _) = (await operate("import", file=path, apply=1)).lines
        assert [each for each in row["changes"] if each == "tags"] == changes
    (found,) = (await operate("find", who="norte")).lines
    assert (found["account_id"], found["tags"]) == ("tagged-1", ["norte"])
    (await operate("find", who="vendas")).assert_refused(1)
    await operate("forget", account="tagged-1")
    (await operate("find", who="norte")).assert_refused(1)
    (row, _) = (await operate("import", file=path, apply=1)).lines
    assert row["changes"] == []
    path.write_text(json.dumps({"id": "tagged-1", "tags": []}))
    assert (await operate("import", file=path)).lines[0]["outcome"] == "unchanged"


async def test_credits_are_granted_once_a_key_whatever_the_file(operate: Operate, tmp_path: Path) -> None:
    await operate("import", file=_file(tmp_path, "key-1;;;;;500;\n"), apply=1)
    longer = await operate("import", file=_file(tmp_path, "key-1;;;;;500;\nkey-2;;;;;500;\n"), apply=1)
    assert [row["outcome"] for row in longer.lines[:-1]] == ["unchanged", "new"]
    other = await operate("import", file=_file(tmp_path, "key-1;;;;;600;\n"), apply=1)
    assert other.code == 1
    assert "KEY=" in other.lines[0]["why"]
    await operate("import", file=_file(tmp_path, "key-1;;;;;600;\n"), apply=1, key="natal")
    assert (await operate("balance", account="key-1")).json["credits"] == 1_100
    lots = (await operate("lots", account="key-1")).lines
    assert [(lot["lot_id"], lot["source"]) for lot in lots] == [("import:people", "import"), ("import:natal", "import")]


async def test_a_plan_that_is_not_in_the_catalog_and_figures_too_large_refuse_their_rows_alone(
    operate: Operate, tmp_path: Path
) -> None:
    rows = f"far-1;;;prro;;;\nfar-2;;;;{2**53};;\nfar-3;;;;5;{2**53};\nfar-4;;;;5;1;\n"
    ran = await operate("import", file=_file(tmp_path, rows), apply=1)
    assert (ran.code, [row["outcome"] for row in ran.lines[:-1]]) == (1, ["refused", "new", "new", "new"])
    ran = await operate("import", file=_file(tmp_path, f"far-3;;;;5;{2**53};\n"), apply=1, key="more")
    assert "2^53" in ran.lines[0]["why"]
    assert (await operate("verify")).code == 0


async def test_a_person_who_was_forgotten_gets_no_name_of_a_file(
    operate: Operate, database: asyncpg.Connection, tmp_path: Path
) -> None:
    path = _file(tmp_path, "gone-1;g@example.com;Gil;;;;\n")
    await operate("import", file=path, apply=1)
    await operate("forget", account="gone-1")
    again = await operate("import", file=path, apply=1)
    assert (again.lines[0]["outcome"], "was forgotten" in again.lines[0]["notes"][0]) == ("unchanged", True)
    assert await database.fetchval("SELECT name FROM ledger.profiles WHERE account_id = 'gone-1'") is None


async def test_one_that_is_killed_anywhere_is_started_again_and_two_at_once_do_the_work_of_one(
    operate: Operate, database: asyncpg.Connection, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = "".join(f"cut-{number};c{number}@example.com;Cem;pro;{number};10;5\n" for number in range(1_200))
    path = _file(tmp_path, people)
    monkeypatch.setenv("SOLARIS_DATABASE_URL", ledger_url)
    monkeypatch.setenv("SOLARIS_CATALOG", str(CATALOG))
    started = "SELECT count(*) FROM ledger.accounts WHERE account_id LIKE 'cut-%' AND version > 0"
    cut = asyncio.create_task(import_(file=str(path), apply="1"))
    await eventually(lambda: database.fetchval(started), 60)
    cut.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cut
    assert 0 < await database.fetchval(started) < 1_200
    first, second = await asyncio.gather(operate("import", file=path, apply=1), operate("import", file=path, apply=1))
    assert (first.code, second.code) == (0, 0)
    granted = "SELECT count(*) FROM ledger.events WHERE account_id LIKE 'cut-%' AND type LIKE '%.credits_granted.%'"
    assert await database.fetchval(granted) == 1_200
    assert (
        await database.fetchval(
            "SELECT count(*) FROM ledger.accounts WHERE account_id LIKE 'cut-%'"
            " AND state->>'plan' = 'pro' AND (state->>'anchor_day')::int = 5"
        )
        == 1_200
    )
    assert await database.fetchval("SELECT count(*) FROM ledger.profiles WHERE account_id LIKE 'cut-%'") == 1_200
    assert (await operate("import", file=path, apply=1)).lines[-1]["unchanged"] == 1_200


async def test_a_reader_that_leaves_early_leaves_no_half_of_the_work(
    operate: Operate, database: asyncpg.Connection, ledger_url: str, tmp_path: Path
) -> None:
    path = _file(tmp_path, "".join(f"early-{number};;;;;;\n" for number in range(2_000)))
    command = f"{sys.executable} -m ledger.operate import --file={path} --apply=1 | head -c 1"
    environment = {**os.environ, "SOLARIS_DATABASE_URL": ledger_url, "SOLARIS_CATALOG": str(CATALOG)}
    shell = await asyncio.create_subprocess_shell(command, env=environment, stdout=asyncio.subprocess.PIPE)
    assert (await shell.communicate())[0] == b"{"
    opened = "SELECT count(*) FROM ledger.accounts WHERE account_id LIKE 'early-%' AND version > 0"
    await eventually(lambda: _is(database, opened, 2_000), 30)
    assert (await operate("import", file=path)).lines[-1]["unchanged"] == 2_000


async def _is(database: asyncpg.Connection, query: str, wanted: int) -> bool:
    return bool(await database.fetchval(query) == wanted)
