"""Two ledgers and two gateways under load while processes die, freeze and lose their streams; then every token counted.

`python -m tests.chaos.endurance --minutes 30` runs it by hand and prints what it did; CI runs it short.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import httpx2 as httpx
import nats
from contracts.subjects import READ_BALANCE_PREFIX
from nats.aio.client import Client as NatsClient
from nats.errors import Error as NatsError

from tests.chaos.tally import Tally, account_differences, tokens_of
from tests.support.eventually import eventually
from tests.support.fleet import DOUBLED, Fleet
from tests.support.stack import KEY

HOLD_TTL_SECONDS: Final = 25
LONGEST_FREEZE_SECONDS: Final = 40.0
ACCOUNTS: Final = 24
WORKERS: Final = 12
CALL_TIMEOUT_SECONDS: Final = 20.0
PROBE_TIMEOUT_SECONDS: Final = 1.0
SETTLED_TIMEOUT_SECONDS: Final = 90.0
LONGEST_GAP_SECONDS: Final = 1.0
PROBE_ACCOUNT: Final = "probe"
_REQUEST_ID: Final = "x-solaris-request-id"


class Endurance:
    """One run; `seed` makes its faults, their order and its calls the same again, though not their timing."""

    def __init__(self, directory: Path, *, seconds: float, seed: int, talk: bool = False) -> None:
        self.fleet = Fleet(
            directory,
            {"SOLARIS_HOLD_TTL_SECONDS": str(HOLD_TTL_SECONDS), "SOLARIS_ALERT_WINDOW_SECONDS": "1"},
        )
        self.tally = Tally()
        self._seconds = seconds
        self._random = random.Random(seed)
        self._talk = talk
        self._started_at = time.monotonic()
        self._accounts = [f"person-{number}" for number in range(ACCOUNTS)]
        self._stopping = asyncio.Event()
        self._troubled: set[tuple[str, int]] = set()
        """Processes that are dead or frozen now, or have just come back."""

    async def run(self) -> list[str]:
        """Run, and return every difference between what was promised and what is there; none is the aim."""
        await asyncio.to_thread(self.fleet.start)
        try:
            await self._open_accounts()
            await self._under_load()
            return await self._differences()
        finally:
            await asyncio.to_thread(self.fleet.stop)

    # --- load -------------------------------------------------------------------------------------------------------

    async def _open_accounts(self) -> None:
        async with httpx.AsyncClient(timeout=CALL_TIMEOUT_SECONDS) as client:
            for account in (*self._accounts, PROBE_ACCOUNT):
                await self._call(client, account, 0, "demo-usage:3:0:2", stream=False, leave=False)
        for account in (*self._accounts, PROBE_ACCOUNT):
            await asyncio.to_thread(self.fleet.stack.limit, account, 10**9)

    async def _under_load(self) -> None:
        until = time.monotonic() + self._seconds
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WORKERS):
                tasks.create_task(self._work())
            for number in range(2):
                tasks.create_task(self._probe(number))
            tasks.create_task(self._restart_second_processes())
            tasks.create_task(self._repeat_usage())
            tasks.create_task(self._operate())
            for service in DOUBLED:
                tasks.create_task(self._trouble(service, until))
            tasks.create_task(self._lose_streams())
            await asyncio.sleep(self._seconds)
            self._stopping.set()

    async def _work(self) -> None:
        chance = random.Random(self._random.random())
        async with httpx.AsyncClient(timeout=CALL_TIMEOUT_SECONDS) as client:
            while not self._stopping.is_set():
                prompt, completion = chance.randint(5, 40), chance.randint(1, 60)
                model = f"demo-usage:{prompt}:0:{completion}"
                if chance.random() < 0.2:
                    model += f"-slow:{chance.randint(50, 1500)}"
                stream = chance.random() < 0.6
                await self._call(
                    client,
                    chance.choice(self._accounts),
                    chance.randrange(2),
                    model,
                    stream=stream,
                    leave=stream and chance.random() < 0.1,
                )
                await asyncio.sleep(chance.uniform(0, 0.02))

    async def _call(
        self, client: httpx.AsyncClient, account: str, gateway: int, model: str, *, stream: bool, leave: bool
    ) -> bool:
        """One call as a client makes it; True when it was answered to its end."""
        url = f"http://127.0.0.1:{self.fleet.port('gateway', gateway)}/v1/chat/completions"
        headers = {"Authorization": f"Bearer {KEY}", "X-User-Id": account}
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "Olá! Quem é você?"}]}
        ended = False
        healthy = ("gateway", gateway) not in self._troubled

        def failed(how: str) -> None:
            if healthy and ("gateway", gateway) not in self._troubled:
                self.tally.failed_at_healthy[how] += 1

        try:
            async with client.stream("POST", url, json=body, headers=headers) as answer:
                async for line in answer.aiter_lines():
                    if leave and line:
                        self.tally.left += 1
                        return False
                    ended = ended or line == "data: [DONE]"
                if answer.status_code != 200:
                    self.tally.refused[str(answer.status_code)] += 1
                    failed(str(answer.status_code))
                    return False
        except httpx.HTTPError as error:
            self.tally.broken += 1
            failed(type(error).__name__)
            return False
        if stream and not ended:
            self.tally.broken += 1
            failed("no end")
            return False
        self.tally.served[answer.headers[_REQUEST_ID]] = (account, tokens_of(model))
        return True

    async def _probe(self, gateway: int) -> None:
        """How long a gateway that nothing was done to goes without serving, whatever else is troubled."""
        async with httpx.AsyncClient(timeout=PROBE_TIMEOUT_SECONDS) as client:
            served_at = time.monotonic()
            while not self._stopping.is_set():
                served = await self._call(client, PROBE_ACCOUNT, gateway, "demo-usage:3:0:2", stream=False, leave=False)
                now = time.monotonic()
                if ("gateway", gateway) in self._troubled:
                    served_at = now
                elif now - served_at > self.tally.longest_gap_seconds:
                    self.tally.longest_gap_seconds = now - served_at
                    self.tally.longest_gap = f"gateway {gateway} beside {sorted(self._troubled)}"
                if served:
                    served_at = now
                await asyncio.sleep(0.05)

    # --- trouble ----------------------------------------------------------------------------------------------------

    async def _trouble(self, service: str, until: float) -> None:
        """One process of the service at a time is killed or frozen; then all is left alone for a while."""
        kill = service == DOUBLED[0]  # at first: a short run has one of each, too
        while True:
            await self._pause(self._random.uniform(2, 8))
            if self._stopping.is_set():
                return
            number = self._random.randrange(2)
            self._troubled.add((service, number))
            pid = await asyncio.to_thread(self.fleet.pid, service, number)
            if kill:
                self.tally.faults[f"kill {service}"] += 1
                self._tell(f"kill {service} {number}")
                os.kill(pid, signal.SIGKILL)
                if number == 0:
                    await asyncio.to_thread(self.fleet.stack.wait_restarted, service, pid)
            else:
                self.tally.faults[f"freeze {service}"] += 1
                self._tell(f"freeze {service} {number}")
                os.kill(pid, signal.SIGSTOP)
                longest = min(LONGEST_FREEZE_SECONDS, max(5.0, until - time.monotonic()))
                await asyncio.sleep(self._random.uniform(5, longest))
                os.kill(pid, signal.SIGCONT)
            seconds = await asyncio.to_thread(self.fleet.wait_ready, service, number)
            self._tell(f"{service} {number} ready again after {seconds:.1f} s")
            kill = self._random.random() < 0.5
            await asyncio.sleep(1.0)
            self._troubled.discard((service, number))

    async def _restart_second_processes(self) -> None:
        while not self._stopping.is_set():
            for second in self.fleet.second.values():
                second.restart_if_ended()
            await asyncio.sleep(0.2)

    async def _lose_streams(self) -> None:
        """Delete the streams now and then, as a disk that was lost would."""
        while True:
            await self._pause(self._random.uniform(20, 60))
            if self._stopping.is_set():
                return

            async def delete(client: NatsClient) -> None:
                stream = self._random.choice(("USAGE", "LEDGER"))
                await client.jetstream(timeout=5).delete_stream(stream)
                self.tally.faults[f"delete {stream}"] += 1

            await self._with_nats(delete)

    async def _repeat_usage(self) -> None:
        """Publish usage again that was published long before or just now, under another message id."""

        async def repeat(client: NatsClient) -> None:
            jetstream = client.jetstream(timeout=5)
            seen: list[Any] = []

            async def hear(message: Any) -> None:
                if len(seen) < 5_000 and not (message.header or {}).get("repeated"):
                    seen.append((message.subject, message.data))

            await client.subscribe("solaris.usage.recorded.*", cb=hear)
            number = 0
            while not self._stopping.is_set():
                await asyncio.sleep(0.1)
                if not seen:
                    continue
                subject, payload = seen[int(len(seen) * self._random.random() ** 0.5)]
                number += 1
                with suppress(NatsError):
                    await jetstream.publish(
                        subject,
                        payload,
                        timeout=2,
                        headers={"Nats-Msg-Id": f"again-{id(self)}-{number}", "repeated": "1"},
                    )
                    self.tally.repeated += 1

        await self._with_nats(repeat)

    async def _with_nats(self, do: Callable[[NatsClient], Awaitable[None]]) -> None:
        environment = await asyncio.to_thread(self.fleet.stack.operator_environment)
        client = await nats.connect(environment["SOLARIS_NATS_URL"], connect_timeout=5)
        try:
            with suppress(NatsError):
                await do(client)
        finally:
            await client.close()

    async def _operate(self) -> None:
        """What operators do meanwhile; a command that answers an error may be repeated with its key, and is."""
        stack = self.fleet.stack
        number = 0
        while True:
            await self._pause(self._random.uniform(1, 4))
            if self._stopping.is_set():
                return
            account = self._random.choice(self._accounts)
            verb = self._random.choice(("credit", "limit", "dead-letters-retry", "verify", "events"))
            number += 1
            self.tally.operated[verb] += 1
            if verb == "credit":
                for _ in range(2):  # the second is a repetition and changes nothing
                    granted = await asyncio.to_thread(
                        stack.operate,
                        verb,
                        ACCOUNT=account,
                        NEW=1,
                        TOKENS=1_000,
                        REASON="endurance",
                        KEY=f"credit-{number}",
                    )
                if granted.returncode == 0:
                    self.tally.granted[account] += 1_000
            elif verb == "limit":
                limit = 10**9 + self._random.randrange(1000)
                await asyncio.to_thread(stack.operate, verb, ACCOUNT=account, NEW=1, TOKENS=limit)
            elif verb == "events":
                await asyncio.to_thread(stack.operate, verb, ACCOUNT=account)
            else:
                completed = await asyncio.to_thread(stack.operate, verb)
                if verb == "verify" and completed.returncode != 0:
                    self.tally.faults[f"verify while running: {(completed.stdout + completed.stderr)[-300:]}"] += 1

    def _tell(self, what: str) -> None:
        if self._talk:
            sys.stderr.write(f"{time.monotonic() - self._started_at:7.1f} s  {what}\n")

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    # --- what is right afterwards -----------------------------------------------------------------------------------

    async def _differences(self) -> list[str]:
        self._tell(f"load ends: {len(self.tally.served)} served; counting")
        for service in DOUBLED:
            for number in range(2):
                await asyncio.to_thread(self.fleet.wait_ready, service, number)
        accounts = (*self._accounts, PROBE_ACCOUNT)
        differences: list[str] = []
        balances: dict[str, dict[str, Any]] = {}

        async def read(client: NatsClient) -> None:
            async def all_settled() -> bool:
                for account in accounts:
                    answer = await client.request(f"{READ_BALANCE_PREFIX}.{account}", timeout=5)
                    balances[account] = json.loads(answer.data)["balance"]
                return not any(balance["held"] for balance in balances.values())

            try:
                await eventually(all_settled, SETTLED_TIMEOUT_SECONDS)
            except AssertionError:
                held = {account: balance["held"] for account, balance in balances.items() if balance["held"]}
                differences.append(f"still held: {held}")

        await self._with_nats(read)
        events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for event in await asyncio.to_thread(self.fleet.stack.events):
            events[event["account_id"]].append(event)
        for account in accounts:
            found = account_differences(balances[account], events[account], self.tally)
            differences += [f"{account}: {each}" for each in found]
        self._tell("verify, replay, dead letters")
        for verb in ("verify", "replay", "dead-letters"):
            completed = await asyncio.to_thread(self.fleet.stack.operate, verb)
            if completed.returncode != 0:
                differences.append(f"{verb}: {completed.stdout}{completed.stderr}")
            elif verb == "dead-letters" and completed.stdout.strip():
                differences.append(f"dead letters: {completed.stdout[:2000]}")
        return differences


def main() -> int:
    """Run by hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="solaris-endurance-") as directory:
        Path(directory).chmod(0o755)  # Postgres runs as another user where this one is root
        run = Endurance(Path(directory) / "data", seconds=arguments.minutes * 60, seed=arguments.seed, talk=True)
        differences = asyncio.run(run.run())
    tally = run.tally
    if tally.longest_gap_seconds > LONGEST_GAP_SECONDS:  # here alone: a machine that tests share may be slow
        differences.append(f"{tally.longest_gap} did not serve for {tally.longest_gap_seconds:.2f} s")
    report = {
        "seed": arguments.seed,
        "served": len(tally.served),
        "refused": dict(tally.refused),
        "broken": tally.broken,
        "failed at a healthy gateway": dict(tally.failed_at_healthy),
        "left": tally.left,
        "faults": dict(tally.faults),
        "operated": dict(tally.operated),
        "usage repeated": tally.repeated,
        "longest gap of a healthy gateway, s": round(tally.longest_gap_seconds, 2),
        "differences": differences,
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
