"""The ledger process as a gateway meets it."""

import asyncio
from collections import Counter

from chassis.ids import new_uuid7
from contracts import subjects
from contracts.errors import RefusalCode
from contracts.profiles import Profile
from contracts.usage import Outcome

from tests.integration.ledger.conftest import Conversation, LedgerProcess
from tests.support.eventually import eventually


async def test_a_call_is_held_then_charged_by_the_provider_figures(gateway: Conversation) -> None:
    answer = await gateway.reserve("ana", reservation_id="r-ana-1")
    assert answer.granted is not None
    assert answer.granted.held_tokens == 200
    assert (await gateway.balance("ana")).held == 200
    await gateway.record("ana", "r-ana-1", prompt=90, completion=33)
    balance = await gateway.settled("ana", 123)
    assert balance.available == 1_000_000 - 123


async def test_the_same_usage_ten_times_is_charged_once(gateway: Conversation) -> None:
    await gateway.reserve("rui", reservation_id="r-rui-1")
    event = await gateway.record("rui", "r-rui-1", prompt=50, completion=50)
    for number in range(10):
        await gateway.publish(event, message_id=f"again-{number}")
    await gateway.reserve("rui", reservation_id="r-rui-2")
    await gateway.record("rui", "r-rui-2", prompt=1, completion=0)
    await gateway.settled("rui", 101)


async def test_a_repeated_reserve_gets_the_same_answer_and_one_hold(gateway: Conversation) -> None:
    first = await gateway.reserve("eva", reservation_id="r-eva")
    again = await gateway.reserve("eva", reservation_id="r-eva")
    other = await gateway.reserve("eva", reservation_id="r-eva", prompt_tokens=101)
    assert again == first
    assert other.refused is not None
    assert other.refused.code is RefusalCode.CONFLICT
    assert (await gateway.balance("eva")).held == 200


async def test_a_read_says_whether_the_account_is_exhausted(gateway: Conversation) -> None:
    await gateway.reserve("out", reservation_id="r-out")
    assert (await gateway.read_balance("out")).exhausted is False
    await gateway.record("out", "r-out", prompt=1_000_000)
    await gateway.settled("out", 1_000_000)
    refused = (await gateway.reserve("out", reservation_id="r-out-2")).refused
    assert refused is not None
    assert (await gateway.read_balance("out")).exhausted is True


async def test_two_first_calls_at_once_open_the_account_once(gateway: Conversation) -> None:
    answers = await asyncio.gather(*(gateway.reserve("twins") for _ in range(20)))
    assert all(answer.granted for answer in answers)
    opened = await gateway.database.fetchval(
        "SELECT count(*) FROM ledger.events WHERE account_id = 'twins' AND type = 'solaris.ledger.account_opened.v1'"
    )
    assert opened == 1


async def test_a_reserve_after_its_end_was_recorded_is_refused(gateway: Conversation) -> None:
    await gateway.record("ida", "r-ida", outcome=Outcome.NOT_FORWARDED)
    await eventually(lambda: gateway.database.fetchval("SELECT 1 FROM ledger.holds WHERE reservation_id = 'r-ida'"), 10)
    late = await gateway.reserve("ida", reservation_id="r-ida")
    assert late.refused is not None
    assert late.refused.code is RefusalCode.RESERVATION_CLOSED
    assert (await gateway.settled("ida", 0)).available == 1_000_000


async def test_events_reach_the_ledger_stream_in_the_order_of_their_positions(gateway: Conversation) -> None:
    await asyncio.gather(*(gateway.reserve(f"order-{number}") for number in range(50)))
    stored = await gateway.database.fetch("SELECT id::text, data FROM ledger.events ORDER BY position")

    async def published() -> list[tuple[str, bytes]]:
        jetstream = gateway.client.jetstream()
        subscription = await jetstream.pull_subscribe("solaris.ledger.>", stream=subjects.LEDGER_STREAM)
        messages = await subscription.fetch(10_000, timeout=1)
        await subscription.unsubscribe()
        return [((message.headers or {})["Nats-Msg-Id"], message.data) for message in messages]

    async def all_published() -> bool:
        return [tuple(row) for row in stored] == (await published())[: len(stored)]

    await eventually(all_published, 10)


async def test_a_message_that_can_never_settle_is_kept_with_its_reason(gateway: Conversation) -> None:
    await gateway.client.jetstream().publish("solaris.usage.recorded.poison", b'{"not": "an event"}')
    await gateway.reserve("after-poison", reservation_id="r-after-poison")
    await gateway.record("after-poison", "r-after-poison", prompt=7, completion=0)
    await gateway.settled("after-poison", 7)
    row = await gateway.database.fetchrow("SELECT payload, reason, subject FROM ledger.dead_letters")
    assert row is not None
    assert row["payload"] == b'{"not": "an event"}'
    assert row["subject"] == "solaris.usage.recorded.poison"
    assert "id" in row["reason"]


async def test_a_second_different_figure_goes_to_the_dead_letter(gateway: Conversation) -> None:
    await gateway.reserve("duo", reservation_id="r-duo")
    await gateway.record("duo", "r-duo", prompt=10, completion=10)
    await gateway.settled("duo", 20)
    await gateway.record("duo", "r-duo", prompt=10, completion=99)
    await eventually(
        lambda: gateway.database.fetchval("SELECT 1 FROM ledger.dead_letters WHERE reason LIKE '%another figure%'"), 10
    )
    assert (await gateway.balance("duo")).monthly_used == 20


async def test_profiles_stand_beside_the_log_and_never_in_it(gateway: Conversation) -> None:
    await gateway.reserve("zoe", profile=Profile(email="zoe@example.org", name="Zoë"))
    await eventually(
        lambda: gateway.database.fetchval("SELECT email FROM ledger.profiles WHERE account_id = 'zoe'"), 10
    )
    leaked = await gateway.database.fetchval(
        "SELECT count(*) FROM ledger.events WHERE convert_from(data, 'UTF8') LIKE '%example.org%'"
    )
    assert leaked == 0


async def test_a_killed_ledger_loses_no_hold_and_no_usage(gateway: Conversation, ledger: LedgerProcess) -> None:
    ids = [new_uuid7() for _ in range(300)]
    answered: list[str] = []

    async def call(reservation_id: str) -> None:
        try:
            answer = await gateway.reserve("kill", reservation_id=reservation_id)
        except Exception:
            answer = await retry(reservation_id)
        assert answer.granted is not None
        answered.append(reservation_id)
        await gateway.record("kill", reservation_id, prompt=3, completion=4)

    async def retry(reservation_id: str):  # type: ignore[no-untyped-def]
        for _ in range(40):
            try:
                return await gateway.reserve("kill", reservation_id=reservation_id)
            except Exception:
                await asyncio.sleep(0.25)
        raise AssertionError("no answer")

    calls = asyncio.gather(*(call(each) for each in ids))
    await eventually(lambda: len(answered) > 20, 10)
    await ledger.kill()
    await ledger.start()
    await calls
    balance = await gateway.settled("kill", 7 * len(ids))
    assert balance.debt == 0
    ends = await gateway.database.fetch(
        "SELECT convert_from(data, 'UTF8')::json -> 'data' ->> 'reservation_id' AS id FROM ledger.events "
        "WHERE account_id = 'kill' AND type = 'solaris.ledger.usage_settled.v1'"
    )
    assert Counter(row["id"] for row in ends) == Counter(ids)


async def test_a_stopping_ledger_answers_what_it_took(gateway: Conversation, ledger: LedgerProcess) -> None:
    answers = asyncio.gather(*(gateway.reserve(f"stop-{number}") for number in range(100)), return_exceptions=True)
    await asyncio.sleep(0)
    assert await ledger.stop() == 0
    granted = sum(1 for answer in await answers if not isinstance(answer, BaseException) and answer.granted)
    held = await gateway.database.fetchval("SELECT count(*) FROM ledger.holds WHERE account_id LIKE 'stop-%'")
    assert held == granted
    await ledger.start()
