"""`python -m local_run.mailbox --directory PATH --smtp-port PORT --web-port PORT`: serves the mailbox on loopback."""

import argparse
import asyncio
import contextlib
import os
from pathlib import Path

from chassis.server import serve
from chassis.service import stop_signal

from local_run.mailbox.smtp import smtp_protocol
from local_run.mailbox.store import MailStore
from local_run.mailbox.web import create_app
from local_run.own_names import under_own_names
from local_run.ports import LOOPBACK


async def serve_mailbox(directory: Path, smtp_port: int, web_port: int) -> None:
    stop = stop_signal()
    store = MailStore(directory)
    instance = os.environ.get("SOLARIS_INSTANCE", "")
    async with contextlib.AsyncExitStack() as stack:
        smtp = await asyncio.get_running_loop().create_server(lambda: smtp_protocol(store), LOOPBACK, smtp_port)
        stack.callback(smtp.close)
        app = under_own_names(create_app(store, instance))
        await stack.enter_async_context(serve(app, LOOPBACK, web_port))
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local_run.mailbox")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--web-port", type=int, required=True)
    options = parser.parse_args()
    asyncio.run(serve_mailbox(options.directory, options.smtp_port, options.web_port))


if __name__ == "__main__":
    main()
