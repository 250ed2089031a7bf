"""What every verb of every service has: found by its name, options, exit codes, one line of error."""

import logging
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Annotated, Final

import pytest
from chassis.operate.errors import BadInputError, RefusedError
from chassis.operate.options import option, text, whole_number
from chassis.operate.output import write_line
from chassis.operate.verbs import Verbs
from chassis.settings import SettingsError

Pages = Annotated[int, option("--pages", parse=whole_number(1, 9), help="how many")]
Title = Annotated[str | None, option("--title", parse=text(5), help="of the book")]
FAILING: Final[list[BaseException]] = []


async def read_book(pages: Pages, title: Title = None) -> int:
    """Reads a book."""
    write_line({"pages": pages, "title": title})
    return pages - 1


async def fail() -> None:
    write_line("before")
    raise FAILING[0]


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Verbs]:
    module = ModuleType("library")
    vars(module).update(read_book=read_book, fail=fail)
    monkeypatch.setitem(sys.modules, "library", module)
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", False)  # an interrupted verb ends its own process
    places = {"library": ("read-book", "fail"), "library_that_is_not_there": ("lend",)}
    yield Verbs(places, refused=(LookupError,), bad_input=(ArithmeticError,))
    FAILING.clear()


def test_a_verb_is_found_without_what_others_need(verbs: Verbs, capfd: pytest.CaptureFixture[str]) -> None:
    assert verbs.run(["read-book", "--pages=1", "--title=Dune"]) == 0
    assert verbs.run(["read-book", "--pages=3"]) == 2
    assert capfd.readouterr() == ('{"pages":1,"title":"Dune"}\n{"pages":3,"title":null}\n', "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "PAGES=… is needed"),
        (["--pages="], "PAGES: not blank"),
        (["--pages=x"], "PAGES: a whole number from 1 to 9, in digits alone"),
        (["--pages=1", "--title= "], "TITLE: not blank"),
        (["--pages=1", "--title=Ulysses"], "TITLE: at most 5 characters of valid text"),
        (["--pages=1", "--colour=red"], "No such option: --colour"),
    ],
)
def test_what_is_typed_wrong_is_told_in_one_line(
    verbs: Verbs, words: list[str], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert verbs.run(["read-book", *words]) == 2
    assert capfd.readouterr() == ("", f"error: {told}\n")


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (RefusedError("no such\nbook"), 1, "no such book"),
        (BadInputError("no name"), 2, "no name"),
        (LookupError("lent"), 1, "lent"),
        (ArithmeticError("of no page"), 2, "of no page"),
        (SettingsError("SHELF: must be a shelf"), 2, "SHELF: must be a shelf"),
        (ConnectionResetError("gone"), 1, "the database: gone"),
        (TimeoutError(), 1, "the database: TimeoutError"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_went_wrong_is_told_after_what_was_printed(
    verbs: Verbs, error: BaseException, code: int, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    FAILING.append(error)
    assert verbs.run(["fail"]) == code
    assert capfd.readouterr() == ('"before"\n', f"error: {told}\n")


def test_an_interruption_before_the_verb_has_begun_is_told_like_any_other(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Importing(ModuleType):
        def __getattr__(self, _: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "library", Importing("library"))
    assert Verbs({"library": ("read-book",)}).run(["read-book"]) == 130
    assert capfd.readouterr() == ("", "error: interrupted\n")


def test_what_nobody_foresaw_is_not_hidden(verbs: Verbs) -> None:
    FAILING.append(AssertionError("never"))
    with pytest.raises(AssertionError, match="never"):
        verbs.run(["fail"])
