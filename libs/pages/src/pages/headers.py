"""What a browser is told about a page: load from here alone, run no script of others, tell and keep nothing of it."""

from collections.abc import Sequence


def page_headers(form_targets: Sequence[str] = ()) -> dict[str, str]:
    """Of every page. `form_targets` are origins that a form's answer may lead to beside our own.

    `Referrer-Policy` is not `no-referrer`, with which browsers send `Origin: null` along with our own forms.
    """
    policy = {
        "default-src": "'none'",
        "style-src": "'self'",
        "script-src": "'self'",
        "img-src": "'self' data:",  # Tabler draws its marks of forms with data: URLs
        "connect-src": "'self'",
        "form-action": " ".join(("'self'", *form_targets)),
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "cache-control": "no-store",
        "referrer-policy": "same-origin",  # a token in the address stays here
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
        "x-robots-tag": "noindex, nofollow",
    }
