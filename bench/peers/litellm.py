"""The LiteLLM proxy as a peer: a pinned version in an environment of its own, one worker, no database."""

import contextlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

from local_run.ports import any_free
from local_run.supervision.process import Program

from bench.load.answers import MODEL
from bench.load.requests import Target
from bench.processes import BENCH_DIRECTORY, REPOSITORY, answers, run_to_end, running

VERSION: Final = "1.106.2"
_START_SECONDS: Final = 120.0


@contextlib.asynccontextmanager
async def running_litellm(upstream_port: int) -> AsyncIterator[tuple[Target, int]]:
    """The proxy for the length of the block, installed on first use; gives its address and its pid.

    Raises:
        ProcessError: it can't be installed or does not start.
    """
    port = any_free()
    key = f"sk-bench-{secrets.token_hex(12)}"
    async with litellm_program(port, key, _configuration(upstream_port)) as pid:
        yield Target(name="litellm", port=port, headers=(("authorization", f"Bearer {key}"),)), pid


@contextlib.asynccontextmanager
async def litellm_program(
    port: int, key: str, configuration: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> AsyncIterator[int]:
    """The proxy with that configuration; gives its pid, and raises as `running_litellm`."""
    program_file = await _install()
    file = BENCH_DIRECTORY / "litellm.yaml"
    file.write_text(json.dumps(configuration))  # JSON is YAML
    address = ("--host", "127.0.0.1", "--port", str(port))
    program = Program(
        name="litellm",
        command=(str(program_file), "--config", str(file), *address, "--num_workers", "1"),
        environment={
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(BENCH_DIRECTORY),
            "LITELLM_MASTER_KEY": key,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks GitHub at start
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
            "LITELLM_TELEMETRY": "False",
            "LITELLM_DONT_SHOW_FEEDBACK_BOX": "True",
            **(environment or {}),
        },
        directory=BENCH_DIRECTORY,
    )
    log = BENCH_DIRECTORY / "litellm.log"
    ready = lambda: answers(port, "/health/liveliness")  # noqa: E731  a one-line condition
    async with running(program, log, is_ready=ready, timeout_seconds=_START_SECONDS) as pid:
        yield pid


def _configuration(upstream_port: int) -> dict[str, object]:
    parameters = {"model": f"openai/{MODEL}", "api_base": f"http://127.0.0.1:{upstream_port}/v1", "api_key": "unused"}
    return {
        "model_list": [{"model_name": MODEL, "litellm_params": parameters}],
        "litellm_settings": {"telemetry": False, "set_verbose": False},
    }


async def _install() -> Path:
    """Path of the proxy's program in its environment, which is made unless it is complete."""
    directory = BENCH_DIRECTORY / f"litellm-{VERSION}"
    program = directory / "bin" / "litellm"
    complete = directory / "complete"
    if complete.exists():
        return program
    shutil.rmtree(directory, ignore_errors=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    python = str(directory / "bin" / "python")
    requirement = f"litellm[proxy]=={VERSION}"
    if uv := _find_uv():
        await run_to_end((uv, "venv", "--quiet", "--python", sys.executable, str(directory)))
        await run_to_end((uv, "pip", "install", "--quiet", "--python", python, requirement))
    else:
        await run_to_end((sys.executable, "-m", "venv", str(directory)))
        await run_to_end((python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement))
    complete.touch()
    return program


def _find_uv() -> str | None:
    own = REPOSITORY / ".uv" / "bin" / "uv"
    return shutil.which("uv") or (str(own) if own.exists() else None)
