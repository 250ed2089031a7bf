"""The ten seconds of a stop are shared out: every wait has its bound, and nobody is killed before its own is over."""

from local_run.services import SHUTDOWN_SECONDS
from local_run.stack import STOP_ORDER

from tests.support.stack import EVERYTHING

PATIENCE = {name: seconds for names, seconds in STOP_ORDER for name in names}


def test_all_stop_within_ten_seconds_whoever_hangs() -> None:
    assert set(PATIENCE) == EVERYTHING
    assert sum(seconds for _, seconds in STOP_ORDER) < 10


def test_a_service_has_ended_by_itself_before_it_is_killed() -> None:
    assert all(seconds < PATIENCE[service] for service, seconds in SHUTDOWN_SECONDS.items())
