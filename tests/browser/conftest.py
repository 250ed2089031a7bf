"""A real browser on the real stack: Chromium of the system, driven over its debugging protocol."""

import os
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.browser.shopper import Look, Shopper
from tests.support.stack import CHAT_URL, Stack

PATIENCE_MS = 30_000
"""However crowded the machine is."""
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium_path() -> str:
    """The system's Chromium. Without it CI fails, and everybody else sees that these tests are skipped."""
    found = os.environ.get("SOLARIS_TEST_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        reason = "no Chromium here: `make chromium` installs it on Debian as root, SOLARIS_TEST_CHROMIUM names another"
        if os.environ.get("CI", "").lower() in {"true", "1"}:
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = chromium_path()
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        await launched.close()


@pytest.fixture
def account() -> str:
    """An account id as LibreChat's are, that no other test uses."""
    return uuid.uuid4().hex[:24]


type NewShopper = Callable[[str, Look], Awaitable[Shopper]]


@pytest_asyncio.fixture
async def new_shopper(browser: Browser, stack: Stack, request: pytest.FixtureRequest) -> AsyncIterator[NewShopper]:
    """Gives a person a browser of their own, with nothing remembered."""
    made: list[Shopper] = []

    async def make(account: str, look: Look) -> Shopper:
        context = await browser.new_context(
            locale=look.language,
            color_scheme=look.scheme,
            java_script_enabled=look.scripts,
            viewport={"width": look.width, "height": 844 if look.width < 768 else 800},
        )
        context.set_default_timeout(PATIENCE_MS)
        shopper = Shopper(stack, account, context, CHAT_URL)
        shopper.name = request.node.name
        await shopper.open_chat()
        made.append(shopper)
        return shopper

    yield make
    for shopper in made:
        await shopper.leave()


type Tell = Callable[[str], object]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Shows a measurement in the terminal."""

    def show(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n  {line}\n")

    return show
