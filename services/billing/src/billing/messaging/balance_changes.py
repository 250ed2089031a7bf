"""Hears whose balance may have fallen, of the accounts that are watched and of nobody else."""

from collections.abc import Set as AbstractSet
from functools import partial
from typing import Final

import structlog
from chassis.core_nats.client import CoreNats
from chassis.core_nats.wire import Message
from contracts.accounts import subject_token
from contracts.subjects import BALANCE_FALLS, event_subject
from nats.errors import Error as NatsError

CONFIRM_SECONDS: Final = 2.0

log = structlog.get_logger()


class BalanceChanges:
    """Subscribes to what the ledger publishes of each watched account, plainly: of others nothing is sent.

    What is published while nobody listens does not come again. So an account counts as changed from the moment on in
    which the server is known to send what is said of it: when it is watched anew, and all after each new connection.
    Nothing of an event is believed, not even read: whoever hears of an account asks the ledger.
    """

    def __init__(self, client: CoreNats) -> None:
        self._client = client
        self._subscriptions: dict[str, list[bytes]] = {}
        self._heard: set[str] = set()
        self._unsure: set[str] = set()
        self._connects = 0

    async def of(self, accounts: AbstractSet[str]) -> set[str]:
        """Those of the accounts that may have less left than when this was last asked; all are watched from now on.

        Other accounts are not watched any more. While the server does not answer, what was missed is told later.
        """
        await self._watch(accounts)
        connects = self._client.connects
        if connects != self._connects:
            self._unsure = set(accounts)
        if self._unsure and await self._is_heard():
            self._heard |= self._unsure
            self._unsure = set()
            self._connects = connects
        heard, self._heard = self._heard & accounts, set()
        return heard

    async def _watch(self, accounts: AbstractSet[str]) -> None:
        ended = self._subscriptions.keys() - accounts
        if ended:
            await self._client.unsubscribe(*(sid for account in ended for sid in self._subscriptions.pop(account)))
        self._unsure &= accounts
        for account in accounts - self._subscriptions.keys():
            self._unsure.add(account)
            made = self._subscriptions[account] = []
            try:
                for name in BALANCE_FALLS:
                    subject = event_subject(name, subject_token(account))
                    made.append(self._client.subscribe(subject, partial(self._hear, account)))
            except NatsError as error:  # the server does not read: the rest is asked for in a second
                log.warning("balances_not_watched", error=repr(error))
                await self._client.unsubscribe(*self._subscriptions.pop(account))
                return

    def _hear(self, account: str, _: Message) -> None:
        self._heard.add(account)

    async def _is_heard(self) -> bool:
        if not self._client.is_connected:
            return False
        try:
            await self._client.flush(CONFIRM_SECONDS)
        except (NatsError, TimeoutError) as error:
            log.warning("balances_not_heard", error=repr(error))
            return False
        return True
