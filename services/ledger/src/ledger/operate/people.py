"""The verb that looks for people."""

import sys
from typing import Annotated, Final

from chassis.operate.options import option, text
from chassis.operate.output import write_line
from contracts.accounts import is_account_id

from ledger.application.people import LEAST_PART, MAX_FOUND, find_people
from ledger.operate.database import open_ledger

MAX_WHO_LENGTH: Final = 320


def _who(typed: str) -> str:
    who = text(MAX_WHO_LENGTH)(typed.strip())
    if len(who) < LEAST_PART and not is_account_id(who):
        raise ValueError(f"an account id, or at least {LEAST_PART} letters")
    return who


_WHO: Final = option("--who", parse=_who, help="account id, or part of a name, an e-mail or a client's own id")


async def find(who: Annotated[str, _WHO]) -> None:
    """People by account id, or by a part of their name, e-mail or the id that the client has for them."""
    async with open_ledger() as connection:
        found = await find_people(connection, who)
    for person in found[:MAX_FOUND]:
        write_line(person)
    if len(found) > MAX_FOUND:
        sys.stderr.write(f"more than {MAX_FOUND} people: these are the first\n")
