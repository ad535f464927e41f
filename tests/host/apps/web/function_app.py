"""Sample app: routes of every kind, key levels, cookies, time-outs, and FastAPI behind a catch-all."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import azure.durable_functions as df
import azure.functions as func
from fastapi import FastAPI, HTTPException, Request

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
startups: list[str] = []


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    startups.append("up")
    yield


api = FastAPI(lifespan=lifespan)
middleware = func.AsgiMiddleware(api)
_started: asyncio.Lock = asyncio.Lock()


@api.get("/v1/items/{item}")
def item(item: int) -> dict:
    if item == 404:
        raise HTTPException(404, "no such item")
    return {"item": item, "startups": len(startups)}


@api.post("/v1/echo")
async def echo(request: Request) -> dict:
    return {"body": (await request.body()).decode(), "query": str(request.url.query), "path": request.url.path}


@api.get("/v1/headers")
def headers(request: Request) -> dict:
    return dict(request.headers)


def _show(req: func.HttpRequest) -> func.HttpResponse:
    body = {"method": req.method, "url": req.url, "route": dict(req.route_params), "params": dict(req.params)}
    return func.HttpResponse(json.dumps(body | {"headers": dict(req.headers)}), mimetype="application/json")


@app.route(route="show/{id:int}/{name?}", methods=["GET", "HEAD", "OPTIONS"])
def show(req: func.HttpRequest) -> func.HttpResponse:
    return _show(req)


@app.route(route="show/latest", methods=["GET"])
def latest(req: func.HttpRequest) -> str:
    return "the literal wins"


@app.route(route="default/{size=ten}", methods=["GET"])
def default(req: func.HttpRequest) -> func.HttpResponse:
    return _show(req)


@app.route(route="length/{code:length(3)}", methods=["GET"])
def length(req: func.HttpRequest) -> func.HttpResponse:
    return _show(req)


@app.route(route="locked", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
def locked(req: func.HttpRequest) -> str:
    return "open"


@app.route(route="guarded", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
def guarded(req: func.HttpRequest) -> str:
    return "open"


@app.route(route="cookies", methods=["GET"])
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    answer = func.HttpResponse("ok", status_code=201, headers={"X-Own": "1"})
    answer.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
    answer.headers.add("Set-Cookie", "b=2; SameSite=Lax")
    return answer


@app.route(route="nothing", methods=["GET"])
def nothing(req: func.HttpRequest):
    return None


@app.route(route="raises", methods=["GET"])
def raises(req: func.HttpRequest) -> str:
    raise ValueError("secret-payload-4711")


@app.route(route="exits", methods=["GET"])
def exits(req: func.HttpRequest) -> str:
    raise SystemExit(3)


@app.route(route="hangs", methods=["GET"])
def hangs(req: func.HttpRequest) -> str:
    time.sleep(float(req.params.get("s", "30")))
    return "late"


@app.route(route="hangs-async", methods=["GET"])
async def hangs_async(req: func.HttpRequest) -> str:
    await asyncio.sleep(30)
    return "late"


@app.route(route="slow", methods=["GET"])
def slow(req: func.HttpRequest) -> str:
    time.sleep(20)
    return "done"


@app.route(route="environment/{name}", methods=["GET"])
def environment(req: func.HttpRequest) -> str:
    return os.environ.get(req.route_params["name"], "(not set)")


@app.route(route="context", methods=["GET"])
def context_of(req: func.HttpRequest, context: func.Context) -> str:
    return f"{context.function_name} {len(context.invocation_id)} {context.function_directory}"


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    return client.create_check_status_response(req, await client.start_new(req.route_params["name"]))


@app.route(route="{*rest}", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
async def fastapi(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    async with _started:
        if not startups:
            await middleware.notify_startup()
    return await middleware.handle_async(req, context)


@app.orchestration_trigger(context_name="context")
def outlast(context: df.DurableOrchestrationContext):
    try:
        yield context.call_activity("sleeper", 30)
    except Exception as error:
        return str(error).split(" \n")[0]
    return "in time"


_lateness = iter([6.0])
"""Seconds that the first episode takes."""


@app.orchestration_trigger(context_name="context")
def dawdles(context: df.DurableOrchestrationContext):
    time.sleep(next(_lateness, 0.0))
    return "in time"
    yield


@app.activity_trigger(input_name="seconds")
def sleeper(seconds: float) -> str:
    time.sleep(seconds)
    return "late result"
