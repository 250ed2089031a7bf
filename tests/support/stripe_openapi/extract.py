"""`python -m tests.support.stripe_openapi.extract spec3.json`: makes its extract from Stripe's OpenAPI description.

What is left: the objects that the demo Stripe makes, as JSON Schema, with ids in place of what can be expanded; and the
names of the parameters of the calls that it answers.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from local_run.demo_stripe.web.routes import ROUTES
from local_run.demo_stripe.wire.sdk_types import parameters_of
from local_run.demo_stripe.wire.shapes import CLASSES
from stripe.params._payment_intent_create_params import PaymentIntentCreateParamsPaymentMethodData

EXTRACT: Final = Path(__file__).with_name("extract.json")
_KEPT: Final = ("type", "enum", "items", "properties", "required", "anyOf", "additionalProperties")

_OTHER_METHODS: Final = set(parameters_of(PaymentIntentCreateParamsPaymentMethodData)) - {
    *("allow_redisplay", "billing_details", "boleto", "card", "metadata", "pix", "radar_options", "type")
}
"""Ways to pay that the demo does not have; they make up most of the description."""

type Schema = dict[str, Any]  # JSON Schema, of many shapes


def extract(spec: Schema) -> Schema:
    """The part of a whole `spec3.json` that concerns us."""
    schemas: Schema = spec["components"]["schemas"]
    kinds = {kind: kind for kind in CLASSES if kind in schemas} | {"invoiceitem": "invoiceitem"}
    definitions: Schema = {}
    for kind in sorted(kinds):
        _define(kind, schemas, definitions)
    calls: Schema = {}
    for route in ROUTES:
        call = _call_of(spec, route.method, route.path)
        calls[f"{route.method} {route.path}"] = None if call is None else _names_of(call)
    return {"version": spec["info"]["version"], "objects": definitions, "calls": calls}


def _define(name: str, schemas: Schema, definitions: Schema) -> None:
    if name not in definitions:
        definitions[name] = {}
        definitions[name] = _slim(schemas[name], schemas, definitions)


def _slim(schema: Schema, schemas: Schema, definitions: Schema) -> Schema:
    """Without what only explains; `nullable` as JSON Schema has it."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if "x-resourceId" in schemas[name] and name not in CLASSES:
            return {"type": "object"}
        _define(name, schemas, definitions)
        return {"$ref": f"#/objects/{name}"}
    if "x-expansionResources" in schema:
        return {"type": ["string", "null"] if schema.get("nullable") else "string"}
    slim: Schema = {name: schema[name] for name in _KEPT if name in schema}
    if "properties" in slim:
        slim["properties"] = {
            name: {"type": "object"} if name in _OTHER_METHODS else _slim(each, schemas, definitions)
            for name, each in slim["properties"].items()
        }
        slim["additionalProperties"] = False
    if isinstance(slim.get("additionalProperties"), dict):
        slim["additionalProperties"] = _slim(slim["additionalProperties"], schemas, definitions)
    if "items" in slim:
        slim["items"] = _slim(slim["items"], schemas, definitions)
    if "anyOf" in slim:
        slim["anyOf"] = [_slim(each, schemas, definitions) for each in slim["anyOf"]]
    if schema.get("nullable"):
        return {"anyOf": [slim, {"type": "null"}]}
    return slim


def _call_of(spec: Schema, method: str, path: str) -> Schema | None:
    wanted = "/v1/" + path
    for found, methods in spec["paths"].items():
        parts = ["{}" if part.startswith("{") else part for part in found.split("/")]
        if "/".join(parts) == wanted and method.lower() in methods:
            return dict(methods[method.lower()])
    return None


def _names_of(call: Schema) -> Schema:
    found: Schema = {}
    for parameter in call.get("parameters", []):
        if parameter["in"] == "query":
            found[parameter["name"]] = _nested(parameter["schema"])
    forms = call.get("requestBody", {}).get("content", {}).values()
    for form in forms:
        found |= _nested(form["schema"])
    return found


def _nested(schema: Schema) -> Schema:
    """The names below, as a tree."""
    properties = schema.get("properties", {})
    found: Schema = {name: {} if name in _OTHER_METHODS else _nested(each) for name, each in properties.items()}
    for each in schema.get("anyOf", []):
        found |= _nested(each)
    return found | (_nested(schema["items"]) if "items" in schema else {})


if __name__ == "__main__":
    spec = json.loads(Path(sys.argv[1]).read_text())
    EXTRACT.write_text(json.dumps(extract(spec), indent=None, separators=(",", ":"), sort_keys=True) + "\n")
