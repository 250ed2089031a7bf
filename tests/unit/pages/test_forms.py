"""Forms that come slowly, break off, or never end."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from pages import forms
from pages.forms import MAX_FORM_BYTES, FormError, read_form
from starlette.requests import Request
from starlette.types import Message

KIND = (b"content-type", b"application/x-www-form-urlencoded")


def request(receive: Callable[[], Awaitable[Message]]) -> Request:
    return Request({"type": "http", "method": "POST", "path": "/buy", "headers": [KIND]}, receive)


async def status_of(receive: Callable[[], Awaitable[Message]]) -> int:
    with pytest.raises(FormError) as refused:
        await read_form(request(receive))
    return refused.value.status


async def test_a_form_that_does_not_come_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "FORM_SECONDS", 0.05)

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    assert await status_of(never) == 408


async def test_a_form_that_breaks_off_is_refused() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    assert await status_of(gone) == 400


async def test_of_a_form_that_never_ends_no_more_is_read_than_a_form_has() -> None:
    read = 0

    async def endless() -> Message:
        nonlocal read
        read += 1000
        return {"type": "http.request", "body": b"a" * 1000, "more_body": True}

    assert await status_of(endless) == 413
    assert read <= MAX_FORM_BYTES + 1000
