"""What runs by the rights of the database's owner does what it is for, whatever its caller has made before."""

from datetime import UTC, datetime, timedelta

import asyncpg
from chassis.migrations import migrate

from tests.support.infrastructure import Postgres

# Without pg_temp in its path a function meets its caller's temporary tables and types before those of the catalog.
UNSAFE = """
SELECT format('%I.%I', nspname, proname) FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
WHERE prosecdef AND nspname NOT IN ('pg_catalog', 'information_schema')
AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)
"""
TO_EVERYBODY = """
SELECT format('%I.%I', nspname, proname) FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
WHERE prosecdef AND has_function_privilege('pg_monitor', pg_proc.oid, 'EXECUTE')
"""
TRAP = """
CREATE TEMPORARY TABLE ran_as (who name);
CREATE FUNCTION pg_temp.spring() RETURNS integer LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO pg_temp.ran_as VALUES (current_user); RETURN 0; END $$;
CREATE TEMPORARY VIEW pg_attribute AS
    SELECT attname, attrelid, pg_temp.spring() AS attstattarget FROM pg_catalog.pg_attribute WHERE attnum = 1;
GRANT ALL ON pg_temp.ran_as, pg_temp.pg_attribute TO PUBLIC;
"""


async def test_no_function_of_the_owners_runs_what_its_caller_made(postgres_server: Postgres) -> None:
    url = await postgres_server.create_database("test_owners_functions")
    try:
        for service in ("ledger", "billing", "notifier"):
            await migrate(url, service)
        owner = await asyncpg.connect(url, timeout=10)
        projector = await asyncpg.connect(url, timeout=10, server_settings={"role": "solaris_projector"})
        try:
            assert [row[0] for row in await owner.fetch(UNSAFE)] == []
            assert [row[0] for row in await owner.fetch(TO_EVERYBODY)] == []
            await projector.execute(TRAP)
            day = datetime.now(UTC).date() + timedelta(days=300)
            assert await projector.fetchval("SELECT requests.make_day('log', $1)", day)
            assert [row[0] for row in await projector.fetch("SELECT who FROM pg_temp.ran_as")] == []
        finally:
            await projector.close()
            await owner.close()
    finally:
        await postgres_server.drop_database("test_owners_functions")
