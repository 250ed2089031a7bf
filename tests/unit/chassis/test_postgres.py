"""Connections to a database that does not answer keep nobody from leaving."""

import asyncio
from typing import cast

import pytest
from chassis import postgres
from chassis.postgres import disposed
from sqlalchemy.ext.asyncio import AsyncEngine


class FrozenEngine:
    async def dispose(self) -> None:
        await asyncio.Event().wait()


async def test_an_engine_whose_database_is_frozen_is_let_go_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "CLOSE_SECONDS", 0.05)
    async with asyncio.timeout(10), disposed(cast(AsyncEngine, FrozenEngine())):
        pass
