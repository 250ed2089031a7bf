"""However a call ends, there is one record of it."""

from pathlib import Path

import pytest
from contracts.envelope import event_decoder
from contracts.events.usage import UsageRecorded
from contracts.usage import Outcome, TokenUsage
from gateway.application.call import Call
from gateway.application.ending import Ending
from gateway.journal.journal import Journal


class Kept(Journal):
    """Keeps its lines in memory."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, keep_seconds=1, keep_bytes=1)
        self.lines: list[bytes] = []

    def append(self, line: bytes) -> None:
        self.lines.append(line)


def test_a_call_whose_output_can_not_be_counted_is_recorded_all_the_same(tmp_path: Path) -> None:
    def fail(_: str) -> int:
        raise ZeroDivisionError

    call, journal = Call(reserving=True, forwarded=True, account_id="ana", model="m"), Kept(tmp_path)
    ending = Ending(call, journal, hide_usage_chunk=False, count_tokens=fail)
    content = {"choices": [{"message": {"role": "assistant", "content": "Olá!"}}]}
    with pytest.raises(ZeroDivisionError):
        ending.by_content(200, content, b"{}")
    ending.close()
    (record,) = [event_decoder(UsageRecorded).decode(line).data for line in journal.lines]
    assert (record.outcome, record.status, record.usage) == (Outcome.COMPLETED, 200, TokenUsage())
