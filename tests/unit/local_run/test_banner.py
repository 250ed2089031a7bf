"""The first call that is shown is the one that the README explains."""

from pathlib import Path

from local_run.banner import first_call
from local_run.settings import DEVELOPMENT_KEY

README = Path(__file__).parents[3] / "README.md"


def test_the_call_that_is_shown_is_the_readme_s() -> None:
    lines = (line for line in README.read_text().splitlines() if line.startswith("curl "))
    shown = first_call("http://127.0.0.1:8000", DEVELOPMENT_KEY)
    assert shown.replace('"Authorization: Bearer sk-solaris-dev"', "'Authorization: Bearer sk-solaris-dev'") == next(
        lines
    )
