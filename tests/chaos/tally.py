"""What a long run has seen, and what the accounts' books say otherwise."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Tally:
    """What happened, as the clients and the one who made the trouble saw it."""

    served: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Account and tokens of each call that was answered to its end, by reservation."""
    refused: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    failed_at_healthy: Counter[str] = field(default_factory=Counter)
    """Calls refused or broken, by how, though nothing was done to the gateway that they went to."""
    left: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    operated: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    longest_gap_seconds: float = 0.0
    longest_gap: str = ""
    granted: Counter[str] = field(default_factory=Counter)
    """Credits that an operator's command was answered for, by account."""


def account_differences(balance: dict[str, Any], events: list[dict[str, Any]], tally: Tally) -> list[str]:
    """Charged = produced: each settled call by the figures that its model's name tells, each once."""
    found: list[str] = []
    charged: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    granted = 0
    for event in events:
        name, data = event["type"].split(".")[2], event["data"]
        match name:
            case "usage_settled":
                reservation, corrected = data["reservation_id"], data.get("corrects_billable_tokens") or 0
                ended[reservation] += 1
                charged[reservation] += data["billable_tokens"] - corrected
                if data["usage_source"] == "provider" and data["billable_tokens"] != tokens_of(data["model"]):
                    found.append(f"{reservation} charged {data['billable_tokens']} for {data['model']}")
            case "reservation_expired":
                charged[data["reservation_id"]] += data["billable_tokens"]
            case "credits_granted":
                granted += data["tokens"]
    for reservation, (account, tokens) in tally.served.items():
        if account == balance["account_id"] and charged[reservation] != tokens:
            found.append(f"{reservation} was served {tokens} and charged {charged[reservation]}")
    found += [f"{reservation} ended {times} times" for reservation, times in ended.items() if times > 1]
    if balance["monthly_used"] != sum(charged.values()):
        found.append(f"used {balance['monthly_used']}, charged {sum(charged.values())}")
    if granted < tally.granted[balance["account_id"]] or granted != balance["credits"]:
        found.append(f"granted {granted} of {tally.granted[balance['account_id']]}, credits {balance['credits']}")
    if balance["debt"] or balance.get("unowed"):
        found.append(f"debt {balance['debt']}, unowed {balance.get('unowed')}")
    return found


def tokens_of(model: str) -> int:
    """What `demo-usage:PROMPT:CACHED:COMPLETION` uses; cached tokens are part of the prompt."""
    prompt, _, completion = model.split("-")[1].split(":")[1:4]
    return int(prompt) + int(completion)
