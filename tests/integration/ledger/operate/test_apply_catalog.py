"""A plan that the catalog raised reaches accounts that are open already, and leaves limits of their own alone."""

from pathlib import Path

import asyncpg
import pytest

from tests.support.ledger_operate import CATALOG, Operate, operate_on


@pytest.fixture
def operate(own_ledger: str) -> Operate:
    return operate_on(own_ledger)


@pytest.fixture
def raised(tmp_path: Path) -> dict[str, str]:
    """The catalog with a larger basic plan."""
    text = CATALOG.read_text().replace("monthly_tokens = 1_000_000", "monthly_tokens = 1_200_000", 1)
    path = tmp_path / "catalog.toml"
    path.write_text(text.replace('version = "', 'version = "raised-', 1))
    return {"SOLARIS_CATALOG": str(path)}


async def test_whom_it_changes_is_shown_and_then_changed_once(
    operate: Operate, raised: dict[str, str], damaged: asyncpg.Connection
) -> None:
    await operate("plan", account="account-00001", plan="pro")
    await operate("limit", account="account-00002", tokens=777)
    shown = await operate("apply-catalog", environment=raised, show=1)
    assert shown.code == 0
    *changes, summary = shown.lines
    assert len(changes) == summary["to_change"] == 10
    assert (summary["changed"], summary["kept"], summary["accounts"]) == (0, 1, 12)
    assert {(each["monthly_limit"], each["new_monthly_limit"]) for each in changes} == {(1_000_000, 1_200_000)}
    assert (await operate("balance", account="account-00003")).json["monthly_limit"] == 1_000_000
    done = await operate("apply-catalog", environment=raised, reason="more for all")
    assert done.lines[:-1] == changes
    assert (done.lines[-1]["changed"], done.lines[-1]["failed"]) == (10, 0)
    limits = "SELECT account_id, (state ->> 'monthly_limit')::bigint FROM ledger.accounts"
    assert {row[0]: row[1] for row in await damaged.fetch(limits)} == {
        f"account-{number:05}": {1: 1_500_000, 2: 777}.get(number, 1_200_000) for number in range(12)
    }
    events = await damaged.fetchval("SELECT count(*) FROM ledger.events")
    again = await operate("apply-catalog", environment=raised)
    assert again.lines == [done.lines[-1] | {"to_change": 0, "changed": 0}]
    assert await damaged.fetchval("SELECT count(*) FROM ledger.events") == events
    audit = "SELECT count(*) FROM ledger.audit WHERE action = 'apply-catalog' AND reason = 'more for all'"
    assert await damaged.fetchval(audit) == 10
    assert (await operate("verify")).code == 0


async def test_a_limit_of_an_accounts_own_is_changed_where_that_is_asked(
    operate: Operate, raised: dict[str, str]
) -> None:
    await operate("limit", account="account-00002", tokens=777)
    done = await operate("apply-catalog", environment=raised, custom=1)
    assert done.lines[-1]["changed"] == 12
    assert (await operate("balance", account="account-00002")).json["monthly_limit"] == 1_200_000
    # From here on it is the plan's again, and follows it.
    assert (await operate("apply-catalog")).lines[-1]["changed"] == 12


async def test_one_plan_is_applied_alone_and_an_unknown_one_is_refused(
    operate: Operate, raised: dict[str, str]
) -> None:
    await operate("plan", account="account-00001", plan="pro")
    (summary,) = (await operate("apply-catalog", environment=raised, plan="pro")).lines
    assert (summary["accounts"], summary["to_change"]) == (1, 0)
    assert summary["catalog_version"].startswith("raised-")
    (await operate("apply-catalog", plan="gold")).assert_refused(2)
    (await operate("apply-catalog", show="yes")).assert_refused(2)


async def test_an_account_that_can_not_be_read_or_whose_plan_is_gone_is_counted_and_the_rest_is_done(
    operate: Operate, raised: dict[str, str], damaged: asyncpg.Connection
) -> None:
    await damaged.execute("UPDATE ledger.accounts SET state = '{}' WHERE account_id = 'account-00004'")
    gone = "UPDATE ledger.accounts SET state = replace(state::text, '\"basic\"', '\"gone\"')::json"
    await damaged.execute(f"{gone} WHERE account_id = 'account-00005'")
    done = (await operate("apply-catalog", environment=raised)).lines[-1]
    assert (done["changed"], done["unreadable"], done["unknown_plan"]) == (10, 1, 1)
