"""What an order is asked for: its state, by whoever has its id, which nobody guesses."""

from typing import Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.domain.orders import Order
from billing.http.problems import ProblemError
from billing.store.orders import load_order

_NOT_KEPT: Final = {"cache-control": "no-store"}


def order_routes(engine: AsyncEngine) -> APIRouter:
    """`GET /billing/orders/{id}`."""
    router = APIRouter()

    @router.get("/billing/orders/{order_id}")
    async def show_order(order_id: str) -> JSONResponse:
        order = await load_order(engine, order_id) if len(order_id) <= 64 else None
        if order is None:
            raise ProblemError(404, "unknown_order", "There is no such order.")
        return JSONResponse(order_view(order), headers=_NOT_KEPT)

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
