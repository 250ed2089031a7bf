"""Stories of accounts that are about to pay for a plan."""

from datetime import UTC, datetime

from tests.unit.ledger.story import Story, opened, used

PAID = datetime(2026, 1, 20, 15, tzinfo=UTC)
"""Ten days into the first cycle, which runs from the 10th."""


def paying(*, used_before: int = 4_000) -> Story:
    """An account of the default plan at the moment of its first payment."""
    return Story().given(opened(), *used("before", used_before)).at(PAID)


def standing(story: Story) -> tuple[str, int, int]:
    return story.balance.plan, story.balance.monthly_limit, story.balance.monthly_used
