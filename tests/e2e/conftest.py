"""One real stack for all end-to-end tests that do not need one of their own."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack; tests keep apart by using accounts of their own (`account`), and leave it running well."""
    running = Stack(tmp_path_factory.mktemp("stack") / "data", {"SOLARIS_ALERT_WINDOW_SECONDS": "0.5"})
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def new_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Makes stacks that are not started yet, for tests that kill, stop or configure them."""
    made: list[Stack] = []

    def make(environment: Mapping[str, str] | None = None, *, directory: Path | None = None) -> Stack:
        made.append(Stack(directory or tmp_path / f"data-{len(made)}", environment))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def account(request: pytest.FixtureRequest) -> str:
    """An account id that no other test uses."""
    return f"{request.node.name[:40].replace('[', '-').replace(']', '').replace('_', '-')}-{uuid.uuid4().hex[:8]}"
