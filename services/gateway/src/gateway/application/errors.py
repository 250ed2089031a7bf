"""Why a call ends before its answer begins, as facts for the edge."""

from contracts.reservations import Refused

from gateway.domain.outages import Outage


class RefusedError(Exception):
    """The ledger refused the hold."""

    def __init__(self, refused: Refused, account_id: str, *, stream: bool, wants_usage_chunk: bool, model: str) -> None:
        super().__init__(refused.code)
        self.refused = refused
        self.account_id = account_id
        self.stream = stream
        self.wants_usage_chunk = wants_usage_chunk
        self.model = model


class OutageError(Exception):
    """A part behind the gateway does not work; nothing is charged."""

    def __init__(self, outage: Outage) -> None:
        super().__init__(outage)
        self.outage = outage
