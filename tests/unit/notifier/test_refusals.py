"""Which refusals end a mail: those that speak of the recipient, and none that speak of us or of the moment."""

import pytest
from notifier.mail.refusals import FINAL_CODES, FINAL_STATUSES, Step, codes_of, is_final

FINAL = [
    (Step.RECIPIENT, 550, "5.1.1 <b@example.com>: Recipient address rejected: User unknown in virtual mailbox table"),
    (Step.RECIPIENT, 550, "5.1.1 The email account that you tried to reach does not exist.\n5.1.1 Please try"),
    (Step.RECIPIENT, 550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"),
    (Step.RECIPIENT, 556, "5.1.10 Recipient address has null MX"),
    (Step.RECIPIENT, 556, "domain does not accept mail"),
    (Step.RECIPIENT, 550, "5.1.2 Host unknown"),
    (Step.RECIPIENT, 501, "5.1.3 Bad recipient address syntax"),
    (Step.RECIPIENT, 550, "5.1.6 recipient no longer on server"),
    (Step.RECIPIENT, 550, "5.2.1 The email account that you tried to reach is disabled."),
    (Step.RECIPIENT, 553, "5.6.7 b@example.com: address needs SMTPUTF8"),
    (Step.RECIPIENT, 550, "No such user here"),
    (Step.RECIPIENT, 550, "user unknown"),
    (Step.RECIPIENT, 550, "Requested action not taken: mailbox unavailable"),
    (Step.RECIPIENT, 550, "<relay-policy@example.com> doesn't exist"),
    (Step.RECIPIENT, 550, "sorry, no mailbox here by that name (#5.1.1)"),
    (Step.RECIPIENT, 551, "User not local; please try <c@example.org>"),
    (Step.RECIPIENT, 553, "b@example.com not allowed"),
    (Step.DATA, 550, "5.1.1 user unknown"),
    (Step.DATA, 550, "no such user"),
]
PASSING = [
    (Step.RECIPIENT, 554, "5.7.1 <b@example.com>: Relay access denied"),
    (Step.RECIPIENT, 554, "Relay access denied"),
    (Step.RECIPIENT, 550, "relay not permitted"),
    (Step.RECIPIENT, 550, "Relaying denied. User unknown"),
    (Step.RECIPIENT, 553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
    (Step.RECIPIENT, 553, "5.7.1 sender not owned by user"),
    (Step.RECIPIENT, 550, "5.7.26 Unauthenticated email is not accepted due to the domain's DMARC policy."),
    (Step.DATA, 550, "5.7.26 This mail has been blocked because the sender is unauthenticated."),
    (Step.DATA, 550, "5.7.1 policy"),
    (Step.DATA, 554, "5.7.1 looks like spam to b@example.com"),
    (Step.DATA, 554, "Message rejected: Email address is not verified. The following identities failed the check"),
    (Step.DATA, 550, "The from address does not match a verified Sender Identity"),
    (Step.RECIPIENT, 552, "5.2.2 mailbox full"),
    (Step.RECIPIENT, 552, "storage exceeded"),
    (Step.DATA, 552, "5.3.4 message too big"),
    (Step.DATA, 552, "too much mail data"),
    (Step.RECIPIENT, 550, "5.4.5 Daily user sending limit exceeded"),
    (Step.RECIPIENT, 550, "5.1.8 sender domain unknown"),
    (Step.RECIPIENT, 550, "5.1.0 address rejected"),
    (Step.RECIPIENT, 550, ""),
    (Step.RECIPIENT, 550, "rejected because 192.0.2.1 is listed at a blocklist"),
    (Step.RECIPIENT, 550, "Sender verify failed: unknown user"),
    (Step.RECIPIENT, 530, "5.7.0 Must issue a STARTTLS command first"),
    (Step.RECIPIENT, 535, "5.7.8 wrong password"),
    (Step.RECIPIENT, 421, "4.7.0 try again later, closing"),
    (Step.RECIPIENT, 450, "4.1.1 user unknown for now"),
    (Step.RECIPIENT, 451, "greylisted"),
    (Step.RECIPIENT, 452, "4.5.3 too many recipients"),
    (Step.RECIPIENT, 555, "parameters not recognized"),
    (Step.RECIPIENT, 521, "host does not accept mail"),
    (Step.DATA, 553, "not allowed"),
    (Step.SENDER, 550, "5.1.1 sender unknown"),
    (Step.SENDER, 553, "5.1.8 sender rejected"),
    (Step.CONNECT, 554, "no service"),
    (Step.CONNECT, 556, "domain does not accept mail"),
]


@pytest.mark.parametrize(("step", "code", "message"), FINAL)
def test_what_speaks_of_the_recipient_is_final(step: Step, code: int, message: str) -> None:
    assert is_final(step, code, message)


@pytest.mark.parametrize(("step", "code", "message"), PASSING)
def test_what_is_about_us_or_the_moment_is_tried_again(step: Step, code: int, message: str) -> None:
    assert not is_final(step, code, message)


def test_every_final_answer_names_its_source_and_is_tried_here() -> None:
    assert all(answer.source.startswith("RFC ") for answer in [*FINAL_STATUSES.values(), *FINAL_CODES.values()])
    tried = " ".join(f"{code} {message}" for _, code, message in FINAL)
    assert [known for known in (*FINAL_STATUSES, *FINAL_CODES) if str(known) not in tried] == ["5.6.9"]


def test_only_codes_are_kept_of_an_answer() -> None:
    assert codes_of(550, "5.1.1 <b@example.com> unknown") == "550 5.1.1"
    assert codes_of(553, "sorry b@example.com (#5.7.1)") == "553 5.7.1"
    assert codes_of(550, "b@example.com 5.1.1") == "550"
