"""Whatever the API refuses is a problem with a status and a code of its own, and says when to come again."""

import httpx
import pytest
from billing.application.errors import BillingError
from billing.application.redeeming import VoucherRefusedError
from billing.domain.vouchers import VoucherRefusal
from billing.http.problems import answer_errors
from fastapi import FastAPI

REFUSALS = [
    *(kind.__new__(kind) for kind in sorted(BillingError.__subclasses__(), key=str)),
    *(VoucherRefusedError(refusal) for refusal in VoucherRefusal),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=repr)
async def test_every_refusal_is_a_problem_that_programs_can_tell_apart(refusal: Exception) -> None:
    api = FastAPI()
    answer_errors(api)

    @api.get("/")
    async def refuse() -> None:
        raise refusal

    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://billing") as http:
        answer = await http.get("/")
    assert answer.headers["content-type"] == "application/problem+json"
    assert 400 <= answer.status_code < 600
    assert answer.json()["status"] == answer.status_code
    assert answer.json()["code"] not in {"", "internal_error", "http_error"}
    assert ("retry-after" in answer.headers) == (answer.status_code in {429, 503})
