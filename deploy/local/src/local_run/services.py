"""The table of the run: one entry a process, from which ports, users, roles, rights, orders and verbs derive."""

import re
from pathlib import Path
from typing import Final

from chassis.setting_types import DEVELOPMENT_KEY
from contracts import subjects

from local_run.parts import Part, Service, Tool, Verb

OPERATOR: Final = "operator"
"""Whose commands may what the services may; a user and a role beside theirs."""
_REPOSITORY: Final = Path(__file__).parents[4]
_LINK_KEYS: Final = "SOLARIS_LINK_KEYS"
"""What signs links to where credits are bought, and what reads them."""
CHECKPOINT_KEY: Final = "SOLARIS_CHECKPOINT_KEY"
"""Of the ledger alone: signs checkpoints of the log."""
_PERSON_VERBS: Final = {
    "export": Verb(required=("ACCOUNT",), in_turn=True, joined=True),
    "forget": Verb(required=("ACCOUNT",), optional=("REASON",), in_turn=True),
}
"""Of every service that keeps something about people."""
_REPUBLISH: Final = Verb(optional=("FROM", "TO"), of_first=("FROM", "TO"))
"""Of every service that stores what it says; positions are the ledger's."""

SERVICES: Final[tuple[Service, ...]] = (
    Service(
        name="gateway",
        port=8000,
        stop_turn=1,
        stop_seconds=4.0,
        path="/v1",
        note="OpenAI-compatible",
        publishes=(
            "solaris.usage.>",
            subjects.REQUESTS_ENDED,
            f"{subjects.RESERVE_PREFIX}.*",
            f"{subjects.RESERVE_AGAIN_PREFIX}.*",
            subjects.READ_READY,
            # Whether the stream of usage is still the one that it was.
            f"$JS.API.STREAM.INFO.{subjects.USAGE_STREAM}",
        ),
        # Where requests to the upstream may have to pass; they can hold a password, and only the gateway has requests.
        sees=frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}),
        tells={"SOLARIS_STOP_NOTICE_SECONDS": "0"},
        defaults={"SOLARIS_GATEWAY_KEYS": DEVELOPMENT_KEY},
        secret="SOLARIS_GATEWAY_SECRET",  # noqa: S106  the variable's name
        shared_secrets=(_LINK_KEYS,),
    ),
    Service(
        name="ledger",
        port=8001,
        migrates=True,
        publishes=(
            "solaris.ledger.>",
            # Streams and consumers are the ledger's to provision and to look at, not to delete or purge.
            "$JS.API.STREAM.CREATE.*",
            # What an older release made is to refuse usage when it is full, too.
            f"$JS.API.STREAM.UPDATE.{subjects.USAGE_STREAM}",
            "$JS.API.STREAM.INFO.*",
            "$JS.API.CONSUMER.DURABLE.CREATE.>",
            "$JS.API.CONSUMER.INFO.>",
        ),
        answers=("solaris.rpc.ledger.>",),
        consumes=(
            (subjects.USAGE_STREAM, subjects.LEDGER_USAGE_CONSUMER),
            (subjects.BILLING_STREAM, subjects.LEDGER_BILLING_CONSUMER),
        ),
        defaults={"SOLARIS_CATALOG": str(_REPOSITORY / "deploy" / "catalog.toml")},
        shared_secrets=(CHECKPOINT_KEY,),
        also_reads="ledger.catalog_file:load_policy",
        own_verbs={
            "balance": Verb(required=("ACCOUNT",), optional=("AT",)),
            "credit": Verb(required=("ACCOUNT", "TOKENS", "REASON"), optional=("KEY", "NEW")),
            "revoke": Verb(required=("ACCOUNT", "LOT", "TOKENS", "REASON"), optional=("KEY",)),
            "lots": Verb(required=("ACCOUNT",)),
            "plan": Verb(required=("ACCOUNT", "PLAN"), optional=("REASON", "KEY", "NEW")),
            "limit": Verb(required=("ACCOUNT", "TOKENS"), optional=("REASON", "KEY", "NEW")),
            "suspend": Verb(required=("ACCOUNT", "REASON"), optional=("KEY", "NEW")),
            "activate": Verb(required=("ACCOUNT", "REASON"), optional=("KEY", "NEW")),
            "block": Verb(required=("ACCOUNT", "REASON"), optional=("KEY", "NEW")),
            "correct-cycle": Verb(required=("ACCOUNT", "REASON")),
            "apply-catalog": Verb(optional=("PLAN", "REASON", "SHOW", "CUSTOM")),
            "find": Verb(required=("WHO",)),
            "import": Verb(required=("FILE",), optional=("APPLY", "KEY", "CREDITS_PER_TOKEN", "FORMAT")),
            **_PERSON_VERBS,
            "events": Verb(optional=("ACCOUNT", "FROM", "TO")),
            "replay": Verb(optional=("PROJECTION",)),
            "verify": Verb(optional=("CHECKPOINT", "SINCE", "STATES")),
            "checkpoint": Verb(optional=("DUE", "ANEW")),
            "republish": _REPUBLISH,
            "usage": Verb(optional=("ACCOUNT", "MODEL", "TAG", "FROM", "TO", "BY", "FORMAT")),
            "people": Verb(optional=("WHO", "SORT", "FORMAT")),
            "overview": Verb(optional=("FROM", "TO", "FORMAT")),
            "explain": Verb(required=("ID",), optional=("ACCOUNT", "FORMAT")),
            "statement": Verb(required=("ACCOUNT",), optional=("FROM", "TO", "FORMAT")),
            "requests": Verb(optional=("ACCOUNT", "ID", "CODE", "FROM", "TO", "FORMAT")),
            "refusals": Verb(optional=("ACCOUNT", "FROM", "TO", "BY", "FORMAT")),
            "reconcile": Verb(optional=("FROM", "TO", "SOURCE", "FILE", "THRESHOLD", "FORMAT", "CORRECT", "DUE")),
            "holds": Verb(optional=("ACCOUNT", "OLDER", "FORMAT")),
        },
        verbs_read_settings=True,
    ),
    Service(
        name="projector",
        program="ledger.projector",
        port=8004,
        has_role=True,
        consumes=(
            (subjects.BILLING_STREAM, subjects.PROJECTOR_BILLING_CONSUMER),
            (subjects.REQUESTS_STREAM, subjects.PROJECTOR_REQUESTS_CONSUMER),
        ),
    ),
    Service(
        name="notifier",
        port=8003,
        migrates=True,
        publishes=(f"{subjects.READ_PROFILE_PREFIX}.>", f"{subjects.READ_BALANCE_PREFIX}.>", subjects.READ_READY),
        consumes=(
            (subjects.LEDGER_STREAM, subjects.NOTIFIER_LEDGER_CONSUMER),
            (subjects.BILLING_STREAM, subjects.NOTIFIER_BILLING_CONSUMER),
        ),
        defaults={
            "SOLARIS_MAIL_FROM": "nao-responda@solaris.localhost",
            "SOLARIS_CATALOG": str(_REPOSITORY / "deploy" / "catalog.toml"),
        },
        shared_secrets=(_LINK_KEYS,),
        own_verbs=_PERSON_VERBS,
    ),
    Service(
        name="billing",
        port=8002,
        path="/billing/packages",
        note="purchases, webhooks",
        migrates=True,
        publishes=("solaris.billing.>", f"{subjects.READ_BALANCE_PREFIX}.>"),
        hears=tuple(subjects.event_subject(name, "*") for name in subjects.BALANCE_FALLS),
        has_letters=True,
        defaults={
            "SOLARIS_CATALOG": str(_REPOSITORY / "deploy" / "catalog.toml"),
            "SOLARIS_GATEWAY_KEYS": DEVELOPMENT_KEY,
        },
        shared_secrets=(_LINK_KEYS,),
        own_verbs={
            "order": Verb(
                required=("ACCOUNT", "PAID_BY", "REFERENCE", "REASON"),
                optional=("PACKAGE", "TOKENS", "AMOUNT", "CURRENCY", "PAYER", "KEY"),
            ),
            "approve": Verb(required=("ORDER",)),
            "refund": Verb(required=("ORDER", "REASON"), optional=("AMOUNT",)),
            "unfreeze": Verb(required=("ORDER", "REASON")),
            "orders": Verb(optional=("ORDER", "ACCOUNT", "STATE", "FROM", "TO", "FORMAT")),
            "billing-sync": Verb(optional=("FROM",)),
            "republish": _REPUBLISH,
            "billing-republish": Verb(),
            "stripe-setup": Verb(optional=("SHOW",)),
            "stripe-check": Verb(),
            "top-up": Verb(
                required=("ACCOUNT",), optional=("PACKAGE", "BELOW", "MONTHLY_CAP", "CURRENCY", "PAYER", "OFF")
            ),
            **_PERSON_VERBS,
            "vouchers": Verb(
                optional=("TOKENS", "COUNT", "USES", "PER_ACCOUNT", "UNTIL", "EXPIRES_DAYS", "REASON", "BATCH")
            ),
            "vouchers-withdraw": Verb(required=("BATCH", "REASON")),
        },
        verbs_read_settings=True,
    ),
)
"""What is asked of several services is asked in this order."""
TOOLS: Final[tuple[Tool, ...]] = (Tool(name="company", verbs={"seed": Verb(optional=("SEED",))}),)
HELPERS: Final[tuple[Part, ...]] = (
    Part(name="upstream", port=8010, stop_turn=3, stop_seconds=0.5),
    Part(name="mailbox", port=8025, more_ports={"smtp": 8026}, stop_turn=3, stop_seconds=0.5),
    Part(name="stripe", port=8012, stop_turn=3, stop_seconds=0.5),
)
"""Programs of the demo, each unless something else stands in for it."""
SERVERS: Final[tuple[Part, ...]] = (
    Part(
        name="nats",
        port=8022,
        stop_turn=4,
        stop_seconds=1.0,
        # Passwords are plain in a private file, on loopback.
        routine=re.compile(r"\[\d+\] \[(INF|DBG|TRC|WRN\] Plaintext passwords)"),
    ),
    Part(
        name="postgres",
        port=8032,
        stop_turn=5,
        stop_seconds=1.5,
        routine=re.compile(
            r"(LOG|DEBUG\d?|INFO|NOTICE):"
            r"|FATAL:  the database system is (starting up|shutting down|not yet accepting connections)"
            r"|DETAIL:  Consistent recovery state has not been yet reached"
        ),
    ),
)
PARTS: Final[tuple[Part, ...]] = (*SERVICES, *HELPERS, *SERVERS)
"""All turns together take less than the 10 s of a stop."""
