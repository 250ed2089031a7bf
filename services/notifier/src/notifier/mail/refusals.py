"""Judges a mail server's refusal: is it about the recipient, for good, or about us or the moment?

A mail that is given up wrongly is lost; one that is tried again wrongly costs some attempts and ends as a dead letter
all the same. So a refusal is final only where the server plainly speaks of the recipient.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Step(StrEnum):
    """Where in the conversation the server refused."""

    CONNECT = "connect"
    SENDER = "sender"
    RECIPIENT = "recipient"
    DATA = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalAnswer:
    """An answer that speaks of the recipient and will not change, and where that is written."""

    meaning: str
    source: str


FINAL_STATUSES: Final = {
    "5.1.1": FinalAnswer(meaning="no such mailbox", source="RFC 3463, 3.2"),
    "5.1.2": FinalAnswer(meaning="no such mail domain", source="RFC 3463, 3.2"),
    "5.1.3": FinalAnswer(meaning="not the syntax of an address", source="RFC 3463, 3.2"),
    "5.1.6": FinalAnswer(meaning="the mailbox has moved to nobody knows where", source="RFC 3463, 3.2"),
    "5.1.10": FinalAnswer(meaning="the domain takes no mail: null MX", source="RFC 7505, 4.2"),
    "5.2.1": FinalAnswer(meaning="the mailbox is disabled", source="RFC 3463, 3.3"),
    "5.6.7": FinalAnswer(meaning="the recipient's server takes no address in UTF-8", source="RFC 6531, 3.5"),
    "5.6.9": FinalAnswer(meaning="the recipient's server takes no headers in UTF-8", source="RFC 6531, 3.5"),
}
"""Enhanced status codes (RFC 3463). All others are about us or the moment, whatever their class: 5.1.7 and 5.1.8 are
about the sender, 5.2.2 is a full mailbox, 5.3 the server, 5.4 the way there, 5.5 the protocol, 5.7 policy (5.7.26 is a
missing SPF or DKIM of ours), and 5.1.0 may mean either side."""

FINAL_CODES: Final = {
    550: FinalAnswer(meaning="no such user here, where the text says so: 550 is policy too", source="RFC 5321, 4.2.3"),
    551: FinalAnswer(meaning="the user is not local", source="RFC 5321, 3.4"),
    553: FinalAnswer(meaning="the mailbox name is not allowed", source="RFC 5321, 4.2.3"),
    556: FinalAnswer(meaning="the domain takes no mail", source="RFC 7504, 4 and RFC 7505, 4.2"),
}
"""Plain codes in answer to the recipient, without an enhanced one. 421 and 450 to 452 pass (RFC 5321, 4.2.3), 552 is
storage (4.5.3.1.10 there), 530, 534, 535 and 538 are our sign-in (RFC 4954, 6), 521 is a host without mail, 554 may be
anything, and 555 is a parameter of ours."""

_SAYS_UNKNOWN = re.compile(
    r"unknown|no such|not found|does\s?n[o']t exist|not exist|no mailbox|mailbox unavailable|unrouteable|"
    r"invalid (recipient|mailbox|user|address)|(recipient|mailbox|user|address)( is| was)? (invalid|disabled|inactive)",
    re.IGNORECASE,
)
_SPEAKS_OF_US = re.compile(
    r"relay|rcpthosts|sender|mail from|client|helo|authenti|log ?in|policy|spam|junk|virus|block|black|denied|denylist|"
    r"listed|reputation|\bspf\b|dkim|dmarc|rate|limit|quota|full|too many|temporar|later|try again|tls|verif",
    re.IGNORECASE,
)
_ADDRESSES = re.compile(r"<[^>]*>|\S+@\S+")
_ENHANCED_STATUS = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})(?!\S)")
_QMAIL_STATUS = re.compile(r"\(#([245]\.\d{1,3}\.\d{1,3})\)")


def enhanced_status(message: str) -> str | None:
    """The enhanced status code at the beginning (RFC 2034), or where qmail writes it: `… (#5.7.1)`."""
    found = _ENHANCED_STATUS.match(message) or _QMAIL_STATUS.search(message)
    return found[1] if found else None


def is_final(step: Step, code: int, message: str) -> bool:
    """Whether the refusal is about the recipient and trying again can't help."""
    if step in {Step.CONNECT, Step.SENDER} or not 500 <= code < 600:
        return False
    status = enhanced_status(message)
    if status is not None:
        return status in FINAL_STATUSES
    text = _ADDRESSES.sub(" ", message)  # an address may hold any word
    if code not in FINAL_CODES or _SPEAKS_OF_US.search(text):
        return False
    # After the data, all of them are mostly about the content.
    needs_words = code == 550 or step is Step.DATA
    return not needs_words or _SAYS_UNKNOWN.search(text) is not None


def codes_of(code: int, message: str) -> str:
    """The codes alone: servers repeat addresses in their answers."""
    status = enhanced_status(message)
    return f"{code} {status}" if status else str(code)
