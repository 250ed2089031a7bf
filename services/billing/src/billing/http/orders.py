"""What an order is asked for: its state, by whoever has its id, which nobody guesses."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from billing.application.looking import OrderLooks
from billing.domain.orders import Order
from billing.http.callers import Callers
from billing.http.fields import NOT_KEPT


def order_routes(looks: OrderLooks, callers: Callers) -> APIRouter:
    """`GET /billing/orders/{id}`: an order that may still be paid is looked at anew; a service is told its receipt."""
    router = APIRouter()

    @router.get("/billing/orders/{order_id}")
    async def show_order(order_id: str, request: Request) -> JSONResponse:
        # Whoever has a shared link may know the id of an order that somebody else pays.
        tells_receipt = callers.is_service(request)
        order = await looks.visit(order_id)
        receipt = {"receipt_url": order.receipt_url} if tells_receipt else {}
        return JSONResponse(order_view(order) | receipt, headers=NOT_KEPT)

    return router


def order_view(order: Order) -> dict[str, object]:
    """What whoever knows an order's id may know of it: nothing about the person."""
    return {
        "order_id": order.id,
        "state": order.state.value,
        "tokens": order.tokens,
        "amount_minor": order.amount_minor,
        "currency": order.currency,
        "revoked_tokens": order.revoked_tokens,
    }
