"""Which addresses are one mailbox, and under which domain a mail to them is sent."""

import pytest
from notifier.mail.addresses import UnreachableAddressError, UnusableAddressError, usable_address


@pytest.mark.parametrize(
    ("email", "sent_to"),
    [
        ("ana@example.com", "ana@example.com"),
        ("  ana@example.com ", "ana@example.com"),
        ("Ana.Souza+chat@EXAMPLE.com", "Ana.Souza+chat@EXAMPLE.com"),
        ('"ana souza"@example.com', '"ana souza"@example.com'),
        ("ana@faß.de", "ana@xn--fa-hia.de"),
        ("ana@FAẞ.de", "ana@xn--fa-hia.de"),
        ("ana@βόλος.com", "ana@xn--nxasmm1c.com"),
        ("ana@Bücher.example", "ana@xn--bcher-kva.example"),
        ("ana@bu\u0308cher.example", "ana@xn--bcher-kva.example"),
        ("ana@日本語。jp", "ana@xn--wgv71a119e.jp"),
        ("ana@xn--fa-hia.de", "ana@xn--fa-hia.de"),
        ("ana@a_b.example", "ana@a_b.example"),
        ("jörg@example.com", "jörg@example.com"),
        ("jo\u0308rg@faß.de", "jörg@xn--fa-hia.de"),
        ("用户.名@例子.广告", "用户.名@xn--fsqu00a.xn--4rr70v"),
    ],
)
def test_one_mailbox_keeps_its_owner_s_domain(email: str, sent_to: str) -> None:
    assert usable_address(email).addr_spec == sent_to


@pytest.mark.parametrize(
    "email",
    [
        None,
        "",
        "ana",
        "@example.com",
        "ana@",
        "ana@example.com\r\nBcc: all@example.com",
        "ana@example.com, eva@example.com",
        "Ana <ana@example.com>",
        "ana@example.com\x00",
        "ana@exam ple.com",
        "ana@☃.net",
        "ana@-ä.de",
        "jörg eva@example.com",
        "jörg,eva@example.com",
        "jörg@eva@example.com",
        "jörg\r\nRCPT@example.com",
        "jörg\u202e@example.com",
        "jörg\u00a0x@example.com",
        "<jörg@example.com",
        ".jörg@example.com",
        "ö" * 33 + "@example.com",
        "a" * 65 + "@example.com",
        "a" * 400,
    ],
)
def test_what_is_no_single_address_is_refused(email: str | None) -> None:
    with pytest.raises(UnusableAddressError):
        usable_address(email)


@pytest.mark.parametrize("domain", ["dados.solaris.invalid", "INVALID", "solaris.Invalid"])
def test_an_address_that_nobody_can_have_is_known_for_one(domain: str) -> None:
    with pytest.raises(UnreachableAddressError):
        usable_address(f"ana@{domain}")
    assert usable_address("ana@invalid.com").domain == "invalid.com"
