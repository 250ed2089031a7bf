"""Somebody with a browser: is refused in a chat, follows the link, chooses, pays, and chats on; every click counts."""

import os
import re
import time
from dataclasses import dataclass
from html import escape
from typing import Any, Final, Literal

import openai
from playwright.async_api import BrowserContext, ConsoleMessage, Locator, Page, Route, expect

from tests.browser.backstage import orders_of
from tests.support.eventually import eventually
from tests.support.stack import Stack

_LINK: Final = re.compile(r"\[([^\]]+)\]\((\S+)\)")
_MESSAGE: Final[Any] = [{"role": "user", "content": "Olá! Quem é você?"}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a person's browser is set to."""

    language: Literal["pt-BR", "en-US"] = "pt-BR"
    width: int = 390
    scheme: Literal["light", "dark"] = "light"
    scripts: bool = True

    def say(self, portuguese: str, english: str) -> str:
        return portuguese if self.language == "pt-BR" else english


class Shopper:
    """`page` is what they look at; a LibreChat stands at `chat_url`, which shows the assistant's last message."""

    def __init__(self, stack: Stack, account: str, context: BrowserContext, chat_url: str) -> None:
        self.stack = stack
        self.account = account
        self.context = context
        self.chat_url = chat_url
        self.name = "picture"
        self.clicks = 0
        self.pictures = 0
        self.complaints: list[str] = []
        self.answer = ""
        self.page: Page
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    async def open_chat(self) -> None:
        await self.context.route(re.compile(r"^http://librechat\.test/"), self._show_chat)
        self.page = await self.context.new_page()
        await self.page.goto(self.chat_url)

    async def leave(self) -> None:
        await self.context.close()

    async def chat(self) -> str:
        """Send a message as LibreChat does, streaming and with notices in the chat; what came is on its page."""
        client = self.stack.async_client(self.account, **{"X-Solaris-Notices": "chat"})
        async with client:
            stream = await client.chat.completions.create(model="demo-fast", messages=_MESSAGE, stream=True)
            self.answer = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        await self.page.reload()
        return self.answer

    async def wait_until_served(self) -> float:
        """Send messages until one is answered by a model; the clock's time then."""

        async def served() -> float | None:
            return None if await self.is_refused_meanwhile() else time.time()

        return await eventually(served, 20.0, message="a chat that is served again")

    @property
    def link(self) -> str:
        """Where the assistant's last message leads."""
        found = _LINK.search(self.answer)
        assert found is not None, self.answer
        return found[2]

    async def is_refused_meanwhile(self) -> bool:
        """Whether a call is refused for want of tokens; what the browser shows stays."""
        async with self.stack.async_client(self.account) as client:
            try:
                await client.chat.completions.create(model="demo-fast", messages=_MESSAGE)
            except openai.APIStatusError as error:
                if error.status_code != 402:
                    raise
                return True
        return False

    async def is_refused(self) -> bool:
        return _LINK.search(await self.chat()) is not None

    async def click(self, target: Locator) -> None:
        self.clicks += 1
        await target.click()

    async def follow_link(self) -> None:
        """Click the link in the assistant's message, which LibreChat opens in a tab of its own."""
        async with self.context.expect_page() as opened:
            await self.click(self.page.get_by_role("link"))
        self.page = await opened.value
        await self.page.wait_for_load_state()

    async def choose(self, label: str | re.Pattern[str]) -> None:
        """Click the button of an offer, and arrive where it is paid."""
        await self.click(self.page.get_by_role("button", name=label))
        await self.page.wait_for_url(re.compile(r"/c/pay/"))

    async def open_order(self) -> Page:
        """The page of the newest order, in a tab of its own."""
        newest, *_ = await orders_of(self.stack, self.account)
        page = await self.context.new_page()
        await page.goto(f"http://127.0.0.1:{self.stack.ports['billing']}/buy/order/{newest}")
        return page

    async def pay(self, method: str, outcome: str) -> None:
        """Click what the demo's Checkout has for it; a method that is not shown has to be opened before."""
        way = self.page.locator(f'details:has(input[name="method"][value="{method}"])')
        button = way.locator(f'button[name="outcome"][value="{outcome}"]')
        if not await button.is_visible():
            await self.click(way.locator("summary"))
        await self.click(button)

    async def sees(self, heading: str) -> None:
        """The page with that heading; where `SOLARIS_TEST_PICTURES` names a folder, a picture of it is left there."""
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(heading)
        if folder := os.environ.get("SOLARIS_TEST_PICTURES"):
            self.pictures += 1
            path = f"{folder}/{self.name}-{self.pictures}.png"
            await self.page.screenshot(path=path, full_page=True)

    async def overflows(self) -> bool:
        """Whether the page is wider than the window."""
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return bool(await self.page.evaluate(wide))

    async def sees_background(self, colour: str) -> None:
        await expect(self.page.locator("body")).to_have_css("background-color", colour)

    async def small_targets(self) -> list[str]:
        """What is to be touched, and smaller than a finger."""
        found: list[str] = await self.page.evaluate(
            """[...document.querySelectorAll('a, button, summary, input:not([type=hidden])')]
            .filter(each => !each.classList.contains('skip'))
            .filter(each => {
                const box = each.getBoundingClientRect();
                return box.width && (box.height < 44 || box.width < 44);
            })
            .map(each => each.outerHTML.slice(0, 120))"""
        )
        return found

    async def _show_chat(self, route: Route) -> None:
        shown = _LINK.sub(r'<a href="\2" target="_blank" rel="noopener">\1</a>', escape(self.answer, quote=False))
        html = f'<!doctype html><link rel="icon" href="data:,"><title>LibreChat</title><h1>LibreChat</h1><p>{shown}</p>'
        await route.fulfill(body=html, content_type="text/html; charset=utf-8")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.text} ({message.location.get('url')})")
