"""What is found out about a chat request before anything is held: its fields, its caller, its prompt's size."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

import structlog
from contracts.limits import MAX_INTEGER
from msgspec import Struct

from gateway import metrics
from gateway.application.aside import Aside
from gateway.application.call import Call
from gateway.domain.body_structure import check_structure
from gateway.domain.chat_request import ChatRequest, parse_chat_request
from gateway.domain.errors import InvalidRequestError, MissingUserError
from gateway.domain.estimate import prompt_of
from gateway.domain.identity import Caller, identify
from gateway.domain.model_families import ModelFamily, model_family
from gateway.domain.notice_marks import NOTICE_SIGN, without_notices
from gateway.domain.observed_request import has_readable_prompt, observed_request, unread_request
from gateway.settings import GatewaySettings, UnknownFields
from gateway.tokenizers.counting import count_tokens

log = structlog.get_logger()

INVALID_REQUEST: Final = "invalid_request"


class Prepared(Struct, kw_only=True):
    """A checked request with what was found out about it; one that enforcing `would_refuse` has broken a rule."""

    request: ChatRequest
    body_bytes: int
    caller: Caller
    family: ModelFamily
    would_refuse: bool = False


class Preparer:
    """Checks requests; `aside` is where large ones are read."""

    def __init__(self, settings: GatewaySettings, aside: Aside) -> None:
        self._settings = settings
        self._pseudonym_key = settings.key_for("pseudonyms")
        self._notice_key = settings.key_for("notices")
        self._aside = aside

    async def prepare(self, call: Call, headers: Mapping[bytes, bytes], body: bytes) -> Prepared:
        """Check the request, find its caller, drop our notices from its history, estimate its prompt.

        Raises:
            InvalidRequestError, MissingUserError: the request can't be served; `call` tells whose it is where it does.
        """
        request, refusal = await self._read(call, headers, body)
        metrics.count_unknown_fields(request.unknown_fields)
        caller = self._named(call, headers, request)
        if refusal is not None:
            metrics.HOLDS.labels("would_refuse", INVALID_REQUEST).inc()
            log.info("would_refuse", request_id=call.id, code=INVALID_REQUEST, param=refusal.param)
            call.would_refuse = INVALID_REQUEST
        family = model_family(request.model)
        if refusal is None or has_readable_prompt(request.fields):
            if NOTICE_SIGN in body:
                await self._aside.run(len(body), self._drop_notices, request)
            prompt = await self._aside.run(len(body), prompt_of, request.fields, family)
            tokens = prompt.fixed_tokens + await count_tokens(prompt.texts, family.encoding)
            call.estimated_prompt_tokens = min(tokens, MAX_INTEGER // 2)
        return Prepared(
            request=request,
            body_bytes=len(body),
            caller=caller,
            family=family,
            would_refuse=refusal is not None,
        )

    def name(self, call: Call, headers: Mapping[bytes, bytes]) -> None:
        """Tell `call` whose it is, as far as headers alone say it: its body was not read."""
        with contextlib.suppress(InvalidRequestError, MissingUserError):
            self._tell(call, identify(headers, None, self._pseudonym_key))

    def _named(self, call: Call, headers: Mapping[bytes, bytes], request: ChatRequest) -> Caller:
        caller = identify(headers, request.user, self._pseudonym_key)
        self._tell(call, caller)
        call.model = request.model
        return caller

    @staticmethod
    def _tell(call: Call, caller: Caller) -> None:
        call.account_id = caller.account_id
        call.conversation_id = caller.conversation_id

    async def _read(
        self, call: Call, headers: Mapping[bytes, bytes], body: bytes
    ) -> tuple[ChatRequest, InvalidRequestError | None]:
        """The request; where observing, one that breaks a rule too, with the error that it would have been.

        Raises:
            InvalidRequestError: it breaks a rule.
        """
        try:
            for _ in check_structure(body):
                await asyncio.sleep(0)
        except InvalidRequestError as refusal:
            if not self._settings.observes:
                raise
            return unread_request(body), refusal
        try:
            strict = self._settings.unknown_fields is UnknownFields.REFUSE
            return await self._aside.run(len(body), parse_chat_request, body, refuse_unknown=strict), None
        except InvalidRequestError as refusal:
            request = await self._aside.run(len(body), observed_request, body)
            if not self._settings.observes:
                with contextlib.suppress(InvalidRequestError, MissingUserError):
                    self._named(call, headers, request)  # whoever is refused is told apart all the same
                raise
            return request, refusal

    def _drop_notices(self, request: ChatRequest) -> None:
        kept = without_notices(request.messages, self._notice_key)
        if kept == [] and not self._settings.observes:
            raise InvalidRequestError("messages hold nothing but notices", "messages")
        request.fields["messages"] = kept or request.messages
