"""A database that nobody can connect to is told in one line, whatever its address looks like."""

import pytest
from chassis.operate.database import open_connection
from chassis.operate.errors import RefusedError


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://127.0.0.1/x", "postgresql://nobody@127.0.0.1:1/x", "postgresql://127.0.0.1:99999/x"]
)
async def test_an_address_without_a_database_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLARIS_DATABASE_URL", url)
    with pytest.raises(RefusedError, match="the database does not answer: "):
        async with open_connection("ledger"):
            pass
