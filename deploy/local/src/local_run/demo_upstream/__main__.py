"""`python -m local_run.demo_upstream --port PORT`: serves the demo upstream on loopback."""

import argparse
import os

import uvicorn

from local_run.demo_upstream.app import DemoUpstream
from local_run.own_names import under_own_names
from local_run.ports import LOOPBACK


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local_run.demo_upstream")
    parser.add_argument("--port", type=int, required=True)
    port: int = parser.parse_args().port
    uvicorn.run(
        under_own_names(DemoUpstream(os.environ.get("SOLARIS_INSTANCE", ""))),
        host=LOOPBACK,
        port=port,
        log_level="critical",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
        backlog=4096,
    )


if __name__ == "__main__":
    main()
