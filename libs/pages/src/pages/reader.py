"""Who looks at a page: which language it is for, light or dark, and where it stands."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self
from urllib.parse import urlencode

from language.choice import Language
from language.presentation import Presentation
from starlette.requests import HTTPConnection
from starlette.responses import Response

LANGUAGE_COOKIE: Final = "solaris_lang"
THEME_COOKIE: Final = "solaris_theme"
_A_YEAR_SECONDS: Final = 365 * 24 * 3600
_CHOICES: Final = ("lang", "theme")


class Theme(StrEnum):
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What one request asks for. `theme` is None as long as its person has not chosen: the system decides.

    What answers a form has no address of its own: `stands_for` says which page its person may look at instead.

    `home` leads from the page to where `/` is, so that links work behind any path prefix, told to us or not.
    """

    language: Language
    theme: Theme | None
    home: str
    _page: str | None = ""
    """The address of the page beside its query, relative to the one that was asked for; None where there is none."""
    _query: tuple[tuple[str, str], ...] = ()
    _chosen: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, request: HTTPConnection, presentation: Presentation) -> Self:
        """`lang` and `theme` in the query are choices, which cookies remember; then `Accept-Language` counts."""
        asked = request.query_params
        accepted = request.headers.get("accept-language")
        language = presentation.language_of(asked.get("lang"), request.cookies.get(LANGUAGE_COOKIE), accepted)
        theme = _theme(asked.get("theme")) or _theme(request.cookies.get(THEME_COOKIE))
        chosen: dict[str, str] = {LANGUAGE_COOKIE: language.value} if asked.get("lang") == language.value else {}
        if _theme(asked.get("theme")):
            chosen[THEME_COOKIE] = asked["theme"]
        home = _way_home(request)
        page, query = _page_of(request, home)
        kept = tuple((name, value) for name, value in query if name not in _CHOICES)
        return cls(language=language, theme=theme, home=home, _page=page, _query=kept, _chosen=chosen)

    @property
    def has_page(self) -> bool:
        """Whether what is shown can be shown again, with another choice."""
        return self._page is not None

    def link(self, **choice: str) -> str:
        """This page again, with another choice."""
        kept = [(name, value) for name, value in self._query if name not in choice]
        return f"{self._page or ''}?{urlencode([*kept, *choice.items()])}"

    def remember(self, response: Response, *, secure: bool) -> None:
        """Have the browser keep what was chosen just now; that is no secret, and nobody is known by it."""
        for name, value in self._chosen.items():
            response.set_cookie(name, value, max_age=_A_YEAR_SECONDS, secure=secure, httponly=True, samesite="lax")


def stands_for(request: HTTPConnection, page: str, query: Iterable[tuple[str, str]]) -> None:
    """Say of a form's request which page (as `buy`, seen from `/`) its answer's language and colours are chosen on."""
    request.state.page = (page, tuple(query))


def _page_of(request: HTTPConnection, home: str) -> tuple[str | None, Iterable[tuple[str, str]]]:
    if request.scope.get("method", "GET") in ("GET", "HEAD"):
        return "", request.query_params.multi_items()
    page, query = getattr(request.state, "page", (None, ()))
    return None if page is None else home + page, query


def _theme(value: str | None) -> Theme | None:
    return Theme(value) if value in set(Theme) else None


def _way_home(request: HTTPConnection) -> str:
    """`./` from `/buy`, `../../` from `/buy/order/1`: a browser resolves it by the path that it asked for."""
    path = request.scope.get("raw_path") or request.scope["path"].encode()
    root: str = request.scope.get("root_path", "")
    return "../" * (path.partition(b"?")[0].removeprefix(root.encode()).count(b"/") - 1) or "./"
