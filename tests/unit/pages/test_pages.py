"""What every page has: its reader's language and colours, headers, assets, and words where there is no page."""

import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from jinja2 import DictLoader
from language.choice import Language
from language.presentation import Presentation
from pages.assets import Assets
from pages.forms import MAX_FORM_BYTES, FormError, read_form
from pages.reader import stands_for
from pages.rendering import Pages
from pages.words import words_of
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

SECRET = "?t=ana.mac.soon"
TEMPLATE = """{% extends "layout.html.j2" %}{% block title %}A page{% endblock %}
{% block content %}<p>{{ text }}</p>
<p>{{ 123456 | number(language) }} {{ 7490 | money("brl", language) }}</p>{% endblock %}"""


def app(folder: Path, chat_url: str | None = None) -> Starlette:
    (folder / "own.css").write_text("p { margin: 0 }")
    presentation = Presentation(
        brand="IA <SOLARIS>",
        public_url="https://solaris.example",
        purchase_url=None,
        default_language=Language.PORTUGUESE,
        time_zone=ZoneInfo("America/Sao_Paulo"),
    )
    pages = Pages(
        presentation,
        Assets("/buy/assets", folder),
        DictLoader({"page.html.j2": TEMPLATE}),
        form_targets=("https://checkout.example",),
        chat_url=chat_url,
    )

    async def page(request: Request) -> Response:
        return pages.answer(request, "page.html.j2", {"text": request.query_params.get("text", "")})

    async def answer_to_form(request: Request) -> Response:
        fields = await read_form(request)
        if "t" in fields:
            stands_for(request, "buy", [("t", fields["t"])])
        return pages.answer(request, "page.html.j2", {"text": ""}, status=422)

    async def form(request: Request) -> Response:
        try:
            return JSONResponse(await read_form(request, "https://shop.example/solaris/buy"))
        except FormError as error:
            return pages.fault(request, error.status)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/buy", page),
            Route("/buy/order/{id:path}", page),
            Route("/form", form, methods=["POST"]),
            Route("/buy/voucher", answer_to_form, methods=["POST"]),
            pages.assets.route,
        ]
    )


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app(tmp_path))
    async with httpx.AsyncClient(transport=transport, base_url="https://solaris.example") as client:
        yield client


async def test_no_page_is_kept_framed_or_told_of_and_nothing_is_loaded_from_elsewhere(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/buy" + SECRET)
    policy = dict(each.split(" ", 1) for each in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["form-action"] == "'self' https://checkout.example"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-robots-tag"] == "noindex, nofollow"
    assert re.findall(r"<script(?![^>]*src=)|\son\w+=|\sstyle=|<style", answer.text) == []
    assert re.findall(r'(?:href|src)="(?:https?:)?//', answer.text) == []


async def test_what_comes_from_outside_is_text(client: httpx.AsyncClient) -> None:
    answer = await client.get("/buy", params={"text": "<script>alert(1)</script>", '"><script>': "1"})
    assert "<script>" not in answer.text
    assert "IA &lt;SOLARIS&gt;" in answer.text


@pytest.mark.parametrize(
    ("query", "cookie", "accepted", "language"),
    [
        ("", None, None, "pt-BR"),
        ("", None, "en-GB,en;q=0.9", "en"),
        ("", None, "fr,de", "pt-BR"),
        ("", "pt-BR", "en", "pt-BR"),
        ("?lang=en", "pt-BR", "pt", "en"),
        ("?lang=klingon", None, "en", "en"),
        ("?lang=klingon", "../../etc", None, "pt-BR"),
    ],
)
async def test_the_language_is_that_of_the_choice_then_of_the_browser_then_of_the_installation(
    client: httpx.AsyncClient, query: str, cookie: str | None, accepted: str | None, language: str
) -> None:
    headers = {"accept-language": accepted} if accepted else {}
    headers |= {"cookie": f"solaris_lang={cookie}"} if cookie else {}
    answer = await client.get(f"/buy{query}", headers=headers)
    assert f'<html lang="{language}"' in answer.text
    assert answer.headers["content-language"] == language
    assert (
        "123.456 R$\N{NO-BREAK SPACE}74,90" if language == "pt-BR" else "123,456 R$\N{NO-BREAK SPACE}74.90"
    ) in answer.text


async def test_choices_are_links_that_keep_the_rest_of_the_address_and_cookies_remember_them(
    client: httpx.AsyncClient,
) -> None:
    page = await client.get("/buy?t=ana.mac.soon&theme=light&lang=pt-BR&currency=usd")
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="(\?[^"]*)"', page.text)]
    assert links == ["?t=ana.mac.soon&currency=usd&lang=en", "?t=ana.mac.soon&currency=usd&theme=dark"]
    assert '<html lang="pt-BR" data-bs-theme="light">' in page.text
    for link in links:
        await client.get(f"/buy{link}")
    again = await client.get("/buy")
    assert '<html lang="en" data-bs-theme="dark">' in again.text
    assert again.headers.get_list("set-cookie") == []
    for cookie in (await client.get("/buy?theme=dark&lang=en")).headers.get_list("set-cookie"):
        assert "HttpOnly" in cookie
        assert "Secure" in cookie
        assert "SameSite=lax" in cookie


async def test_whoever_has_not_chosen_colours_gets_those_of_the_system_and_both_switches(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/buy")).text
    assert '<html lang="pt-BR">' in page
    assert "theme=dark" in page
    assert "theme=light" in page
    assert "data-bs-theme" not in (await client.get("/buy?theme=purple")).text


@pytest.mark.parametrize(
    ("path", "home"), [("/", "./"), ("/buy", "./"), ("/buy/order/1", "../../"), ("/buy/order/1%2F2", "../../")]
)
async def test_links_lead_home_from_any_depth_and_behind_any_prefix(
    client: httpx.AsyncClient, path: str, home: str
) -> None:
    page = (await client.get(path)).text
    for name in ("tabler", "pages"):
        assert re.search(f'href="{re.escape(home)}buy/assets/{name}\\.[0-9a-f]{{12}}\\.css"', page)
    below = httpx.URL("https://proxy.example/shop" + path)
    (asset,) = re.findall(r'href="([^"]*/tabler[^"]*)"', page)
    assert below.join(asset).path.startswith("/shop/buy/assets/tabler.")


async def test_an_asset_is_kept_for_ever_and_compressed_where_that_is_understood(client: httpx.AsyncClient) -> None:
    page = (await client.get("/buy")).text
    (path,) = re.findall(r'href="\.(/buy/assets/tabler[^"]*)"', page)
    plain = await client.get(path, headers={"accept-encoding": "identity"})
    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["content-type"].startswith("text/css")
    async with client.stream("GET", path, headers={"accept-encoding": "br, gzip"}) as zipped:
        raw = b"".join([chunk async for chunk in zipped.aiter_raw()])
    assert zipped.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == plain.content
    assert len(raw) * 5 < len(plain.content)


@pytest.mark.parametrize("name", ["tabler.css", "tabler.000000000000.css", "..%2F..%2Fetc%2Fpasswd", "own.css"])
async def test_what_is_no_asset_of_this_version_is_not_found_and_not_remembered(
    client: httpx.AsyncClient, name: str
) -> None:
    answer = await client.get(f"/buy/assets/{name}")
    assert answer.status_code == 404
    assert answer.headers.get("cache-control", "no-store") == "no-store"


FORM = {"content-type": "application/x-www-form-urlencoded"}


async def test_a_form_of_ours_is_read(client: httpx.AsyncClient) -> None:
    answer = await client.post("/form", data={"t": "ana.x", "choice": "package:small", "nome": "João & Cia"})
    assert answer.json() == {"t": "ana.x", "choice": "package:small", "nome": "João & Cia"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin", "origin": "https://proxy.example"}, 200),
        ({"origin": "https://solaris.example"}, 200),
        ({"origin": "https://shop.example"}, 200),
        ({"origin": "https://shop.example.evil.example"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
async def test_only_a_page_of_our_own_sends_forms(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    assert (await client.post("/form", content="a=b", headers=FORM | headers)).status_code == status


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"x" * (MAX_FORM_BYTES + 1), FORM, 413),
        (b"a=b" + b"&a=b" * 50, FORM, 400),
        (b"a=%ff", FORM, 400),
        (b"a=\xff", FORM, 400),
        (b"{}", {"content-type": "application/json"}, 415),
        (b"a=b", {"content-type": "multipart/form-data; boundary=x"}, 415),
    ],
)
async def test_what_is_no_form_of_ours_is_refused_with_a_page(
    client: httpx.AsyncClient, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await client.post("/form", content=content, headers=headers)
    assert answer.status_code == status
    assert words_of(Language.PORTUGUESE).fault(status).title in answer.text


@pytest.mark.parametrize("chat_url", [None, "https://chat.example/c/new"])
async def test_a_page_that_says_why_there_is_none_leads_back_to_the_chat(tmp_path: Path, chat_url: str | None) -> None:
    transport = httpx.ASGITransport(app(tmp_path, chat_url))
    async with httpx.AsyncClient(transport=transport, base_url="https://solaris.example") as client:
        page = await client.post("/form", content=b"")
    assert ("Voltar ao chat" in page.text) is (chat_url is not None)
    assert (f'href="{chat_url}"' in page.text) is (chat_url is not None)


def test_every_fault_has_words_in_both_languages() -> None:
    portuguese, english = words_of(Language.PORTUGUESE), words_of(Language.ENGLISH)
    assert portuguese.faults.keys() == english.faults.keys()
    for status in (400, 405, 413, 418, 500, 502, 503):
        assert portuguese.fault(status) is portuguese.faults[400 if status < 500 else 500]
        assert english.fault(status).title != portuguese.fault(status).title


async def test_what_answers_a_form_leads_to_its_page_in_the_other_language(client: httpx.AsyncClient) -> None:
    page = await client.post("/buy/voucher", data={"t": "ana&mac"})
    assert page.status_code == 422
    assert 'href="../buy?t=ana%26mac&amp;lang=en"' in page.text
    assert 'href="../buy?t=ana%26mac&amp;theme=dark"' in page.text
    assert "hreflang" not in (await client.post("/buy/voucher", data={"code": "x"})).text
