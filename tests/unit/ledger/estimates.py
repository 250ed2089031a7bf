"""Settlements by our own count, and what is said of them when they are put right."""

from contracts.events.reservations import CorrectedEstimate
from contracts.usage import UsageSource
from ledger.application.content import usage_hash
from ledger.domain.commands import SettleUsage
from msgspec.structs import replace


def as_estimate(command: SettleUsage) -> SettleUsage:
    usage = replace(command.usage, usage_source=UsageSource.ESTIMATED)
    return replace(command, usage=usage, content_hash=usage_hash(usage))


def estimate_of(command: SettleUsage, cost_usd_micros: int = 0) -> CorrectedEstimate:
    return CorrectedEstimate(
        content_hash=command.content_hash, usage=command.usage.usage, cost_usd_micros=cost_usd_micros
    )
