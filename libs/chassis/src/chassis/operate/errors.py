"""Why a verb is not carried out; the text is the one line that is told."""


class RefusedError(Exception):
    """It is refused, or failed."""


class BadInputError(Exception):
    """What was typed, or what the environment says, can't be right."""
