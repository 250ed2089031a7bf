"""Idempotency keys: one key, one answer, for 24 hours."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from local_run.demo_stripe.wire.errors import RefusedError
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.world.world import World

KEPT_SECONDS: Final = 24 * 3_600
MAX_KEY: Final = 255


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Object


class Idempotency:
    """Knows the answers of earlier requests with a key, and the requests that are being answered."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._in_flight: set[str] = set()

    def begin(self, key: str, fingerprint: str) -> Answer | None:
        """The earlier answer, or None: then the key is this request's until `end`.

        Raises:
            RefusedError: the key came with other parameters, or is in use.
        """
        if not key.strip() or len(key) > MAX_KEY:
            raise RefusedError(f"Idempotency keys have 1 to {MAX_KEY} characters.", kind="idempotency_error")
        if key in self._in_flight:
            message = "There is currently another in-progress request using this Idempotent Key."
            raise RefusedError(message, status=409, kind="idempotency_error", code="idempotency_key_in_use")
        known = self._world.get(_id_of(key))
        if known is not None and known["created"] > self._world.unmoved_now() - KEPT_SECONDS:
            if known["fingerprint"] != fingerprint:
                message = (
                    "Keys for idempotent requests can only be used with the same parameters they were first used with."
                )
                raise RefusedError(message, kind="idempotency_error")
            return Answer(known["status"], known["body"])
        if known is not None:
            self._world.remove(known)
        self._in_flight.add(key)
        return None

    def keep(self, key: str, fingerprint: str, answer: Answer) -> None:
        """Remember the answer of a request that began to be carried out."""
        self._world.add(
            {
                "id": _id_of(key),
                "object": "demo.answer",
                "fingerprint": fingerprint,
                "status": answer.status,
                # As it is now: the object lives on, the answer does not.
                "body": json.loads(json.dumps(answer.body)),
                "created": self._world.unmoved_now(),
            }
        )

    def end(self, key: str) -> None:
        self._in_flight.discard(key)


def fingerprint_of(path: str, parameters: dict[str, Any]) -> str:
    """What makes two requests the same."""
    return hashlib.sha256(json.dumps([path, parameters], sort_keys=True, default=str).encode()).hexdigest()


def _id_of(key: str) -> str:
    return "key:" + hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
