"""JSON batching. Source: learn.microsoft.com/en-us/graph/json-batching."""

import asyncio
import base64
import binascii
from dataclasses import replace
from typing import Any

import orjson

from infra.simulator import errors
from infra.simulator.auth import Auth, Identity
from infra.simulator.faults import VENDOR_TABLE, Fired
from infra.simulator.graph import Graph
from infra.simulator.journal import Entry
from infra.simulator.wire import WHOLE, Answer, Request, Response
from infra.simulator.world import World

MAX_REQUESTS = 20
_FORWARDED = ("host", "x-forwarded-proto", "authorization", "user-agent", "client-request-id")


class Batching:
    def __init__(self, world: World, access: Auth, graph: Graph) -> None:
        self._world = world
        self._auth = access
        self._graph = graph

    def handle(self, request: Request, entry: Entry) -> Answer:
        """POST /$batch, with the faults that hit the envelope."""
        fired = self._graph.faults.choose(request, self._auth.claimed_app(request))
        if fired is not None:
            entry.fault = fired.kind if not fired.after else f"{fired.kind} after"
            if not fired.after and fired.kind not in ("late", "batch_vendor"):
                return self._graph.errand(request, fired.response())
        if fired is not None and fired.kind == "late":
            self._late(request, fired)
            return self._graph.errand(request, fired.response())
        return self._run(request, entry, fired)

    async def _run(self, request: Request, entry: Entry, fired: Fired | None) -> Response:
        try:
            requests = self._envelope(request)
            identity = self._auth.identify(request)
            entry.app = identity.app.client_id
            response = await self._all(request, requests, identity, entry, fired)
        except errors.GraphError as error:
            response = self._graph.refusal(request, error)
        except Exception:
            response = self._graph.defect(request)
        return self._graph.finish(
            request,
            response,
            fired if fired and fired.kind not in ("batch_drop", "batch_partial", "batch_vendor") else None,
        )

    def _late(self, request: Request, fired: Fired) -> None:
        """The whole batch takes effect after the client was told that it failed."""
        loop = asyncio.get_running_loop()

        def land() -> None:
            entry = self._world.journal.open(time=self._world.clock.text(), method="POST", path=request.target)
            entry.fault = "late effect"
            task = loop.create_task(self._run(request, entry, None))
            task.add_done_callback(lambda _: self._world.journal.close(entry))

        self._world.clock.call_at(self._world.clock.now() + fired.seconds, land)

    # -- the envelope

    def _envelope(self, request: Request) -> list[dict[str, Any]]:
        if request.method != "POST":
            raise errors.bad_method()
        self._auth.identify(request)
        holds = self._world.rules.holds
        try:
            body = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            if holds("ERR-BAD-JSON"):
                raise errors.bad_json() from None
            body = {}
        requests = body.get("requests") if isinstance(body, dict) else None
        if not isinstance(requests, list):
            if not holds("BATCH-MALFORMED"):
                return []
            raise errors.bad_request("Invalid batch payload format: a requests array is missing.")
        if len(requests) > MAX_REQUESTS and holds("BATCH-MAX-20"):
            raise errors.bad_request(f"Number of batch request steps exceeds the maximum value of {MAX_REQUESTS}.")
        seen: set[str] = set()
        for inner in requests:
            if not isinstance(inner, dict) or not isinstance(inner.get("id"), str) or not inner["id"]:
                raise errors.bad_request("Invalid batch payload format: a request without an id.")
            if not isinstance(inner.get("method"), str) or not isinstance(inner.get("url"), str):
                raise errors.bad_request("Invalid batch payload format: a request without method or url.")
            if not isinstance(inner.get("headers") or {}, dict) or not all(
                isinstance(v, str) for v in (inner.get("headers") or {}).values()
            ):
                raise errors.bad_request("Invalid batch payload format: headers must be texts.")
            if inner["id"].lower() in seen and holds("BATCH-DUPLICATE-ID"):
                raise errors.bad_request("Invalid batch payload format: request ids must be unique.")
            seen.add(inner["id"].lower())
        self._check_order(requests, seen)
        return requests

    def _check_order(self, requests: list[dict[str, Any]], ids: set[str]) -> None:
        """Every dependsOn names a request that stands before its own."""
        before: set[str] = set()
        for inner in requests:
            depends = inner.get("dependsOn") or []
            if not isinstance(depends, list) or not all(isinstance(name, str) for name in depends):
                raise errors.bad_request("Invalid batch payload format: dependsOn must be a list of ids.")
            for name in depends:
                if name.lower() not in ids and not self._world.rules.holds("BATCH-DEPENDS-ON-UNKNOWN"):
                    continue
                if name.lower() not in before:
                    raise errors.bad_request(
                        "Invalid batch payload format: dependsOn names a request that does not stand before."
                    )
            before.add(inner["id"].lower())

    # -- the requests inside

    async def _all(
        self, outer: Request, requests: list[dict[str, Any]], identity: Identity, entry: Entry, fired: Fired | None
    ) -> Response:
        holds, world = self._world.rules.holds, self._world
        statuses: dict[str, int] = {}
        docs: list[dict[str, Any]] = []
        delivery = WHOLE
        spent = 0
        world.budget.free = not holds("RU-BATCH-SUM")
        ordered = requests if holds("BATCH-DEPENDS-ON-ORDER") else requests[::-1]
        for position, inner in enumerate(ordered):
            depends = [name.lower() for name in inner.get("dependsOn") or []] if holds("BATCH-DEPENDS-ON-ORDER") else []
            if any(statuses.get(name, 200) >= 400 for name in depends) and holds("BATCH-DEPENDS-ON-FAILED"):
                response = self._graph.refusal(
                    replace(outer, inner=True),
                    errors.GraphError(424, "FailedDependency", "A dependency of the request failed."),
                )
                ru = 0
            else:
                response, ru = await self._one(outer, inner, identity, entry, fired, position, len(requests))
            spent += ru
            statuses[inner["id"].lower()] = response.status
            if response.delivery.kind != "whole":
                delivery = response.delivery
            docs.append(_shape(inner["id"], response))
        world.budget.free = False
        entry.ru = spent if holds("RU-BATCH-SUM") else 2
        if not holds("BATCH-NOT-ATOMIC") and any(status >= 400 for status in statuses.values()):
            world.rollback()
        world.commit()
        if not holds("BATCH-INNER-429") and 429 in statuses.values():
            throttled = next(doc for doc in docs if doc["status"] == 429)
            return Response(status=429, content=throttled["body"], headers=tuple(throttled["headers"].items()))
        return Response(status=200, content={"responses": self._arranged(docs, fired)}, delivery=delivery)

    def _arranged(self, docs: list[dict[str, Any]], fired: Fired | None) -> list[dict[str, Any]]:
        holds = self._world.rules.holds
        if not holds("BATCH-RESPONSES"):
            docs = [doc for doc in docs if doc["status"] < 400]
        if holds("BATCH-ANY-ORDER") and self._world.knobs["batch_shuffle"] and len(docs) > 1:
            shuffled = docs[:]
            self._world.dice.shuffle(shuffled)
            docs = shuffled if shuffled != docs else docs[::-1]
        if fired is not None and fired.kind == "batch_drop" and docs:
            docs = [doc for position, doc in enumerate(docs) if position != int(fired.pick * len(docs))]
        return docs

    async def _one(
        self,
        outer: Request,
        inner: dict[str, Any],
        identity: Identity,
        entry: Entry,
        fired: Fired | None,
        position: int,
        count: int,
    ) -> tuple[Response, int]:
        part = Entry(seq=0, time=entry.time, method=inner["method"].upper(), path="")
        try:
            request = self._inner_request(outer, inner)
        except errors.GraphError as error:
            return self._graph.refusal(replace(outer, inner=True), error), 0
        part.path = request.target
        spoiled = self._spoil(request, fired, position, count)
        if spoiled is not None and not (fired and fired.after and fired.value == "after"):
            response = spoiled
        else:
            answer = self._graph.single(request, part, identity)
            response = answer if isinstance(answer, Response) else await answer
            response = spoiled or response
        entry.inner.append(
            {
                "id": inner["id"],
                "method": part.method,
                "path": part.path,
                "status": response.status,
                "ru": part.ru,
                "fault": part.fault,
                "if_match": "if-match" in request.headers,
            }
        )
        return response, part.ru

    def _spoil(self, request: Request, fired: Fired | None, position: int, count: int) -> Response | None:
        """The answer of an inner request that a fault of the whole batch hits, or None."""
        if fired is None:
            return None
        if fired.kind == "batch_vendor":
            table = VENDOR_TABLE.get(request.method, VENDOR_TABLE["GET"])
            status = table[(int(fired.pick * 1000) + position) % len(table)]
            headers = (("Retry-After", "5"),) if status == 429 else ()
            return self._graph.errand(request, replace(fired, kind="status", status=status, headers=headers).response())
        if fired.kind == "batch_partial" and (position + int(fired.pick * 2)) % 2 == 0 and count > 1:
            return self._graph.errand(request, replace(fired, kind="status").response())
        return None

    def _inner_request(self, outer: Request, inner: dict[str, Any]) -> Request:
        holds = self._world.rules.holds
        url = inner["url"]
        if not url.startswith("/"):
            if "://" in url.partition("?")[0]:
                raise errors.bad_request("Invalid batch payload format: a url must be relative to the version root.")
            if not holds("BATCH-URL-SLASH"):
                raise errors.bad_request("Invalid batch payload format: a url begins with a slash.")
            url = f"/{url}"
        if holds("BATCH-URL-VERSION") or not url.startswith("/v1.0/"):
            url = f"/v1.0{url}"
        headers = {name: value for name, value in outer.headers.items() if name in _FORWARDED}
        if holds("BATCH-INNER-HEADERS"):
            headers |= {str(name).lower(): value for name, value in (inner.get("headers") or {}).items()}
        body = inner.get("body")
        raw = b""
        if body is not None:
            kind = {str(name).lower(): value for name, value in (inner.get("headers") or {}).items()}.get(
                "content-type"
            )
            if kind is None and holds("BATCH-BODY-NEEDS-TYPE"):
                raise errors.bad_request(
                    "Write request id : " + inner["id"][:80] + " does not contain Content-Type header or body."
                )
            headers.setdefault("content-type", str(kind or "application/json"))
            raw = _raw(body, kind or "application/json")
        return Request(
            method=inner["method"].upper(), target=url.replace(" ", "%20"), headers=headers, body=raw, inner=True
        )


def _raw(body: Any, kind: str) -> bytes:
    if "json" in kind.lower() and not isinstance(body, str):
        return orjson.dumps(body)
    if not isinstance(body, str):
        raise errors.bad_request("Invalid batch payload format: a body that is not JSON must be base64 text.")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return body.encode()


def _shape(request_id: str, response: Response) -> dict[str, Any]:
    headers = dict(response.headers)
    doc: dict[str, Any] = {"id": request_id, "status": response.status, "headers": headers}
    if response.content is not None:
        headers["Content-Type"] = response.content_type
        doc["body"] = (
            response.content if not isinstance(response.content, bytes) else base64.b64encode(response.content).decode()
        )
    return doc
