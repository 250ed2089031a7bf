"""`make top-up` sets auto top-up, shows it, and turns it off."""

from tests.support.ledger_operate import Operate


async def test_it_is_off_set_shown_and_turned_off(operate: Operate) -> None:
    shown = (await operate("top-up", account="ana")).json
    assert (shown["is_on"], shown["account_is_new"]) == (False, True)
    ran = await operate("top-up", account="ana", package="small", below=100_000, monthly_cap=20_000)
    assert (ran.code, ran.err) == (0, "")
    shown = (await operate("top-up", account="ana")).json
    assert (shown["is_on"], shown["package_id"], shown["below_tokens"], shown["monthly_cap_minor"]) == (
        *(True, "small"),
        *(100_000, 20_000),
    )
    assert shown["set_by"].startswith("operator:")
    assert (await operate("top-up", account="ana", off="1")).json["is_on"] is False


async def test_what_makes_no_sense_is_refused_in_one_line(operate: Operate) -> None:
    (await operate("top-up", account="bia", package="small", below=500_000)).assert_refused(1)
    (await operate("top-up", account="bia", package="huge", below=1)).assert_refused(2)
    (await operate("top-up", account="bia", package="small")).assert_refused(2)
    (await operate("top-up", account="bia", package="small", below=1, off="1")).assert_refused(2)
    (await operate("top-up", account="bia", monthly_cap=5)).assert_refused(2)
    assert (await operate("top-up", account="bia")).json["is_on"] is False
