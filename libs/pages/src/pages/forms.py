"""What a form of ours sends: read within bounds, and only where it was sent from a page of ours."""

import asyncio
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import ClientDisconnect, Request

MAX_FORM_BYTES: Final = 8 * 1024
MAX_FIELDS: Final = 20
FORM_SECONDS: Final = 10.0


class FormError(Exception):
    """The body is no form of ours; `status` is the answer's."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def read_form(request: Request, page_url: str | None = None) -> dict[str, str]:
    """The fields; of a name that comes twice the last. `page_url` is where browsers find our pages, if that is known.

    Raises:
        FormError: too large, too slow, of another kind, from another site, or not to be read.
    """
    if not is_from_here(request, page_url):
        raise FormError(403)
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise FormError(415)
    body = await _body(request)
    try:
        return dict(parse_qsl(body.decode("ascii"), max_num_fields=MAX_FIELDS, errors="strict", keep_blank_values=True))
    except ValueError as error:
        raise FormError(400) from error


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(FORM_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_FORM_BYTES:
                    raise FormError(413)
    except TimeoutError:
        raise FormError(408) from None
    except ClientDisconnect:
        raise FormError(400) from None
    return bytes(body)


def is_from_here(request: Request, page_url: str | None) -> bool:
    """Whether a page of our own sent it, as far as the browser tells: a program that tells nothing has its say."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    # Proxies may call us by another name than browsers do.
    names = {request.headers.get("host"), urlsplit(page_url).netloc if page_url else None}
    return origin is None or urlsplit(origin).netloc in names - {None, ""}
