"""The control API inside the Functions app: everything that no other function answers."""

import azure.functions as func

from functions import names
from functions.api.app import create_app
from functions.container import engine

blueprint = func.Blueprint()
_bridge = func.AsgiMiddleware(create_app(engine))


@blueprint.route(route="api/v1/{*route}", methods=["GET", "POST", "PUT", "DELETE"])
@blueprint.function_name(names.CONTROL_API)
async def control_api(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return await _bridge.handle_async(req, context)


@blueprint.route(route="api/docs", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@blueprint.function_name(names.API_DOCS)
async def api_docs(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """The API's page: a description, no data; so it needs no key."""
    return await _bridge.handle_async(req, context)


@blueprint.route(route="api/openapi.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@blueprint.function_name(names.API_DOCUMENT)
async def api_document(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return await _bridge.handle_async(req, context)


@blueprint.route(route="api/health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@blueprint.function_name(names.HEALTH)
async def health(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """For probes: whether the metastore answers with this release's schema."""
    return await _bridge.handle_async(req, context)
