"""Makes answers of templates: the layout around them, the reader's language and colours, the headers of every page."""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from language.choice import Language
from language.formats import currency_sign, format_count, format_money, format_number
from language.presentation import Presentation
from starlette.requests import Request
from starlette.responses import HTMLResponse

from pages.assets import Assets
from pages.headers import page_headers
from pages.reader import Reader, Theme
from pages.words import Fault, words_of


class Pages:
    """The pages of one service: `templates` are its own, which extend `layout.html.j2`.

    `chat_url` is where people came from, and can go back to from every page; None where nobody has said.
    """

    def __init__(
        self,
        presentation: Presentation,
        assets: Assets,
        templates: BaseLoader,
        *,
        form_targets: Sequence[str] = (),
        chat_url: str | None = None,
    ) -> None:
        self.presentation = presentation
        self.assets = assets
        self._headers = page_headers(form_targets)
        self._environment = Environment(
            loader=ChoiceLoader([templates, PackageLoader("pages")]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "number": format_number,
            "counted": _format_counted,
            "money": format_unbroken_money,
            "sign": currency_sign,
        }
        self._environment.globals |= {
            "brand": presentation.brand,
            "asset": assets.path_of,
            "themes": Theme,
            "chat_url": chat_url,
        }

    def reader_of(self, request: Request) -> Reader:
        """Whom the answer to this request is for."""
        return Reader.of(request, self.presentation)

    def answer(
        self,
        request: Request,
        template: str,
        content: Mapping[str, Any],  # what the template names
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        """The template's page, which no cache keeps."""
        reader = self.reader_of(request)
        around = {
            "reader": reader,
            "language": reader.language,
            "frame": words_of(reader.language),
        }
        html = self._environment.get_template(template).render({**around, **content})
        response = HTMLResponse(html, status_code=status, headers={**self._headers, **(headers or {})})
        response.headers["content-language"] = reader.language.value
        reader.remember(response, secure=request.url.scheme == "https")
        return response

    def fault(
        self, request: Request, status: int, fault: Fault | None = None, *, headers: Mapping[str, str] | None = None
    ) -> HTMLResponse:
        """A page that says why there is none; without a fault of its own, what the status says to people."""
        told = fault or words_of(self.reader_of(request).language).fault(status)
        return self.answer(request, "fault.html.j2", {"fault": told}, status=status, headers=headers)


def format_unbroken_money(amount_minor: int, currency: str, language: Language) -> str:
    """An amount whose sign is not torn from it at the end of a line."""
    return format_money(amount_minor, currency, language).replace(" ", "\N{NO-BREAK SPACE}")


def _format_counted(number: int, noun: tuple[str, str], language: Language) -> str:
    return format_count(number, *noun, language)
