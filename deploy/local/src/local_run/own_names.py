"""Keeps the run's helpers to this machine's own browsers and programs, by the name that they are asked for under."""

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp

from local_run.ports import LOOPBACK


def under_own_names(app: ASGIApp) -> ASGIApp:
    """The app for who asks for a name of this machine; everybody else is answered 400.

    The helpers ask nobody who they are. A page of others can have its own name lead to this machine (DNS rebinding):
    then its scripts could read mails and prompts here, were it not for the name that the browser tells.
    """
    return TrustedHostMiddleware(app, allowed_hosts=[LOOPBACK, "localhost"], www_redirect=False)
