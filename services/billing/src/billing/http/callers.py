"""Who asks: a service with its key, for any account, or whoever has a purchase link, for the one that it names."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address

from chassis.caller_keys import CallerKeyring, UnknownKeyError
from contracts.purchase_links import ExpiredLinkError, PurchaseLinkError, read_purchase_link
from starlette.requests import Request

from billing.http.problems import ProblemError


@dataclass(frozen=True, kw_only=True)
class Caller:
    """`name` stands in an order's life; `link` is the token of the link, where it is one, and `address` where from."""

    name: str
    account_id: str
    link: str | None = None
    address: str | None = None


class Callers:
    """Tells callers apart."""

    def __init__(self, *, service_keys: Sequence[str], link_keys: Sequence[bytes]) -> None:
        self._service_keys = CallerKeyring(service_keys)
        self._link_keys = link_keys

    def identify(self, request: Request, *, account_id: str | None, token: str | None) -> Caller:
        """Who asks, and for whom.

        Raises:
            ProblemError: 401 without a key or a link that is ours, 403 for an account that it does not name.
        """
        bearer = request.headers.get("authorization")
        if bearer is not None:
            name = self._service(bearer)
            if account_id is None:
                raise ProblemError(422, "invalid_request", "account_id: name the account that gets the credits.")
            return Caller(name=name, account_id=account_id)
        if token is None:
            raise ProblemError(401, "missing_credentials", "Use a purchase link, or a service key as bearer.")
        named = self.account_of(token)
        if account_id is not None and account_id != named:
            raise ProblemError(403, "foreign_account", "This link is for another account.")
        return Caller(name=f"link:{named}", account_id=named, link=token, address=address_of(request))

    def is_service(self, request: Request) -> bool:
        """Whether a service asks; raises ProblemError where somebody shows a key that is none of ours."""
        bearer = request.headers.get("authorization")
        return bearer is not None and bool(self._service(bearer))

    def account_of(self, token: str) -> str:
        """The account that a link's token names; raises ProblemError where it is none of ours, or its time is over."""
        try:
            return read_purchase_link(token, self._link_keys, datetime.now(UTC))
        except ExpiredLinkError:
            raise ProblemError(401, "expired_link", "This link is over; ask for a new one in the chat.") from None
        except PurchaseLinkError:
            raise ProblemError(401, "invalid_link", "This is no purchase link of ours.") from None

    def _service(self, header: str) -> str:
        try:
            return f"service:{self._service_keys.authenticate({b'authorization': header.encode('latin-1')})}"
        except UnknownKeyError:
            raise ProblemError(401, "invalid_key", "No service has this key.") from None


def address_of(request: Request) -> str | None:
    """Where from; of IPv6 the network, of which one person has as many addresses as they like."""
    host = request.client.host if request.client is not None else None
    try:
        address = ip_address(host or "")
    except ValueError:
        return host
    if isinstance(address, IPv4Address):
        return str(address)
    # Proxies that take both kinds write IPv4 so: all of it is one network of IPv6, but not one person.
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))
