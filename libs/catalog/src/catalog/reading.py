"""Reads the catalog file; a digest is part of the version, so that an edit can't pass as the one before."""

import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from chassis.settings import SettingsError
from pydantic import ValidationError

from catalog.entries import CatalogFile

MAX_BYTES: Final = 1024 * 1024


class CatalogError(SettingsError):
    """The catalog that the settings name can't be used; the message says where and why in one line."""


def read_catalog(path: Path) -> CatalogFile:
    """Read one version of the catalog.

    Raises:
        CatalogError: the file is missing, not TOML, larger than a mebibyte, or breaks a rule.
    """
    content = _read(path)
    try:
        parsed = CatalogFile.model_validate(tomllib.loads(content.decode()))
    except ValidationError as error:
        raise CatalogError(f"{path}: {_first_problem(error)}") from error
    except RecursionError as error:
        raise CatalogError(f"{path}: nested too deeply") from error
    except ValueError as error:  # not UTF-8, not TOML, or a number of more digits than Python reads
        raise CatalogError(f"{path}: {_one_line(str(error))}") from error
    return parsed.model_copy(update={"version": f"{parsed.version}+{sha256(content).hexdigest()[:8]}"})


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CatalogError(f"{path}: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise CatalogError(f"{path}: is larger than {MAX_BYTES} bytes")
    return content


def _first_problem(error: ValidationError) -> str:
    first: Any = error.errors()[0]  # Any: pydantic's details of one error
    where = ".".join(map(str, first["loc"])) or "catalog"
    message = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
    return f"{_one_line(where)}: {_one_line(message)}"


def _one_line(text: str) -> str:
    return text if text.isprintable() else ascii(text)
