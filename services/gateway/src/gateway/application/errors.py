"""Why a call ends before its answer begins, as facts for the edge."""

from contracts.reservations import Refused

from gateway.domain.outages import Outage


class RefusedError(Exception):
    """The ledger refused the hold."""

    def __init__(self, refused: Refused, account_id: str) -> None:
        super().__init__(refused.code)
        self.refused = refused
        self.account_id = account_id


class OutageError(Exception):
    """A part behind the gateway does not work; `detail` says in a few words what it did instead."""

    def __init__(self, outage: Outage, detail: str = "") -> None:
        super().__init__(outage)
        self.outage = outage
        self.detail = detail
