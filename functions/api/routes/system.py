"""Health, and the page that shows the API."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from functions.api.deps import TheEngine
from functions.api.docs import page

router = APIRouter()


@router.get("/health", tags=["health"])
def health(engine: TheEngine) -> JSONResponse:
    """200 when the metastore answers with this release's schema, else 503 with what is wrong."""
    found: dict[str, Any] = engine.health()
    return JSONResponse(found, status_code=200 if found["status"] == "ok" else 503)


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    return HTMLResponse(
        page(request.app.openapi()),
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )
