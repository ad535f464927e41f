"""The control API's edges: problem documents, the page, and documents that refuse what they do not know."""

import ast
import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from functions.api import schemas
from functions.api.app import create_app
from functions.api.deps import caller
from functions.api.docs import page
from functions.api.problems import MEDIA_TYPE, problem, status_of
from shared.core import errors
from shared.core.errors import SyncError

SECRET = "hunter2-s3cr3t"
EVERY = [
    kind
    for name in dir(errors)
    if isinstance(kind := getattr(errors, name), type) and issubclass(kind, SyncError) and kind is not SyncError
]
DOCUMENTS = [
    kind
    for name in dir(schemas)
    if isinstance(kind := getattr(schemas, name), type)
    and issubclass(kind, schemas.Document)
    and kind is not schemas.Document
]


class Stores:
    """An engine whose every use fails in the same way."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str):
        raise self.error


def ask(method: str, path: str, *, error: Exception | None = None, **more: Any) -> httpx.Response:
    """One call of the app as it is served; an engine that is asked raises `error`."""
    app = create_app(lambda: Stores(error or AssertionError("asked")))

    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:
            return await http.request(method, path, **more)

    return asyncio.run(call())


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_has_a_status_and_a_problem_document(kind):
    status, body = problem(kind("in words"))
    assert status == status_of(kind("in words"))
    assert 400 <= status < 600
    assert (body["status"], body["code"]) == (status, kind.code)
    assert body["type"] == f"urn:syncbridge:problem:{kind.code}"
    assert json.loads(json.dumps(body)) == body


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("x"), 404),
        (errors.Conflicting("x"), 409),
        (errors.PermissionMissing("x"), 422),
        (errors.ConfigurationError("x"), 422),
        (errors.ConfigurationError("x", code="invalid_request"), 400),
        (errors.Throttled("x"), 429),
        (errors.MetastoreUnavailable("x"), 503),
        (errors.ListGone("x"), 409),
        (errors.InvariantViolated("x"), 500),
        (errors.Doubt("x"), 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, SyncError) else str(value),
)
def test_what_the_caller_can_do_decides_the_status(error, status):
    assert status_of(error) == status


def test_a_problem_lists_all_problems_its_remedy_and_when_to_come_back():
    assert problem(errors.ConfigurationError("a", problems=("a", "b")))[1]["problems"] == ["a", "b"]
    assert "problems" not in problem(errors.ConfigurationError("a"))[1]
    assert problem(errors.PermissionMissing("a", remedy="grant select"))[1]["remedy"] == "grant select"
    assert problem(errors.Throttled("a", retry_after=2.5))[1]["retry_after"] == 2.5


def test_what_went_wrong_inside_stays_inside():
    assert problem(errors.InvariantViolated(f"found {SECRET}"))[1]["detail"] == "an internal error; see the log"
    assert problem(errors.MetastoreUnavailable("the metastore is away"))[1]["detail"] == "the metastore is away"


def test_an_error_of_the_engine_is_answered_as_a_problem_with_its_media_type():
    answer = ask("GET", "/api/v1/holds", error=errors.Throttled("wait a little", retry_after=4.2))
    assert (answer.status_code, answer.headers["content-type"]) == (429, MEDIA_TYPE)
    assert (answer.headers["retry-after"], answer.json()["code"]) == ("5", "throttled")


def test_a_path_that_is_not_there_is_a_problem_too():
    answer = ask("GET", "/api/v1/nothing")
    assert (answer.status_code, answer.headers["content-type"], answer.json()["status"]) == (404, MEDIA_TYPE, 404)


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_every_document_refuses_members_that_it_does_not_know(kind):
    with pytest.raises(ValidationError) as caught:
        kind.model_validate({"no_such_member": 1})
    assert ("no_such_member",) in [
        found["loc"] for found in caught.value.errors() if found["type"] == "extra_forbidden"
    ]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/api/v1/database-instances", {"name": "x", "secret": {"value": SECRET, "more": SECRET}}, "secret.more"),
        ("/api/v1/database-instances", {"password": SECRET}, "password"),
        ("/api/v1/database-instances", {"secret": {"value": SECRET, "reference": "env:A"}}, "secret"),
        ("/api/v1/database-instances", {"secret": {"reference": SECRET}}, "secret.reference"),
        ("/api/v1/database-instances", {"secret": SECRET}, "secret"),
        ("/api/v1/sharepoint-connections", {"client_secret": SECRET}, "client_secret"),
        ("/api/v1/sharepoint-connections", {"auth_method": SECRET}, "auth_method"),
    ],
    ids=str,
)
def test_a_request_that_is_refused_names_its_members_and_never_shows_what_was_sent(path, body, named):
    answer = ask("POST", path, json=body)
    assert (answer.status_code, answer.headers["content-type"], answer.json()["code"]) == (
        422,
        MEDIA_TYPE,
        "invalid_request",
    )
    assert any(problem.startswith(f"body.{named}: ") for problem in answer.json()["problems"])
    assert SECRET not in answer.text


def test_a_body_that_is_no_json_is_refused_without_showing_it():
    answer = ask(
        "POST",
        "/api/v1/database-instances",
        content=f'{{"secret": "{SECRET}',
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 422
    assert SECRET not in answer.text


def test_a_secret_in_a_document_is_not_in_its_text():
    document = schemas.SecretIn(value=SECRET)
    assert SECRET not in repr(document)
    assert SECRET not in document.model_dump_json()


def test_no_answer_has_a_member_for_a_secret_itself():
    document = create_app(lambda: pytest.fail("the document asks no engine")).openapi()
    for name in ("InstanceOut", "ConnectionOut"):
        secret = document["components"]["schemas"][name]["properties"]["secret"]
        assert secret["anyOf"] == [{"type": "string"}, {"type": "null"}]


HOSTILE = "<script>alert(1)</script>\"'&"


def test_the_page_escapes_everything_that_comes_from_the_document():
    document = {
        "info": {"title": HOSTILE, "version": HOSTILE, "description": HOSTILE},
        "paths": {
            f"/{HOSTILE}": {
                "get": {
                    "tags": [HOSTILE],
                    "description": HOSTILE,
                    "parameters": [
                        {"name": HOSTILE, "in": HOSTILE, "schema": {"enum": [HOSTILE]}, "description": HOSTILE}
                    ],
                    "requestBody": {"content": {"x": {"schema": {"$ref": "#/components/schemas/A"}}}},
                }
            }
        },
        "components": {
            "schemas": {
                "A": {"properties": {HOSTILE: {"type": HOSTILE, "description": HOSTILE}}, "required": [HOSTILE]}
            }
        },
    }
    text = page(document)
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 10
    assert HOSTILE not in text


def test_the_page_shows_every_call_and_needs_nothing_from_elsewhere():
    app = create_app(lambda: pytest.fail("the page asks no engine"))
    answer = ask("GET", "/api/docs")
    assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    for path in app.openapi()["paths"]:
        assert path in answer.text
    assert "<script" not in answer.text
    assert "src=" not in answer.text


@pytest.mark.parametrize("enabled", ["", "false", "0"])
def test_names_in_headers_are_not_believed_without_the_platform_s_sign_in(monkeypatch, enabled):
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", enabled)
    assert caller("e30=", "mallory") == "function key"


def test_with_the_platform_s_sign_in_the_audit_knows_the_caller(monkeypatch):
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    assert caller(None, "megan") == "megan"
    assert caller("not base64", None) == "signed-in caller"
    assert caller(None, None) == "signed-in caller"


def test_orchestrations_reach_activities_by_names_that_exist():
    named = {
        node.attr
        for node in ast.walk(ast.parse(Path("functions/orchestrators.py").read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "names"
    }
    from functions import names
    from functions.app import build

    indexed = {function.get_function_name() for function in build().get_functions()}
    for name in named:
        value = getattr(names, name)
        assert not isinstance(value, str) or value in indexed
