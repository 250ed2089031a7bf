"""How the demo Stripe reads forms, pages lists, expands, rounds, and counts months."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_run.demo_stripe.objects.periods import period_end, unused_minor
from local_run.demo_stripe.objects.promotions import discount_minor
from local_run.demo_stripe.wire.errors import RefusedError
from local_run.demo_stripe.wire.expansion import expand
from local_run.demo_stripe.wire.lists import page_of
from local_run.demo_stripe.wire.parameters import decode_form, read_parameters
from local_run.demo_stripe.wire.shapes import CLASSES, make, problems_of
from stripe.params import CustomerCreateParams, CustomerListParams, EventListParams
from stripe.params.checkout import SessionCreateParams


def test_a_form_is_read_by_the_sdk_s_types() -> None:
    form = decode_form(
        b"mode=payment&allow_promotion_codes=true&expires_at=123&metadata[order]=o%201&expand[]=a&expand[]=b"
        b"&line_items[0][price_data][currency]=brl&line_items[0][price_data][unit_amount]=7490&line_items[0][quantity]=2"
    )
    assert read_parameters(SessionCreateParams, form) == {
        "mode": "payment",
        "allow_promotion_codes": True,
        "expires_at": 123,
        "metadata": {"order": "o 1"},
        "expand": ["a", "b"],
        "line_items": [{"price_data": {"currency": "brl", "unit_amount": 7490}, "quantity": 2}],
    }


@pytest.mark.parametrize(
    ("parameters", "form", "message", "param"),
    [
        (SessionCreateParams, b"nonsense=1", "Received unknown parameter: nonsense", "nonsense"),
        (SessionCreateParams, b"mode=gift", "Invalid mode: must be one of payment, setup, subscription", "mode"),
        (SessionCreateParams, b"mode[a]=1", "Invalid string", "mode"),
        (SessionCreateParams, b"line_items=1", "Invalid array", "line_items"),
        (SessionCreateParams, b"line_items[1][quantity]=1", "Invalid array", "line_items"),
        (SessionCreateParams, b"line_items[0][quantity]=1.5", "Invalid integer: 1.5", "line_items[0][quantity]"),
        (SessionCreateParams, b"expires_at=9999999999999999", "Invalid integer", "expires_at"),
        (SessionCreateParams, b"allow_promotion_codes=yes", "Invalid boolean: yes", "allow_promotion_codes"),
        (CustomerCreateParams, b"metadata[a]=" + b"x" * 501, "Invalid metadata", "metadata[a]"),
        (CustomerCreateParams, b"name=" + b"x" * 5_001, "too long", "name"),
        (CustomerCreateParams, b"api_key=sk_live", "Received unknown parameter: api_key", "api_key"),
        (CustomerListParams, b"created[since]=1", "unknown parameter: created[since]", "created[since]"),
        (EventListParams, b"limit=x", "Invalid integer: x", "limit"),
    ],
)
def test_what_the_types_do_not_allow_is_named(parameters: type, form: bytes, message: str, param: str) -> None:
    with pytest.raises(RefusedError) as raised:
        read_parameters(parameters, decode_form(form))
    assert message in raised.value.message
    assert (raised.value.param, raised.value.status) == (param, 400)


@given(st.binary(max_size=400))
def test_no_body_does_more_than_to_be_refused(body: bytes) -> None:
    try:
        read_parameters(SessionCreateParams, decode_form(body))
    except RefusedError as refusal:
        assert 400 <= refusal.status < 500


@given(st.recursive(st.text("ab0[]=&%", max_size=5), lambda inner: st.lists(inner, max_size=4), max_leaves=12))
def test_no_nesting_does_more_than_to_be_refused(nested: Any) -> None:
    body = str(nested).replace("'", "").replace(", ", "&").encode()
    try:
        decode_form(body)
    except RefusedError as refusal:
        assert refusal.status == 400


def test_an_object_is_as_the_sdk_s_class_or_is_not_made() -> None:
    refund = make("refund", id="re_1", amount=1, created=1, currency="brl")
    assert problems_of(refund) == []
    assert "refund.amount is missing" in problems_of({name: at for name, at in refund.items() if name != "amount"})
    assert problems_of({**refund, "colour": "red"}) == ["refund.colour is unknown"]
    assert problems_of({**refund, "amount": "1"}) == ["refund.amount is str"]
    assert problems_of({**refund, "reason": "boredom"}) == ["refund.reason says 'boredom', which the SDK does not know"]
    with pytest.raises(TypeError, match="is missing"):
        make("refund", id="re_1")


@pytest.mark.parametrize("kind", CLASSES)
def test_every_kind_lacks_something_when_nothing_is_given(kind: str) -> None:
    with pytest.raises((TypeError, KeyError)):
        make(kind)


def test_a_page_begins_behind_the_cursor_and_says_whether_more_follows() -> None:
    things = [{"id": f"x_{number}", "object": "x", "created": number} for number in range(5)][::-1]
    page = page_of(things, "/x", {"limit": 2, "starting_after": "x_3"})
    assert ([each["id"] for each in page["data"]], page["has_more"]) == (["x_2", "x_1"], True)
    back = page_of(things, "/x", {"limit": 2, "ending_before": "x_1"})
    assert ([each["id"] for each in back["data"]], back["has_more"]) == (["x_3", "x_2"], True)
    between = page_of(things, "/x", {"created": {"gte": 1, "lt": 3}})
    assert [each["id"] for each in between["data"]] == ["x_2", "x_1"]
    with pytest.raises(RefusedError):
        page_of(things, "/x", {"starting_after": "x_9"})
    with pytest.raises(RefusedError):
        page_of(things, "/x", {"limit": 101})


def test_expansion_puts_objects_in_place_of_ids_and_changes_nothing_that_is_kept() -> None:
    known = {
        "ch_1": {"id": "ch_1", "object": "charge", "customer": "cus_1"},
        "cus_1": {"id": "cus_1", "object": "customer"},
    }
    intent = {"id": "pi_1", "object": "payment_intent", "latest_charge": "ch_1", "review": None}
    listed = {"object": "list", "data": [intent]}
    expanded = expand(listed, ["data.latest_charge.customer", "data.review"], known.get, {})
    assert expanded["data"][0]["latest_charge"]["customer"] == known["cus_1"]
    assert intent["latest_charge"] == "ch_1"
    assert known["ch_1"]["customer"] == "cus_1"
    for path in ("nonsense", "latest_charge.customer.id", "a.b.c.d.e"):
        with pytest.raises(RefusedError):
            expand(intent, [path], known.get, {})


@pytest.mark.parametrize(
    ("start", "anchor", "end"),
    [
        ("2027-01-31", "2027-01-31", "2027-02-28"),
        ("2027-02-28", "2027-01-31", "2027-03-31"),
        ("2028-01-30", "2028-01-30", "2028-02-29"),
        ("2027-12-15", "2027-11-15", "2028-01-15"),
    ],
)
def test_a_month_ends_on_the_anchor_s_day_or_the_last_of_a_shorter_one(start: str, anchor: str, end: str) -> None:
    assert period_end(_at(start), _at(anchor), "month", 1) == _at(end)


def test_a_year_and_a_week_are_counted_as_such() -> None:
    assert period_end(_at("2028-02-29"), _at("2028-02-29"), "year", 1) == _at("2029-02-28")
    assert period_end(_at("2027-01-01"), _at("2027-01-01"), "week", 2) == _at("2027-01-15")


@given(st.integers(0, 10**8), st.integers(1, 10**7), st.integers(-100, 10**7 + 100))
def test_the_rest_of_a_period_is_worth_between_nothing_and_all(amount: int, length: int, elapsed: int) -> None:
    worth = unused_minor(amount, 0, length, elapsed)
    assert 0 <= worth <= amount
    assert abs(worth * length - amount * min(max(length - elapsed, 0), length)) * 2 <= length


@pytest.mark.parametrize(
    ("coupon", "amount", "off"),
    [
        ({"percent_off": 100.0, "amount_off": None, "currency": None}, 7_490, 7_490),
        ({"percent_off": 33.33, "amount_off": None, "currency": None}, 100, 33),
        ({"percent_off": 50.0, "amount_off": None, "currency": None}, 1, 1),
        ({"percent_off": None, "amount_off": 500, "currency": "brl"}, 300, 300),
        ({"percent_off": None, "amount_off": 500, "currency": "usd"}, 7_490, 0),
    ],
)
def test_a_coupon_takes_off_no_more_than_there_is(coupon: dict[str, Any], amount: int, off: int) -> None:
    assert discount_minor(coupon, amount, "brl") == off


def _at(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
