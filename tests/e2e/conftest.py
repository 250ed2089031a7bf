"""Stacks for end-to-end tests that need one of their own."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.stack import Stack


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
