"""`python -m bench [--quick] [--only PART]`: the whole benchmark; results in `bench/results/`."""

import argparse
import asyncio
import json
import signal
import sys
import time
from typing import Final

import uvloop

from bench.load.closed_loop import LoadError
from bench.parts.whole_path import WholePath, settlement_watch
from bench.peers.lineup import running_peers
from bench.plan import FULL, QUICK, Plan
from bench.processes import BENCH_DIRECTORY, REPOSITORY, ProcessError, bench_directory, run_module
from bench.progress import say
from bench.report.machine import describe_machine
from bench.report.report import Report

PARTS: Final = ("path", "ledger", "fold", "replay", "webhooks", "projector")
_DIRECTORY: Final = ("--directory", str(BENCH_DIRECTORY))
RESULTS: Final = REPOSITORY / "bench" / "results"


async def run(plan: Plan, parts: tuple[str, ...], *, name: str) -> Report:
    """Measure the parts, one after the other; one that fails is missing from the report, with the reason."""
    report = Report(machine=describe_machine(BENCH_DIRECTORY), plan=plan, name=name)
    measures = {
        "path": _measure_path,
        "ledger": _measure_ledger,
        "fold": _measure_fold,
        "replay": _measure_replay,
        "webhooks": _measure_webhooks,
        "projector": _measure_projector,
    }
    started = time.monotonic()
    for part in parts:
        say(f"part {part}")
        try:
            await measures[part](plan, report)
        except (ProcessError, LoadError) as error:
            say(str(error))
            report.missing[part] = str(error)
    report.seconds = time.monotonic() - started
    return report


async def _measure_path(plan: Plan, report: Report) -> None:
    async with running_peers() as peers:
        report.missing.update(peers.missing)
        if peers.stack is None:
            report.path = await WholePath(peers, plan, None).measure()
            return
        report.sync_interval = peers.stack.sync_interval
        async with settlement_watch(peers.stack.database_url) as watch:
            report.path = await WholePath(peers, plan, watch).measure()


async def _measure_ledger(plan: Plan, report: Report) -> None:
    options = ("--seconds", str(plan.ledger_seconds), "--rounds", str(plan.ledger_rounds))
    report.ledger = await run_module("bench.parts.ledger_alone", *options, *_DIRECTORY)


async def _measure_fold(plan: Plan, report: Report) -> None:
    report.fold = await run_module("bench.parts.fold", "--events", str(plan.fold_events))


async def _measure_replay(plan: Plan, report: Report) -> None:
    sizes = (str(events) for events in plan.replay_events)
    report.replays = await run_module("bench.parts.replay", "--events", *sizes, *_DIRECTORY)


async def _measure_webhooks(_: Plan, report: Report) -> None:
    report.webhooks = await run_module("bench.parts.webhooks", *_DIRECTORY)


async def _measure_projector(plan: Plan, report: Report) -> None:
    report.projector = await run_module("bench.parts.projector", "--rounds", str(plan.projector_rounds))


async def _run_until_done(plan: Plan, parts: tuple[str, ...], name: str) -> Report:
    """As `run`; SIGTERM ends it as Ctrl-C does, so that nothing is left running."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run(plan, parts, name=name)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: shows that it works, figures are rough")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part alone; may be repeated")
    parser.add_argument("--name", default="latest", help="name of the result files")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    try:
        with bench_directory():
            report = uvloop.run(_run_until_done(plan, tuple(arguments.only or PARTS), arguments.name))
    except ProcessError as error:
        sys.exit(f"bench: {error}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("bench: stopped")
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{arguments.name}.json").write_text(json.dumps(report.as_json(), indent=1) + "\n")
    text = report.as_markdown()
    (RESULTS / f"{arguments.name}.md").write_text(text)
    sys.stdout.write(text)
    if report.missing:
        sys.exit(f"bench: not measured: {', '.join(report.missing)}")


if __name__ == "__main__":
    main()
