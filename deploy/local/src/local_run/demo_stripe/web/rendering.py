"""Renders the demo's pages: templates, both languages, headers that let nothing else in."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from language.choice import Language
from language.formats import format_long_date, format_moment, format_money, format_short_date
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from local_run.demo_stripe.web.words import WORDS, language_for

_ROOM: Final = Path(__file__).parent
_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(_ROOM / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_HEADERS: Final = {
    # A form may lead on to the shop, whatever its address: so none is named for `form-action`.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
STYLESHEET: Final = (_ROOM / "templates" / "demo.css").read_bytes()


def page(template: str, language: Language, *, status: int = 200, **values: Any) -> Response:  # Any: the template's own
    """A page in that language; every value is escaped."""
    words = WORDS[language]

    def money(amount_minor: int, currency: str) -> str:
        return format_money(amount_minor, currency, language)

    times = {
        "date": lambda at: format_long_date(_local(at), language),
        "short_date": lambda at: format_short_date(_local(at), language),
        "moment": lambda at: format_moment(_local(at), language),
    }
    html = _TEMPLATES.get_template(template).render(say=words, lang=language.value, money=money, **times, **values)
    return HTMLResponse(html, status_code=status, headers=_HEADERS)


def _local(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone()


def missing_page(request: Request) -> Response:
    language = language_for(None, request.headers.get("accept-language"))
    return page("message.html.j2", language, status=404, heading=WORDS[language]["not_found"], text="", link=None)


def stylesheet() -> Response:
    return Response(STYLESHEET, media_type="text/css", headers={"Cache-Control": "no-cache"})
