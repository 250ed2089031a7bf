"""`python -m local_run.demo_stripe --port PORT --file PATH --webhook-url URL`: serves the demo Stripe on loopback."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from chassis.service import stop_signal

from local_run.demo_stripe.server import run_demo_stripe
from local_run.demo_stripe.world.keeping import KeepingError

API_KEY_VARIABLE: Final = "SOLARIS_STRIPE_API_KEY"
SECRET_VARIABLE: Final = "SOLARIS_STRIPE_WEBHOOK_SECRETS"  # noqa: S105  the variable's name


async def serve_demo_stripe(port: int, path: Path, webhook_url: str) -> None:
    stop = stop_signal()
    running = run_demo_stripe(
        port=port,
        api_key=os.environ[API_KEY_VARIABLE],
        webhook_url=webhook_url,
        webhook_secret=os.environ[SECRET_VARIABLE],
        path=path,
        instance=os.environ.get("SOLARIS_INSTANCE", ""),
    )
    async with running:
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local_run.demo_stripe")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--webhook-url", required=True)
    options = parser.parse_args()
    try:
        asyncio.run(serve_demo_stripe(options.port, options.file, options.webhook_url))
    except KeepingError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
