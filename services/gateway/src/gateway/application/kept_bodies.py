"""How a request and its answer begin, kept for the request log where an operator wants bodies in it."""

from contracts.requests import Bodies


class KeptBodies:
    """At most `most_bytes` of each, while the call lasts."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._request = b""
        self._answer = bytearray()

    def set_request(self, body: bytes) -> None:
        self._request = body[: self._most_bytes]

    def add_to_answer(self, data: bytes) -> None:
        """What the client is sent, whoever it comes from."""
        if (room := self._most_bytes - len(self._answer)) > 0:
            self._answer += data[:room]

    def told(self) -> Bodies:
        return Bodies(request=_text(self._request), answer=_text(bytes(self._answer)))


def _text(data: bytes) -> str:
    """As it can be stored: what is no UTF-8, such as a letter that was cut in two, and NUL become a sign for that."""
    return data.decode("utf-8", "replace").replace("\x00", "\ufffd")
