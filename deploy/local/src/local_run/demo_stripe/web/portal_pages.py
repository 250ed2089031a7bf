"""The billing portal's page, an invoice's and a receipt's."""

from typing import Any

from language.choice import Language
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_run.demo_stripe.objects.customers import new_method
from local_run.demo_stripe.objects.invoice_requests import pay_with
from local_run.demo_stripe.objects.portal import do_on_portal, prices_offered
from local_run.demo_stripe.objects.subscriptions import LIVING, name_of, period_of
from local_run.demo_stripe.web.fields import Told, fields_of_request
from local_run.demo_stripe.web.rendering import missing_page, page
from local_run.demo_stripe.web.words import WORDS, language_for
from local_run.demo_stripe.wire.errors import RefusedError
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.world.world import World

_INVOICES_SHOWN = 24


class PortalPages:
    """A program that posts JSON gets JSON: `{"do": "cancel|resume", "subscription": …}`, `{"change": price, …}`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        return [
            Route("/p/session/{id}", self._show),
            Route("/p/session/{id}", self._do, methods=["POST"]),
            Route("/i/{id}", self._show_invoice),
            Route("/i/{id}", self._pay_invoice, methods=["POST"]),
            Route("/receipts/{id}", self._show_receipt),
        ]

    async def _show(self, request: Request) -> Response:
        session = self._world.get(request.path_params["id"], "billing_portal.session")
        return missing_page(request) if session is None else self._portal_page(request, session)

    async def _do(self, request: Request) -> Response:
        session = self._world.get(request.path_params["id"], "billing_portal.session")
        if session is None:
            return missing_page(request)
        told: Told = {}
        wants_json = False
        try:
            told, wants_json = await fields_of_request(request)
            deed = "change" if "change" in told else str(told.get("do"))
            do_on_portal(self._world, session, deed, str(told.get("subscription")), told.get("change"))
        except RefusedError as refusal:
            if wants_json:
                return JSONResponse(refusal.body(), refusal.status)
            return self._portal_page(request, session, notice=refusal.message, status=refusal.status)
        finally:
            self._world.commit()
        if wants_json:
            return JSONResponse(self._world.find("subscription", str(told["subscription"])))
        return self._portal_page(request, session, notice=WORDS[self._language(request, session)]["done"], good=True)

    def _portal_page(
        self, request: Request, session: Object, *, notice: str | None = None, good: bool = False, status: int = 200
    ) -> Response:
        world = self._world
        features = world.find("billing_portal.configuration", session["configuration"])["features"]
        own = [each for each in world.all_of("subscription") if each["customer"] == session["customer"]]
        invoices = [each for each in world.all_of("invoice") if each["customer"] == session["customer"]]
        return page(
            "portal.html.j2",
            self._language(request, session),
            status=status,
            session=session,
            subscriptions=[self._shown(session, each) for each in own if each["status"] in LIVING],
            invoices=[each for each in invoices if each["number"]][:_INVOICES_SHOWN],
            at_once=features["subscription_cancel"]["mode"] == "immediately",
            notice=notice,
            good=good,
        )

    def _shown(self, session: Object, subscription: Object) -> dict[str, Any]:
        item = subscription["items"]["data"][0]
        return {
            "id": subscription["id"],
            "name": name_of(self._world, item),
            "amount": item["price"]["unit_amount"] * item["quantity"],
            "currency": subscription["currency"],
            "interval": item["price"]["recurring"]["interval"],
            "late": subscription["status"] in ("past_due", "unpaid"),
            "leaving": subscription["cancel_at_period_end"],
            "ends": period_of(subscription)[1],
            "offered": [
                {
                    "id": price["id"],
                    "name": name_of(self._world, {"price": price}),
                    "amount": price["unit_amount"],
                    "interval": price["recurring"]["interval"],
                }
                for price in prices_offered(self._world, session, subscription)
            ],
        }

    # --- documents ---

    async def _show_invoice(self, request: Request) -> Response:
        invoice = self._world.get(request.path_params["id"], "invoice")
        return missing_page(request) if invoice is None else self._invoice_page(request, invoice)

    async def _pay_invoice(self, request: Request) -> Response:
        invoice = self._world.get(request.path_params["id"], "invoice")
        if invoice is None:
            return missing_page(request)
        wants_json = False
        try:
            told, wants_json = await fields_of_request(request)
            method = new_method(self._world, "card", email=invoice["customer_email"], name=invoice["customer_name"])
            pay_with(self._world, invoice, method, "declined" if told.get("outcome") == "declined" else None)
        except RefusedError as refusal:
            if wants_json:
                return JSONResponse(refusal.body(), refusal.status)
            return self._invoice_page(request, invoice, notice=refusal.message, status=refusal.status)
        finally:
            self._world.commit()
        return JSONResponse(invoice) if wants_json else self._invoice_page(request, invoice)

    def _invoice_page(
        self, request: Request, invoice: Object, *, notice: str | None = None, status: int = 200
    ) -> Response:
        language = self._language(request, None)
        words = WORDS[language]
        return page(
            "document.html.j2",
            language,
            status=status,
            heading=words["invoice"],
            number=invoice["number"],
            total=invoice["total"],
            currency=invoice["currency"],
            state=words[invoice["status"]],
            at=invoice["status_transitions"]["paid_at"],
            lines=[{"text": line["description"], "amount": line["amount"]} for line in invoice["lines"]["data"]],
            refunded=0,
            payable=invoice["status"] == "open",
            notice=notice,
        )

    async def _show_receipt(self, request: Request) -> Response:
        charge = self._world.get(request.path_params["id"], "charge")
        if charge is None or not charge["paid"]:
            return missing_page(request)
        language = self._language(request, None)
        words = WORDS[language]
        return page(
            "document.html.j2",
            language,
            heading=words["receipt"],
            number=charge["receipt_number"],
            total=charge["amount"],
            currency=charge["currency"],
            state=words["paid_on"],
            at=charge["created"],
            lines=[{"text": charge["description"] or "Solaris", "amount": charge["amount"]}],
            refunded=charge["amount_refunded"],
            payable=False,
            notice=None,
        )

    def _language(self, request: Request, session: Object | None) -> Language:
        return language_for(session["locale"] if session else None, request.headers.get("accept-language"))
