"""What the process that reconciles by time makes of the answer: figures to watch, a note where they differ."""

import json
import sys
from typing import Any

import pytest
from ledger.projector import reconciling
from ledger.projector.reconciling import RETRY_SECONDS, Reconciling
from prometheus_client import REGISTRY

NIGHT: dict[str, Any] = {
    "trigger": "nightly",
    "source": "litellm",
    "first_day": "2026-11-25",
    "last_day": "2026-11-25",
    "ended_at": "2026-11-26T03:00:07Z",
    "difference_percent": 1.25,
    "cost_difference_percent": 0.0,
    "threshold_percent": 0.5,
    "within_threshold": False,
}


async def told(monkeypatch: pytest.MonkeyPatch, answer: object, *, code: int = 0, err: str = "") -> tuple[float, str]:
    """For how long it rests, and what it notes."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    program = f"import sys; sys.stdout.write({text!r}); sys.stderr.write({err!r}); sys.exit({code})"
    monkeypatch.setattr(reconciling, "COMMAND", (sys.executable, "-S", "-c", program))
    part = Reconciling()
    return await part.look(), await part.check() or ""


async def test_a_difference_beyond_the_threshold_is_noted_and_can_be_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    rests, note = await told(monkeypatch, {"due_in_seconds": 1_234.5, "latest": [NIGHT]})
    assert rests == 1_234.5
    assert note == "2026-11-25 to 2026-11-25: litellm differs by 1.25 % of tokens, 0 % of cost; see reconcile"
    labels = {"period": "nightly", "source": "litellm"}
    assert REGISTRY.get_sample_value("solaris_reconciliation_difference_percent", labels) == 1.25
    assert REGISTRY.get_sample_value("solaris_reconciliation_within_threshold", labels) == 0


async def test_what_one_source_says_does_not_hide_what_another_does(monkeypatch: pytest.MonkeyPatch) -> None:
    other = NIGHT | {"source": "spend-logs", "difference_percent": 0.0, "within_threshold": True}
    _, note = await told(monkeypatch, {"due_in_seconds": 60, "latest": [NIGHT, other]})
    assert "litellm differs" in note
    within = [
        REGISTRY.get_sample_value("solaris_reconciliation_within_threshold", {"period": "nightly", "source": source})
        for source in ("litellm", "spend-logs")
    ]
    assert within == [0, 1]


async def test_what_is_within_the_threshold_needs_no_note(monkeypatch: pytest.MonkeyPatch) -> None:
    within = NIGHT | {"difference_percent": 0.1, "within_threshold": True}
    assert (await told(monkeypatch, {"due_in_seconds": 90_000, "latest": [within]})) == (3_600, "")


@pytest.mark.parametrize(
    ("answer", "code", "err", "note"),
    [
        ("", 1, "error: the database does not answer: refused\n", "error: the database does not answer: refused"),
        ("made", 0, "", "made"),
        ("", 0, "", "it said nothing"),
    ],
)
async def test_what_can_not_be_made_is_noted_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, answer: str, code: int, err: str, note: str
) -> None:
    assert await told(monkeypatch, answer, code=code, err=err) == (RETRY_SECONDS, note)
