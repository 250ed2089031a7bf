"""Tabler's stylesheet as the wheel `starlette-admin` brings it, dark too for whose system is dark.

Tabler is dark where an attribute says so, which takes a script to set. Its few rules for that are repeated here for
a page that has no such attribute, within `prefers-color-scheme`.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_DARK: Final = "[data-bs-theme=dark]"
_UNSAID: Final = ":root:not([data-bs-theme])"
_DARK_RULE: Final = re.compile(r"(?<=[}/])([^{}@/]*\[data-bs-theme=dark\][^{}]*)\{([^{}]*)\}")


class StylesheetError(Exception):
    """The wheel's stylesheet is not where or what it was."""


def tabler() -> str:
    """The whole stylesheet.

    Raises:
        StylesheetError: the wheel has none, or one that knows no dark.
    """
    spec = find_spec("starlette_admin")  # the package itself, which imports much, is not needed
    if spec is None or spec.origin is None:
        raise StylesheetError("starlette-admin is not installed")
    path = Path(spec.origin).parent / "static" / "css" / "vendor" / "tabler.min.css"
    try:
        text = path.read_text()
    except OSError as error:
        raise StylesheetError(f"starlette-admin has no {path.name}: {error.strerror}") from error
    return text + dark_by_preference(text)


def dark_by_preference(text: str) -> str:
    """The stylesheet's rules for `data-bs-theme=dark`, for pages that say neither dark nor light.

    Raises:
        StylesheetError: there are none.
    """
    rules = []
    for selectors, declarations in _DARK_RULE.findall(text):
        chosen = [each.replace(_DARK, _UNSAID) for each in _split(selectors) if each.startswith(_DARK)]
        if chosen:
            rules.append(f"{','.join(chosen)}{{{declarations}}}")
    if not rules:
        raise StylesheetError("the stylesheet has no rules for [data-bs-theme=dark]")
    return f"@media (prefers-color-scheme:dark){{{''.join(rules)}}}"


def _split(selectors: str) -> list[str]:
    """A list of selectors; none of those that matter has a comma within."""
    return [each.strip() for each in selectors.split(",")]
