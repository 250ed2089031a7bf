"""A balance is told before anybody would have waited for NATS, SQLAlchemy or the settings to be imported."""

import json
import subprocess
import sys
from typing import Final

SLOW: Final = {
    "nats",
    "sqlalchemy",
    "chassis.settings",
    "ledger.settings",
    "ledger.application.executor",
    "structlog",
    "prometheus_client",
}
BALANCE: Final = """
import json, sys
from ledger.operate.__main__ import VERBS
code = VERBS.run(["balance", "--account=ana"])
print(json.dumps([code, sorted(sys.modules)]))
"""


def test_a_balance_imports_nothing_that_it_does_not_need() -> None:
    environment = {"SOLARIS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    ran = subprocess.run(
        [sys.executable, "-c", BALANCE], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    code, modules = json.loads(ran.stdout)
    assert (code, SLOW & set(modules)) == (1, set())
    assert ran.stderr.startswith("error: the database does not answer")
