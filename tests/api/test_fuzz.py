"""Whatever is sent: no operation of the OpenAPI document answers with a server error, or with anything but a problem."""

import json
import random
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.api.manual import MANUAL_RUNS
from tests.api.world import World

pytestmark = pytest.mark.slow

NASTY = [
    "",
    "\x00",
    "\ud800",
    "x" * 5000,
    "..",
    "'; drop table x; --",
    "%00",
    "<script>",
    "2026-02-30",
    "NaN",
    "🦊",
    "a\r\nb",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.sampled_from(NASTY),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


ADDRESSED = ("/api/v1/database-instances/", "/api/v1/sharepoint-connections/")
"""What says where a database or a tenant is."""


def sample(schema: dict[str, Any], schemas: dict[str, Any], chance: random.Random, nasty: Any) -> Any:
    """A value that fits a schema, where `nasty` does not take its place now and then."""
    if chance.random() < 0.12:
        return nasty()
    if "$ref" in schema:
        return sample(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas, chance, nasty)
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return sample(chance.choice(schema[union]), schemas, chance, nasty)
    if "enum" in schema:
        return chance.choice(schema["enum"])
    match schema.get("type"):
        case "object":
            required = set(schema.get("required", ()))
            return {
                name: sample(member, schemas, chance, nasty)
                for name, member in schema.get("properties", {}).items()
                if name in required or chance.random() < 0.5
            }
        case "array":
            return [sample(schema.get("items", {}), schemas, chance, nasty) for _ in range(chance.randrange(3))]
        case "integer":
            return chance.choice([schema.get("minimum", 0), 1, schema.get("maximum", 7)])
        case "number":
            return 0.5
        case "boolean":
            return chance.random() < 0.5
        case "null":
            return None
        case _ if schema.get("format") == "uuid":
            return str(uuid4())
        case _:
            return "word"


def test_no_operation_answers_with_a_server_error(world: World) -> None:
    definition = world.live()
    seen = world.get(f"/sync-definitions/{definition}")
    known = {
        "definition_id": definition,
        "instance_id": seen["source_instance_id"],
        "connection_id": seen["sharepoint_connection_id"],
        "site_id": seen["site_id"],
        "field_id": seen["field_mappings"][0]["id"],
        "schema": "app",
        "table": "things",
    }
    document = world.client.get("/api/openapi.json").json()
    schemas = document["components"]["schemas"]
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path not in MANUAL_RUNS  # functions of their own, not of this app
    ]
    assert len(operations) > 35
    tried, moved = set(), []

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, len(operations) - 1), st.randoms(use_true_random=False), st.data())
    def attempt(number: int, chance: random.Random, data: st.DataObject) -> None:
        method, path, operation = operations[number]

        def nasty() -> Any:
            return data.draw(SCALARS)

        query = {}
        for parameter in operation.get("parameters", ()):
            value = known.get(parameter["name"]) if chance.random() < 0.8 else None
            value = sample(parameter["schema"], schemas, chance, nasty) if value is None else value
            text = str(value).encode(errors="replace").decode()
            if parameter["in"] == "path":
                path = path.replace(
                    "{" + parameter["name"] + "}", "".join(f"%{byte:02X}" for byte in text.encode()) or "-"
                )
            elif value is not None:
                query[parameter["name"]] = text
        content = None
        if "requestBody" in operation:
            (media,) = operation["requestBody"]["content"].values()
            content = _json(sample(media["schema"], schemas, chance, nasty))
        answer = world.client.request(
            method, path, params=query or None, content=content, headers={"content-type": "application/json"}
        )
        tried.add(operation.get("operationId"))
        # It may have moved the database or the tenant to a host that is not there: then 503 is what there is to say.
        moved.append(method == "put" and answer.is_success and path.startswith(ADDRESSED))
        away = answer.status_code == 503 and any(moved)
        assert answer.status_code < 500 or away, (method, path, query, content, answer.text)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json", answer.text

    attempt()
    assert len(tried) > 25


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode()
