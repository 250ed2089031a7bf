"""Makes what a record says of a person a row that can be imported; names of fields are ours and LibreChat's."""

import re
from typing import Any, Final
from unicodedata import combining, normalize

from contracts.accounts import is_account_id
from contracts.limits import MAX_INTEGER, is_clean_text
from contracts.profiles import Profile

from ledger.application.people_rows import MAX_TAG_LENGTH, PersonRow, RefusedRow
from ledger.operate.people_files.json_records import Record

ALIASES: Final = {
    # A balance of LibreChat's has an `_id` of its own beside its `user`.
    "id": ("account_id", "account", "conta", "user", "id", "_id"),
    "email": ("email", "e_mail", "mail"),
    "name": ("name", "nome", "username"),
    "plan": ("plan", "plano"),
    "limit": ("limit", "monthly_limit", "limite"),
    "credits": ("credits", "creditos"),
    "anchor_day": ("anchor_day", "anchor", "dia"),
    "tags": ("tags", "tag", "etiquetas"),
}
LIBRECHAT_BALANCE: Final = "tokencredits"
"""LibreChat's own balance: a million of them are a USD at its prices."""
MAX_EMAIL_LENGTH: Final = 320
MAX_NAME_LENGTH: Final = 200
MAX_PLAN_LENGTH: Final = 64
MAX_TAGS: Final = 20
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_OBJECT_ID: Final = re.compile(r"ObjectId\(\"?([0-9a-f]{24})\"?\)")
_DIGITS: Final = re.compile(r"[0-9]{1,19}")
_ROUNDED: Final = re.compile(r"[0-9]+(?:[.,][0-9]+)?[eE]\+[0-9]+")


class FieldError(Exception):
    """What is wrong with a field; the text never quotes it."""


def row_of(number: int, record: Record, credits_per_token: int | None) -> PersonRow | RefusedRow:
    """The row of a record; `credits_per_token` None leaves LibreChat's own balance out."""
    if isinstance(record, str):
        return RefusedRow(number=number, account_id=None, why=record)
    fields = {plain_name(name): _unwrapped(value) for name, value in record.items()}
    account_id: str | None = None
    try:
        account_id = _account_id(_first(fields, "id"))
        return PersonRow(
            number=number,
            account_id=account_id,
            profile=Profile(email=_email(_first(fields, "email")), name=_name(_first(fields, "name"))),
            plan=_text("plan", _first(fields, "plan"), MAX_PLAN_LENGTH),
            monthly_limit=_whole("limit", _first(fields, "limit"), MAX_INTEGER),
            credits=_credits(fields, credits_per_token) or None,
            anchor_day=_anchor_day(_first(fields, "anchor_day")),
            tags=_tags(_first(fields, "tags")),
        )
    except FieldError as error:
        return RefusedRow(number=number, account_id=account_id, why=str(error))


def unknown_names(record: Record) -> set[str]:
    """Fields of the record that say nothing to us."""
    known = {LIBRECHAT_BALANCE, *(alias for aliases in ALIASES.values() for alias in aliases)}
    return set() if isinstance(record, str) else {name for name in record if plain_name(name) not in known}


def plain_name(name: str) -> str:
    """`Crédits ` → `credits`: small letters without accents, one underscore for what stands between words."""
    letters = "".join(each for each in normalize("NFD", name.strip().casefold()) if not combining(each))
    return re.sub(r"[\s-]+", "_", letters)


def _unwrapped(value: Any) -> Any:  # whatever stands in a file
    """`{"$oid": "665f…"}` → `665f…`, as MongoDB writes what JSON has no word for."""
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        if isinstance(key, str) and key.startswith("$"):
            return inner
    return value


def _first(fields: dict[str, Any], field: str) -> Any:
    """What stands under the first of the field's names that has a value."""
    for alias in ALIASES[field]:
        value = fields.get(alias)
        if value is not None and value != "" and (not isinstance(value, str) or value.strip()):
            return value
    return None


def _account_id(value: Any) -> str:
    if value is None:
        raise FieldError("id: missing")
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if (wrapped := _OBJECT_ID.fullmatch(text)) is not None:
        return wrapped[1]
    if _ROUNDED.fullmatch(text):
        raise FieldError("id: a spreadsheet has rounded it")
    if not is_account_id(text):
        raise FieldError("id: 1 to 128 of the characters A-Z a-z 0-9 . _ : -")
    return text


def _text(field: str, value: Any, most: int) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not is_clean_text(value.strip(), most) or "\ufffd" in value:
        raise FieldError(f"{field}: at most {most} characters of valid text")
    return value.strip()


def _name(value: Any) -> str | None:
    name = _text("name", value, MAX_NAME_LENGTH)
    if name is not None and any(ord(char) < 32 for char in name):
        raise FieldError("name: on one line")
    return name


def _email(value: Any) -> str | None:
    email = _text("email", value, MAX_EMAIL_LENGTH)
    if email is not None and not _EMAIL.fullmatch(email):
        raise FieldError("email: no address")
    return email


def _whole(field: str, value: Any, largest: int) -> int | None:
    if value is None:
        return None
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _DIGITS.fullmatch(text) or int(text) > largest:
        raise FieldError(f"{field}: a whole number from 0 to {largest}, in digits alone")
    return int(text)


def _anchor_day(value: Any) -> int | None:
    day = _whole("anchor_day", value, 31)
    if day == 0:
        raise FieldError("anchor_day: from 1 to 31")
    return day


def _tags(value: Any) -> tuple[str, ...] | None:
    """A list, or words with `|`, `,` or `;` between them; in small letters, each once."""
    words = re.split(r"[|,;]", value) if isinstance(value, str) else value
    if words is None:
        return None
    if not isinstance(words, list) or len(words) > MAX_TAGS:
        raise FieldError(f"tags: at most {MAX_TAGS}")
    tags = [_text("tags", word, MAX_TAG_LENGTH) for word in words]
    return tuple(sorted({tag.casefold() for tag in tags if tag}))


def _credits(fields: dict[str, Any], credits_per_token: int | None) -> int | None:
    own = _whole("credits", _first(fields, "credits"), MAX_INTEGER)
    theirs = fields.get(LIBRECHAT_BALANCE)
    if own is not None or credits_per_token is None or theirs is None:
        return own
    try:
        # Theirs may be a fraction, and below zero where it was overdrawn.
        tokens = int(float(theirs)) // credits_per_token
    except (TypeError, ValueError, OverflowError):
        raise FieldError("tokenCredits: a number") from None
    if tokens > MAX_INTEGER:
        raise FieldError(f"tokenCredits: more than {MAX_INTEGER} tokens")
    return max(0, tokens)
