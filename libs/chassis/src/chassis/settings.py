"""What every service reads from the environment, prefix `SOLARIS_`, and how it says what it can't use."""

import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final, Self

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from chassis.setting_types import Host, LogLevel, StrongSecret, did_you_mean

PREFIX: Final = "SOLARIS_"
_MAX_SHOWN_LENGTH: Final = 100
_NUMBERS: Final = {"int_parsing", "int_from_float", "int_parsing_size", "int_type", "float_parsing", "finite_number"}
_BOUNDS: Final = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}
_BOUND_WORDS: Final = {"ge": "from", "gt": "above", "le": "up to", "lt": "below"}


class SettingsError(Exception):
    """Variables that can't be used; the text is one line that names each with its value, if no secret, and a remedy."""


def _variable(field: str) -> str:
    return PREFIX + field.upper()


class ServiceSettings(BaseModel):
    """Base of each service's settings class; the class is the full list of what that service reads.

    A field's variable is its name in capitals, or the `validation_alias` that it has. Its description says what to set,
    for the message when it is missing. A field that holds a secret is a `SecretStr`, or has `repr=False`: its value is
    never shown.
    """

    model_config = ConfigDict(
        frozen=True,
        allow_inf_nan=False,
        alias_generator=AliasGenerator(validation_alias=_variable),
        validate_by_name=True,
    )

    metrics_token: StrongSecret | None = None
    """Whoever reads the metrics bears it, where it is set."""
    instance: str = ""
    """Told with every answer about health: whoever started the service knows it by this from a stranger's."""
    host: Host = "127.0.0.1"
    data_dir: Path = Path(".solaris")
    log_level: LogLevel = "info"
    shutdown_seconds: float = Field(default=8.0, ge=0, le=3600)

    @classmethod
    def variables(cls) -> frozenset[str]:
        """Names of the environment variables that it reads."""
        return frozenset(cls._fields())

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """The settings that the environment makes; a variable that is empty counts as one that is not set.

        Raises:
            SettingsError: a variable is missing or invalid.
        """
        values = {variable: value for variable in cls._fields() if (value := environment.get(variable))}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError("; ".join(cls._problem(item, values) for item in error.errors())) from None

    @classmethod
    def load(cls) -> Self:
        """Read this process's environment.

        Raises:
            SystemExit: a variable is missing or invalid; the message is that of `SettingsError`.
        """
        try:
            return cls.read(os.environ)
        except SettingsError as error:
            raise SystemExit(f"cannot start: {error}") from None

    @classmethod
    def _fields(cls) -> dict[str, FieldInfo]:
        return {str(field.validation_alias): field for field in cls.model_fields.values()}

    @classmethod
    def _problem(cls, item: Any, values: Mapping[str, str]) -> str:  # Any: pydantic's details of one error
        if not item["loc"]:  # a rule about several; its words name them
            return str(item["ctx"]["error"])
        variable = str(item["loc"][0])
        field = cls._fields()[variable]
        if item["type"] == "missing":
            return f"{variable} is not set: {field.description or 'it is required'}"
        shown = "" if _is_secret(field) else f"={_shown(values[variable])}"
        return f"{variable}{shown}: {_remedy(item, field, values[variable])}"


def _is_secret(field: FieldInfo) -> bool:
    return not field.repr or "SecretStr" in str(field.annotation)


def _shown(value: str) -> str:
    if "://" in value and "@" in value:
        return "(not shown: it may hold a password)"
    text = value if value.isprintable() and " " not in value else repr(value)
    return text if len(text) <= _MAX_SHOWN_LENGTH else text[:_MAX_SHOWN_LENGTH] + "…"


def _remedy(item: Any, field: FieldInfo, value: str) -> str:  # Any: as above
    kind = item["type"]
    if kind == "value_error":
        return str(item["ctx"]["error"])
    if kind == "enum" and isinstance(field.annotation, type) and issubclass(field.annotation, Enum):
        known = [str(member.value) for member in field.annotation]
        return f"must be one of {', '.join(known)}{did_you_mean(value, known)}"
    if kind in _NUMBERS | _BOUNDS:
        whole = "int" in str(field.annotation)
        return f"must be a {'whole number' if whole else 'number'}{_bounds(field)}"
    if kind == "bool_parsing":
        return "must be true or false"
    return str(item["msg"])


def _bounds(field: FieldInfo) -> str:
    bounds = ((word, getattr(rule, name, None)) for rule in field.metadata for name, word in _BOUND_WORDS.items())
    return "".join(f" {word} {bound}" for word, bound in bounds if bound is not None)
