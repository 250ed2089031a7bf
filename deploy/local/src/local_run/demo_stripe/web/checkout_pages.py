"""The pages on which people pay: a session's Checkout, and a Pix code or boleto that waits."""

from language.choice import Language
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from local_run.demo_stripe.objects.paying import apply_code
from local_run.demo_stripe.objects.sessions import items_of, line_items_of
from local_run.demo_stripe.objects.settlement import complete_payment, pay_session
from local_run.demo_stripe.web.fields import fields_of_request
from local_run.demo_stripe.web.rendering import missing_page, page
from local_run.demo_stripe.web.words import WORDS, language_for
from local_run.demo_stripe.wire.errors import RefusedError, no_such
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.world.world import World


class CheckoutPages:
    """A browser gets pages and is led on; a program that posts JSON gets JSON."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        return [
            Route("/c/pay/{id}", self._show),
            Route("/c/pay/{id}/pay", self._pay, methods=["POST"]),
            Route("/c/pay/{id}/code", self._apply_code, methods=["POST"]),
            Route("/c/voucher/{id}", self._show_voucher),
            Route("/c/voucher/{id}", self._end_voucher, methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:
        session = self._world.get(request.path_params["id"], "checkout.session")
        return missing_page(request) if session is None else self._session_page(request, session)

    async def _pay(self, request: Request) -> Response:
        wants_json = False
        try:
            told, wants_json = await fields_of_request(request)
            session = self._session(request)
            went_through = pay_session(
                self._world,
                session,
                method=str(told.get("method")),
                outcome=str(told.get("outcome")),
                code=told.get("promotion_code"),
                email=told.get("email"),
            )
        except RefusedError as refusal:
            return self._refused(request, refusal, wants_json=wants_json)
        finally:
            self._world.commit()
        if wants_json:
            return JSONResponse(_summary(session))
        if went_through:
            return self._lead_on(session)
        language = self._language(request, session)
        notice = WORDS[language]["declined"] if session["status"] == "open" else None
        return self._session_page(request, session, notice=notice, status=402 if notice else 200)

    async def _apply_code(self, request: Request) -> Response:
        wants_json = False
        try:
            told, wants_json = await fields_of_request(request)
            session = self._session(request)
            apply_code(self._world, session, str(told.get("promotion_code")))
        except RefusedError as refusal:
            return self._refused(request, refusal, wants_json=wants_json)
        finally:
            self._world.commit()
        return JSONResponse(_summary(session)) if wants_json else RedirectResponse(session["url"], 303)

    async def _show_voucher(self, request: Request) -> Response:
        intent = self._world.get(request.path_params["id"], "payment_intent")
        if intent is None:
            return missing_page(request)
        session = self._world.get(self._world.notes(intent["id"]).get("session"), "checkout.session")
        language = self._language(request, session)
        action = intent["next_action"]
        if action is None:
            link = _success_url(session) if session else None
            words = WORDS[language]
            return page(
                "message.html.j2", language, heading=words["complete_title"], text=words["voucher_done"], link=link
            )
        shown = action[action["type"]]
        kind = "pix" if action["type"] == "pix_display_qr_code" else "boleto"
        code = shown["data"] if kind == "pix" else shown["number"]
        return page(
            "voucher.html.j2",
            language,
            intent=intent,
            kind=kind,
            data=code,
            expires_at=shown["expires_at"],
            link=_success_url(session) if session else None,
        )

    async def _end_voucher(self, request: Request) -> Response:
        wants_json = False
        try:
            told, wants_json = await fields_of_request(request)
            intent = self._world.find("payment_intent", request.path_params["id"])
            complete_payment(self._world, intent, paid=told.get("outcome") == "paid")
        except RefusedError as refusal:
            return self._refused(request, refusal, wants_json=wants_json)
        finally:
            self._world.commit()
        return JSONResponse(intent) if wants_json else RedirectResponse(str(request.url.path), 303)

    # --- what they show ---

    def _session_page(
        self, request: Request, session: Object, *, notice: str | None = None, status: int = 200
    ) -> Response:
        language = self._language(request, session)
        words = WORDS[language]
        if session["status"] != "open":
            done = session["status"] == "complete"
            key = "complete" if done else "expired"
            link = _success_url(session) if done else session["cancel_url"]
            return page("message.html.j2", language, heading=words[f"{key}_title"], text=words[key], link=link)
        mode = session["mode"]
        heading = {"payment": "pay_to", "subscription": "subscribe_to", "setup": "save_card"}[mode]
        free = session["amount_total"] == 0
        button = {
            "payment": "card_free" if free else "card_pay",
            "subscription": "card_subscribe",
            "setup": "card_save",
        }[mode]
        recurring = [item.price["recurring"] for item in items_of(self._world, session) if item.price["recurring"]]
        customer = self._world.get(session["customer"], "customer")
        code = self._world.get(self._world.notes(session["id"])["code"], "promotion_code")
        return page(
            "checkout.html.j2",
            language,
            status=status,
            session=session,
            lines=line_items_of(self._world, session),
            base=f"/c/pay/{session['id']}",
            heading=words[heading] + ("" if mode == "setup" else " Solaris"),
            button=words[button],
            every=recurring[0]["interval"] if recurring else None,
            code=code["code"] if code else None,
            asks_email=session["customer_email"] is None and (customer is None or customer["email"] is None),
            notice=notice,
        )

    def _lead_on(self, session: Object) -> Response:
        """To the voucher where one waits, else back to the shop."""
        intent = self._world.get(session["payment_intent"], "payment_intent")
        if intent is not None and intent["status"] == "requires_action":
            return RedirectResponse(f"/c/voucher/{intent['id']}", 303)
        return RedirectResponse(_success_url(session), 303)

    def _refused(self, request: Request, refusal: RefusedError, *, wants_json: bool) -> Response:
        if wants_json:
            return JSONResponse(refusal.body(), refusal.status)
        session = self._world.get(request.path_params["id"], "checkout.session")
        if session is None:
            return missing_page(request)
        return self._session_page(request, session, notice=refusal.message, status=refusal.status)

    def _session(self, request: Request) -> Object:
        session = self._world.get(request.path_params["id"], "checkout.session")
        if session is None:
            raise no_such("checkout session", request.path_params["id"])
        return session

    def _language(self, request: Request, session: Object | None) -> Language:
        return language_for(session["locale"] if session else None, request.headers.get("accept-language"))


def _summary(session: Object) -> Object:
    names = ("id", "status", "payment_status", "payment_intent", "subscription", "customer", "invoice", "amount_total")
    leads_to = _success_url(session) if session["status"] == "complete" else session["cancel_url"]
    return {**{name: session[name] for name in names}, "redirect_url": leads_to}


def _success_url(session: Object) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])
