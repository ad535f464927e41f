"""The control API as a FastAPI application: made by a factory, so that functions, tests and tools serve the same one."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from functions.api.edge import Edge
from functions.api.manual import MANUAL_RUNS
from functions.api.problems import MEDIA_TYPE, problem
from functions.api.routes import connections, databases, definitions, operations, runs, slots, system
from shared import __version__
from shared.core.errors import SyncError
from shared.engine import Engine

DESCRIPTION = """Keeps PostgreSQL tables and SharePoint lists equal.

Errors are problem documents (RFC 9457) with a stable `code`. Secrets go in and never come out. Starting a run
(`POST /api/v1/ops/sync/{id}`, `POST /api/v1/ops/ingress/{id}`) is a function of its own and answers 202."""


def create_app(engine: Callable[[], Engine]) -> FastAPI:
    """`engine` is asked at each request: the app starts before the metastore can be reached."""
    app = FastAPI(
        title="Arcore SyncBridge",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.engine = engine
    app.add_middleware(Edge)
    for module in (databases, connections, definitions, operations, runs, slots):
        app.include_router(module.router, prefix="/api/v1")
    app.include_router(definitions.fields_router, prefix="/api/v1")
    app.include_router(system.router, prefix="/api")

    describe_app = app.openapi

    def openapi() -> dict[str, Any]:
        """FastAPI's document, and the operations that are functions of their own."""
        document = describe_app()
        document["paths"].update(MANUAL_RUNS)
        return document

    setattr(app, "openapi", openapi)  # noqa: B010  FastAPI's documented way to extend it; an assignment is no method to mypy

    @app.exception_handler(SyncError)
    def sync_error(_: Request, error: SyncError) -> JSONResponse:
        status, body = problem(error)
        headers = {"Retry-After": str(int(body["retry_after"]) + 1)} if "retry_after" in body else None
        return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        # Names and reasons only: what was sent may be a secret.
        problems = [f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}" for found in error.errors()]
        body = {
            "type": "urn:syncbridge:problem:invalid_request",
            "title": "invalid request",
            "status": 422,
            "code": "invalid_request",
            "detail": problems[0],
            "problems": problems,
        }
        return JSONResponse(body, status_code=422, media_type=MEDIA_TYPE)

    @app.exception_handler(HTTPException)
    def http_error(_: Request, error: HTTPException) -> JSONResponse:
        body = {
            "type": "about:blank",
            "title": str(error.detail),
            "status": error.status_code,
            "code": "http_error",
            "detail": str(error.detail),
        }
        return JSONResponse(body, status_code=error.status_code, media_type=MEDIA_TYPE)

    return app
