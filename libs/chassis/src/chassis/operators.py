"""Who types a command."""

import os
import pwd


def operator() -> str:
    """The Unix user, as the system knows it: an environment variable could name anybody."""
    try:
        return f"operator:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"operator:{os.getuid()}"
