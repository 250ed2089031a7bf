"""The ten seconds of a stop are shared out: every wait has its bound, and nobody is killed before its own is over."""

from local_run.parts import in_turns
from local_run.services import PARTS, SERVICES

from tests.support.stack import EVERYTHING

TURNS = in_turns(PARTS)


def test_all_stop_within_ten_seconds_whoever_hangs() -> None:
    assert {part.name for together in TURNS for part in together} == EVERYTHING
    assert sum(max(part.stop_seconds for part in together) for together in TURNS) < 10


def test_a_service_has_ended_by_itself_before_it_is_killed() -> None:
    assert all(0 < service.shutdown_seconds < service.stop_seconds for service in SERVICES)


def test_who_needs_another_to_end_stops_before_it() -> None:
    names = [{part.name for part in together} for together in TURNS]
    assert names == [
        {"gateway"},
        {"ledger", "projector", "notifier", "billing"},
        {"upstream", "mailbox", "stripe"},
        {"nats"},
        {"postgres"},
    ]
