"""The verbs over dead letters."""

import contextlib

from ledger.operate import database
from ledger.operate.dead_letters import dead_letters as list_letters
from ledger.operate.dead_letters import discard_dead_letter, retry_dead_letters
from ledger.operate.executing import open_executor
from ledger.operate.inputs import dead_letter_number, dead_letter_to_discard, reason_of
from ledger.operate.output import write_line
from ledger.operate.service import load_settings


async def dead_letters() -> None:
    connection = await database.connect(database.database_url())
    try:
        async with contextlib.aclosing(list_letters(connection)) as letters:
            async for letter in letters:
                write_line(letter)
    finally:
        connection.terminate()


async def dead_letters_retry(letter_id: str | None) -> int:
    number = dead_letter_number(letter_id)
    settings, policy = load_settings()
    reader = await database.connect(settings.database_url)
    writer = await database.connect(settings.database_url)
    stayed = 0
    try:
        async with (
            open_executor(settings, policy, reader) as executor,
            contextlib.aclosing(retry_dead_letters(reader, writer, executor, number)) as results,
        ):
            async for retried in results:
                write_line(retried)
                stayed += not retried.retried
    finally:
        reader.terminate()
        writer.terminate()
    return 1 if stayed else 0


async def dead_letters_discard(letter_id: str | None, reason: str | None) -> None:
    number, given = dead_letter_to_discard(letter_id), reason_of(reason)
    connection = await database.connect(database.database_url())
    try:
        write_line(await discard_dead_letter(connection, number, given))
    finally:
        connection.terminate()
