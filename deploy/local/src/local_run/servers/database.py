"""The stack's database and its roles, each service with its own."""

from collections.abc import Mapping
from typing import Final

import asyncpg

from local_run.servers.postgres import PostgresServer
from local_run.services import OPERATOR, SERVICES

DATABASE: Final = "solaris"
ROLES: Final = {service.name: service.role for service in SERVICES if service.role is not None}
"""Login role by service."""
OPERATOR_ROLE: Final = f"solaris_{OPERATOR}"
"""Login role of operators' commands: what every service may, and statistics; like them it can't change an event."""

_TIMEOUT_SECONDS: Final = 30.0


async def prepare_database(server: PostgresServer, passwords: Mapping[str, str], operator_password: str) -> None:
    """Create the database and the roles unless they are there; `passwords` by service. Repeating it is harmless."""
    connection = await asyncpg.connect(
        server.url("postgres"), timeout=_TIMEOUT_SECONDS, command_timeout=_TIMEOUT_SECONDS
    )
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
        for service, role in ROLES.items():
            await _set_role(connection, role, passwords[service])
        await _set_role(connection, OPERATOR_ROLE, operator_password)
        services = ", ".join(ROLES.values())
        await connection.execute(f"GRANT {services}, pg_monitor TO {OPERATOR_ROLE}")
        await connection.execute(f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC")
        await connection.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO {services}, {OPERATOR_ROLE}")
    finally:
        await connection.close()


async def _set_role(connection: asyncpg.Connection, role: str, password: str) -> None:
    known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    verb = "ALTER" if known else "CREATE"
    statement = await connection.fetchval(
        f"SELECT format('{verb} ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)", role, password
    )
    await connection.execute(statement)
