"""Stripe's API as far as the demo goes: each path with the SDK's type of its parameters and what answers."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import stripe.params as p
from stripe.params import billing_portal, checkout, radar

from local_run.demo_stripe.objects import (
    catalog,
    customers,
    disputes,
    endpoints,
    intent_requests,
    invoice_requests,
    portal,
    promotions,
    refunds,
    sessions,
    subscribing,
    subscription_requests,
)
from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.world.world import World

type Handler = Callable[[World, list[str], dict[str, Any]], Object]
"""Gets the ids of the path and the parameters as read (Any: of many types); answers with Stripe's object."""


@dataclass(frozen=True, slots=True)
class Route:
    """One call of the API; `{}` in `path` is an id."""

    method: str
    path: str
    parameters: type
    handler: Handler

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile("/v1/" + self.path.replace("{}", "([^/]{1,255})"))


_PORTAL: Final = "billing_portal/configurations"
ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "account", p.AccountRetrieveCurrentParams, endpoints.retrieve_account),
    Route("POST", "customers", p.CustomerCreateParams, customers.create_customer),
    Route("GET", "customers", p.CustomerListParams, customers.list_customers),
    Route("GET", "customers/{}", p.CustomerRetrieveParams, customers.retrieve_customer),
    Route("POST", "customers/{}", p.CustomerUpdateParams, customers.update_customer),
    Route("DELETE", "customers/{}", p.CustomerDeleteParams, customers.delete_customer),
    Route("GET", "customers/{}/payment_methods", p.CustomerPaymentMethodListParams, customers.list_methods),
    Route("GET", "customers/{}/payment_methods/{}", p.CustomerPaymentMethodRetrieveParams, customers.retrieve_method),
    Route("GET", "payment_methods", p.PaymentMethodListParams, customers.list_methods),
    Route("GET", "payment_methods/{}", p.PaymentMethodRetrieveParams, customers.retrieve_method),
    Route("POST", "payment_methods/{}/attach", p.PaymentMethodAttachParams, customers.attach_method),
    Route("POST", "payment_methods/{}/detach", p.PaymentMethodDetachParams, customers.detach_method),
    Route("POST", "products", p.ProductCreateParams, catalog.create_product),
    Route("GET", "products", p.ProductListParams, catalog.list_products),
    Route("GET", "products/{}", p.ProductRetrieveParams, catalog.retrieve_product),
    Route("POST", "products/{}", p.ProductUpdateParams, catalog.update_product),
    Route("POST", "prices", p.PriceCreateParams, catalog.create_price),
    Route("GET", "prices", p.PriceListParams, catalog.list_prices),
    Route("GET", "prices/{}", p.PriceRetrieveParams, catalog.retrieve_price),
    Route("POST", "prices/{}", p.PriceUpdateParams, catalog.update_price),
    Route("POST", "coupons", p.CouponCreateParams, promotions.create_coupon),
    Route("GET", "coupons", p.CouponListParams, promotions.list_coupons),
    Route("GET", "coupons/{}", p.CouponRetrieveParams, promotions.retrieve_coupon),
    Route("DELETE", "coupons/{}", p.CouponDeleteParams, promotions.delete_coupon),
    Route("POST", "promotion_codes", p.PromotionCodeCreateParams, promotions.create_code),
    Route("GET", "promotion_codes", p.PromotionCodeListParams, promotions.list_codes),
    Route("GET", "promotion_codes/{}", p.PromotionCodeRetrieveParams, promotions.retrieve_code),
    Route("POST", "promotion_codes/{}", p.PromotionCodeUpdateParams, promotions.update_code),
    Route("POST", "checkout/sessions", checkout.SessionCreateParams, sessions.create_session),
    Route("GET", "checkout/sessions", checkout.SessionListParams, sessions.list_sessions),
    Route("GET", "checkout/sessions/{}", checkout.SessionRetrieveParams, sessions.retrieve_session),
    Route("POST", "checkout/sessions/{}", checkout.SessionUpdateParams, sessions.update_session),
    Route("POST", "checkout/sessions/{}/expire", checkout.SessionExpireParams, sessions.request_expiry),
    Route("GET", "checkout/sessions/{}/line_items", checkout.SessionLineItemListParams, sessions.list_lines),
    Route("POST", "payment_intents", p.PaymentIntentCreateParams, intent_requests.create_intent),
    Route("GET", "payment_intents", p.PaymentIntentListParams, intent_requests.list_intents),
    Route("GET", "payment_intents/{}", p.PaymentIntentRetrieveParams, intent_requests.retrieve_intent),
    Route("POST", "payment_intents/{}", p.PaymentIntentUpdateParams, intent_requests.update_intent),
    Route("POST", "payment_intents/{}/confirm", p.PaymentIntentConfirmParams, intent_requests.confirm_intent),
    Route("POST", "payment_intents/{}/cancel", p.PaymentIntentCancelParams, intent_requests.request_cancel),
    Route("GET", "charges", p.ChargeListParams, intent_requests.list_charges),
    Route("GET", "charges/{}", p.ChargeRetrieveParams, intent_requests.retrieve_charge),
    Route("POST", "refunds", p.RefundCreateParams, refunds.create_refund),
    Route("GET", "refunds", p.RefundListParams, refunds.list_refunds),
    Route("GET", "refunds/{}", p.RefundRetrieveParams, refunds.retrieve_refund),
    Route("POST", "refunds/{}", p.RefundUpdateParams, refunds.update_refund),
    Route("POST", "refunds/{}/cancel", p.RefundCancelParams, refunds.cancel_refund),
    Route("GET", "disputes", p.DisputeListParams, disputes.list_disputes),
    Route("GET", "disputes/{}", p.DisputeRetrieveParams, disputes.retrieve_dispute),
    Route("POST", "disputes/{}", p.DisputeUpdateParams, disputes.update_dispute),
    Route("POST", "disputes/{}/close", p.DisputeCloseParams, disputes.close_dispute),
    Route("GET", "radar/early_fraud_warnings", radar.EarlyFraudWarningListParams, disputes.list_warnings),
    Route("GET", "radar/early_fraud_warnings/{}", radar.EarlyFraudWarningRetrieveParams, disputes.retrieve_warning),
    Route("GET", "setup_intents/{}", p.SetupIntentRetrieveParams, subscribing.retrieve_setup_intent),
    Route("POST", "subscriptions", p.SubscriptionCreateParams, subscription_requests.create_subscription),
    Route("GET", "subscriptions", p.SubscriptionListParams, subscription_requests.list_subscriptions),
    Route("GET", "subscriptions/{}", p.SubscriptionRetrieveParams, subscription_requests.retrieve_subscription),
    Route("POST", "subscriptions/{}", p.SubscriptionUpdateParams, subscription_requests.update_subscription),
    Route("DELETE", "subscriptions/{}", p.SubscriptionCancelParams, subscription_requests.cancel),
    Route("GET", "subscription_items", p.SubscriptionItemListParams, subscription_requests.list_items),
    Route("GET", "subscription_items/{}", p.SubscriptionItemRetrieveParams, subscription_requests.retrieve_item),
    Route("POST", "subscription_items/{}", p.SubscriptionItemUpdateParams, subscription_requests.update_item),
    Route("POST", "invoiceitems", p.InvoiceItemCreateParams, invoice_requests.create_item),
    Route("POST", "invoices", p.InvoiceCreateParams, invoice_requests.create_invoice),
    Route("GET", "invoices", p.InvoiceListParams, invoice_requests.list_invoices),
    Route("GET", "invoices/{}", p.InvoiceRetrieveParams, invoice_requests.retrieve_invoice),
    Route("DELETE", "invoices/{}", p.InvoiceDeleteParams, invoice_requests.delete_invoice),
    Route("POST", "invoices/{}/finalize", p.InvoiceFinalizeInvoiceParams, invoice_requests.finalise_invoice),
    Route("POST", "invoices/{}/pay", p.InvoicePayParams, invoice_requests.pay_invoice),
    Route("POST", "invoices/{}/void", p.InvoiceVoidInvoiceParams, invoice_requests.void_invoice),
    Route("GET", "invoice_payments", p.InvoicePaymentListParams, invoice_requests.list_payments),
    Route("GET", "invoice_payments/{}", p.InvoicePaymentRetrieveParams, invoice_requests.retrieve_payment),
    Route("POST", "billing_portal/sessions", billing_portal.SessionCreateParams, portal.create_session),
    Route("POST", _PORTAL, billing_portal.ConfigurationCreateParams, portal.create_configuration),
    Route("GET", _PORTAL, billing_portal.ConfigurationListParams, portal.list_configurations),
    Route("GET", f"{_PORTAL}/{{}}", billing_portal.ConfigurationRetrieveParams, portal.retrieve_configuration),
    Route("POST", f"{_PORTAL}/{{}}", billing_portal.ConfigurationUpdateParams, portal.update_configuration),
    Route("POST", "webhook_endpoints", p.WebhookEndpointCreateParams, endpoints.create_endpoint),
    Route("GET", "webhook_endpoints", p.WebhookEndpointListParams, endpoints.list_endpoints),
    Route("GET", "webhook_endpoints/{}", p.WebhookEndpointRetrieveParams, endpoints.retrieve_endpoint),
    Route("POST", "webhook_endpoints/{}", p.WebhookEndpointUpdateParams, endpoints.update_endpoint),
    Route("DELETE", "webhook_endpoints/{}", p.WebhookEndpointDeleteParams, endpoints.delete_endpoint),
    Route("GET", "events", p.EventListParams, endpoints.list_events),
    Route("GET", "events/{}", p.EventRetrieveParams, endpoints.retrieve_event),
)
_COMPILED: Final = tuple((route, route.pattern) for route in ROUTES)


def route_of(method: str, path: str) -> tuple[Route, list[str]] | None:
    """The route that a request takes, with the ids of its path."""
    for route, pattern in _COMPILED:
        if route.method == method and (matched := pattern.fullmatch(path)) is not None:
            return route, list(matched.groups())
    return None
