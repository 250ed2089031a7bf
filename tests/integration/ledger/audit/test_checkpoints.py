"""Against a signed checkpoint `verify` names what the database alone can't show, in full and since the last one."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from chassis.migrations import migrate
from ledger.audit import survey
from ledger.audit.checkpoints.errors import CheckpointError, TakenError
from ledger.audit.checkpoints.folder import FolderShelf
from ledger.audit.checkpoints.keys import Keys
from ledger.audit.making import Made, Maker, NotDue
from ledger.audit.verify import Broken, Verified, VerifiedSince, verify

from tests.support.checkpoints import OTHER_KEY, CheckpointDesk
from tests.support.infrastructure import Postgres
from tests.support.ledger_history import write_history
from tests.support.ledger_operate import operate_on
from tests.support.tampering import cut_tail, remove_account, rewrite_history, tamper

ACCOUNT = "account-00003"
type Damage = Callable[[asyncpg.Connection, str], Awaitable[None]]


@pytest.fixture
def desk(own_ledger: str, tmp_path: Path) -> CheckpointDesk:
    return CheckpointDesk(own_ledger, str(tmp_path / "checkpoints"))


async def _flip(owner: asyncpg.Connection, _: str) -> None:
    statement = "UPDATE ledger.events SET data = set_byte(data, 40, get_byte(data, 40) # 1)"
    await tamper(owner, f"{statement} WHERE account_id = $1 AND version = 6", ACCOUNT)


async def _delete(owner: asyncpg.Connection, _: str) -> None:
    await tamper(owner, "DELETE FROM ledger.events WHERE account_id = $1 AND version = 6", ACCOUNT)


async def _swap(owner: asyncpg.Connection, _: str) -> None:
    await tamper(
        owner,
        "UPDATE ledger.events AS event SET data = other.data, type = other.type, id = other.id"
        " FROM ledger.events AS other WHERE event.account_id = $1 AND other.account_id = $1"
        " AND (event.version, other.version) IN ((6, 7), (7, 6))",
        ACCOUNT,
    )


async def _cut(owner: asyncpg.Connection, url: str) -> None:
    await cut_tail(owner, url, ACCOUNT, 2)


async def _rewrite(owner: asyncpg.Connection, url: str) -> None:
    await rewrite_history(owner, url, ACCOUNT)


@pytest.mark.parametrize(
    ("damage", "named", "by_itself"),
    [
        (_flip, "hash", True),
        (_delete, "version 6 missing", True),
        (_swap, "hash", True),
        (_cut, "missing; the checkpoint has", False),
        (_rewrite, "rewritten, hashes and all", False),
    ],
)
async def test_each_way_to_tamper_is_named(
    desk: CheckpointDesk, damaged: asyncpg.Connection, damage: Damage, named: str, *, by_itself: bool
) -> None:
    await desk.made()
    await damage(damaged, desk.database_url)
    alone = await verify(desk.database_url)
    assert isinstance(alone, Broken if by_itself else Verified)
    told = alone if by_itself else await desk.verify()
    assert isinstance(told, Broken)
    assert (told.account_id, named in told.reason) == (ACCOUNT, True), told
    if damage is not _flip:  # of what was there before, since is blind to single bytes, and says so
        since = await desk.verify_since()
        assert isinstance(since, Broken) is (damage is not _swap), since


async def test_a_missing_account_is_named(desk: CheckpointDesk, damaged: asyncpg.Connection) -> None:
    await desk.made()
    await remove_account(damaged, ACCOUNT)
    assert isinstance(await verify(desk.database_url), Verified)
    for told in (await desk.verify(), await desk.verify_since()):
        assert isinstance(told, Broken)
        assert (told.account_id, told.problems) == (ACCOUNT, 1)
        assert "missing" in told.reason


async def test_a_history_that_was_rewritten_is_not_stated_anew_unless_that_is_asked_for(
    desk: CheckpointDesk, damaged: asyncpg.Connection
) -> None:
    await desk.made()
    await rewrite_history(damaged, desk.database_url, ACCOUNT)
    assert isinstance(await desk.make(), Broken)
    assert desk.shelf.numbers() == [1]
    made = await desk.make(anew="the owner was asked")
    assert isinstance(made, Made)
    assert (made.statement.number, made.statement.anew) == (2, "the owner was asked")
    assert isinstance(await desk.verify("latest"), Verified)
    assert isinstance(await desk.verify("1"), Broken)


async def test_what_comes_since_is_checked_and_carried_on_into_the_next_checkpoint(
    desk: CheckpointDesk, damaged: asyncpg.Connection
) -> None:
    first = (await desk.made()).statement
    operate = operate_on(desk.database_url)
    for account_id in (ACCOUNT, "between", "zz-last", "another"):
        await operate("credit", new=1, account=account_id, tokens=5, reason="r")
    since = await desk.verify_since()
    assert isinstance(since, VerifiedSince)
    whole = await desk.verify()
    assert isinstance(whole, Verified)
    assert (since.events, since.accounts) == (whole.events, whole.accounts)
    assert since.new_events == whole.events - first.events > 4
    second = (await desk.made()).statement
    # What was carried on is what a walk of the whole log finds.
    assert (second.number, second.digest, second.events) == (2, whole.checkpoint.digest, whole.events)
    assert second.position == whole.checkpoint.position
    for name in ("1", "2"):
        assert isinstance(await desk.verify(name), Verified)
    await tamper(damaged, "UPDATE ledger.events SET data = data || ' ' WHERE account_id = 'between' AND version = 2")
    told = await desk.verify_since("1")
    assert isinstance(told, Broken)
    assert (told.account_id, told.version, "hash" in told.reason) == ("between", 2, True)


async def test_an_account_that_moved_on_from_a_rewritten_history_is_named(
    desk: CheckpointDesk, damaged: asyncpg.Connection
) -> None:
    await desk.made()
    await rewrite_history(damaged, desk.database_url, ACCOUNT)
    await operate_on(desk.database_url)("credit", account=ACCOUNT, tokens=5, reason="r")
    told = await desk.verify_since()
    assert isinstance(told, Broken)
    assert (told.account_id, "rewritten" in told.reason) == (ACCOUNT, True)


async def test_a_restored_backup_is_told_as_one(
    desk: CheckpointDesk, postgres_server: Postgres, history_template: str
) -> None:
    await operate_on(desk.database_url)("credit", account=ACCOUNT, tokens=5, reason="r")
    await desk.made()
    async with postgres_server.copied(history_template) as backup:
        restored = CheckpointDesk(backup, desk.place)
        for told in (await restored.verify(), await restored.verify_since(), await restored.make()):
            assert isinstance(told, Broken)
            assert "a backup was restored, or the end was cut off" in told.reason


async def test_a_checkpoint_of_another_ledger_is_told_as_one(desk: CheckpointDesk, database_url: str) -> None:
    await migrate(database_url, "ledger")
    await write_history(database_url, accounts=2, events=20)
    await CheckpointDesk(database_url, desk.place).made()
    for told in (await desk.verify(), await desk.verify_since()):
        assert isinstance(told, Broken)
        assert "of another ledger" in told.reason


async def test_a_checkpoint_that_somebody_else_signed_is_not_believed(desk: CheckpointDesk) -> None:
    made = await desk.made()
    stranger = CheckpointDesk(desk.database_url, desk.place, key=OTHER_KEY)
    for attempt in (stranger.verify, stranger.verify_since, stranger.make):
        with pytest.raises(CheckpointError, match=f"signed with the key '{made.key}', which is not believed"):
            await attempt()


async def test_one_that_was_renamed_is_not_the_latest(desk: CheckpointDesk) -> None:
    await desk.made()
    folder = Path(desk.place)
    (folder / "checkpoint-0000000007").write_bytes((folder / "checkpoint-0000000001").read_bytes())
    with pytest.raises(CheckpointError, match=r"checkpoint 7 in .* is number 1, renamed"):
        await desk.verify()


async def test_none_is_made_of_a_log_that_is_not_guarded(desk: CheckpointDesk, damaged: asyncpg.Connection) -> None:
    await desk.made()
    await damaged.execute("ALTER TABLE ledger.events DISABLE TRIGGER history_never_changes")
    for told in (await desk.make(), await desk.make(anew="why not"), await desk.verify_since()):
        assert isinstance(told, Broken)
        assert "trigger" in told.reason
    assert desk.shelf.numbers() == [1]


async def test_a_walk_over_several_processes_names_the_same(
    desk: CheckpointDesk, damaged: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.made()
    for account_id in ("account-00000", "account-00011"):
        await rewrite_history(damaged, desk.database_url, account_id)
    await remove_account(damaged, ACCOUNT)
    monkeypatch.setattr(survey, "EVENTS_WORTH_A_PROCESS", 100)
    monkeypatch.setattr(survey, "_usable_cores", lambda: 3)
    told = await desk.verify()
    assert isinstance(told, Broken)
    assert (told.problems, "rewritten" in told.reason) == (3, True)


async def test_an_id_that_no_account_can_have_makes_no_checkpoint_unreadable(
    desk: CheckpointDesk, damaged: asyncpg.Connection
) -> None:
    await desk.made()
    odd = "two\nlines 1 00"
    await damaged.execute(
        "INSERT INTO ledger.events (account_id, version, id, type, recorded_at, data, hash)"
        " SELECT $1, 1, id, type, recorded_at, data, hash FROM ledger.events LIMIT 1",
        odd,
    )
    await damaged.execute(
        "INSERT INTO ledger.accounts (account_id, version, head) SELECT $1, 1, hash FROM ledger.events LIMIT 1", odd
    )
    told = await desk.make()
    assert isinstance(told, Broken)
    assert told.account_id == odd
    assert isinstance(await desk.verify_since(), Broken)
    assert desk.shelf.numbers() == [1]


async def test_what_can_not_be_removed_keeps_no_checkpoint_from_being_made(desk: CheckpointDesk) -> None:
    await desk.made()
    folder = Path(desk.place)
    for number in range(2, 60):
        (folder / f"checkpoint-{number:010}").mkdir()  # no file, and so not to be removed as one
    (folder / "checkpoint-0000000060").write_bytes(b"")
    maker = Maker(desk.database_url, desk.shelf, Keys.of(desk.settings), keep_days=1)
    made = await maker.make(anew="the others are none")
    assert isinstance(made, Made)
    assert (made.statement.number, made.removed) == (61, 1)
    assert made.not_removed is not None
    assert desk.place in made.not_removed


async def test_one_is_due_where_the_latest_is_old(desk: CheckpointDesk) -> None:
    assert isinstance(await desk.make(due_seconds=3_600), Made)
    again = await desk.make(due_seconds=3_600)
    assert isinstance(again, NotDue)
    assert 3_500 < again.due_in_seconds <= 3_600
    assert desk.shelf.numbers() == [1]


async def test_while_one_process_is_at_it_no_other_makes_one(desk: CheckpointDesk) -> None:
    async with asyncpg.create_pool(desk.database_url, min_size=1, max_size=1) as pool, pool.acquire() as other:
        assert await other.fetchval("SELECT pg_try_advisory_lock(7205759403792797)")
        assert isinstance(await desk.make(due_seconds=3_600), NotDue)
        with pytest.raises(CheckpointError, match="another process"):
            await desk.make()
    assert desk.shelf.numbers() == []


class _LateShelf(FolderShelf):
    """Of a process that looked before another one wrote, and was frozen since."""

    def numbers(self) -> list[int]:
        return []


async def test_who_comes_back_late_finds_the_number_taken_and_writes_over_nothing(desk: CheckpointDesk) -> None:
    await desk.made()
    before = (Path(desk.place) / "checkpoint-0000000001").read_bytes()
    late = Maker(desk.database_url, _LateShelf(Path(desk.place)), Keys.of(desk.settings), keep_days=0)
    assert isinstance(await late.make(due_seconds=3_600), NotDue)
    with pytest.raises(TakenError):
        await late.make()
    assert (Path(desk.place) / "checkpoint-0000000001").read_bytes() == before


async def test_the_verbs(desk: CheckpointDesk) -> None:
    operate = operate_on(desk.database_url)
    made = await operate("checkpoint", environment=desk.environment)
    assert (made.code, made.json["statement"]["number"]) == (0, 1)
    file = Path(desk.place) / "checkpoint-0000000001"
    public = {"SOLARIS_CHECKPOINTS": desk.place, "SOLARIS_CHECKPOINT_PUBLIC_KEYS": made.json["key"]}
    assert (await operate("verify", environment=public, checkpoint=file)).json["signed"]["number"] == 1
    assert (await operate("verify", environment=public, since="latest")).json["new_events"] == 0
    (await operate("checkpoint", environment=public)).assert_refused(1)
    (await operate("verify", environment=public, since="1", checkpoint="1")).assert_refused(2)
    (await operate("verify", environment=desk.environment, checkpoint=2)).assert_refused(1)
    file.write_bytes(file.read_bytes().replace(b'"accounts":12', b'"accounts":13'))
    forged = await operate("verify", environment=public, checkpoint="latest")
    forged.assert_refused(1)
    assert "it was forged or damaged" in forged.err
