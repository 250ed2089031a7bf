"""Which of the languages that are written here a person reads."""

from enum import StrEnum


class Language(StrEnum):
    """A language that people are told things in, by its tag."""

    PORTUGUESE = "pt-BR"
    ENGLISH = "en"


def choose_language(*wishes: str | None) -> Language:
    """The first of the wishes that is written here, else Portuguese.

    A wish is a tag (`pt_PT`), or several with commas between as in `Accept-Language`, taken in the order in which they
    stand; only the language itself counts, not the country.
    """
    for tag in ",".join(wish or "" for wish in wishes).split(","):
        match tag.partition(";")[0].strip().replace("_", "-").lower().partition("-")[0]:
            case "pt":
                return Language.PORTUGUESE
            case "en":
                return Language.ENGLISH
    return Language.PORTUGUESE
