"""One Graph request from the bytes' edge to the answer: fault, token, budget, route, commit, headers, log."""

import asyncio
import sys
import time
import traceback
import uuid
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

from infra.simulator import budget, errors, options
from infra.simulator.addressing import path_segments
from infra.simulator.auth import Auth, Identity
from infra.simulator.budget import Charge
from infra.simulator.calls import Call
from infra.simulator.faults import Faults, Fired
from infra.simulator.journal import Entry
from infra.simulator.routes import Routes
from infra.simulator.wire import Answer, Delivery, Request, Response
from infra.simulator.world import World


class Graph:
    def __init__(self, world: World, access: Auth, routes: Routes, faults: Faults) -> None:
        self._world = world
        self._auth = access
        self._routes = routes
        self.faults = faults
        self._tasks: set[asyncio.Task[Response]] = set()
        self._late: list[tuple[int, Request, Identity]] = []

    def handle(self, request: Request, entry: Entry) -> Answer:
        """A request of its own (not inside a batch)."""
        self._run_late()
        return self.single(request, entry, None)

    def single(self, request: Request, entry: Entry, identity: Identity | None) -> Answer:
        """One request, inner ones with the identity of their batch. `entry` gets cost, app and fault."""
        fired = self.faults.choose(request, identity.app.client_id if identity else self._auth.claimed_app(request))
        if fired is not None:
            entry.fault = fired.kind if not fired.after else f"{fired.kind} after"
            if fired.kind == "late":
                self._postpone(request, fired, identity)
                return self.errand(request, fired.response())
            if not fired.after:
                return self.errand(request, fired.response())
        with self._world.clock.skewed(fired.seconds if fired is not None and fired.kind == "clock_skew" else 0.0):
            answer = self._perform(request, entry, identity)
        if isinstance(answer, Response):
            return self.finish(request, answer, fired)
        return self._later(request, answer, fired)

    async def _later(self, request: Request, answer: Awaitable[Response], fired: Fired | None) -> Response:
        try:
            response = await answer
        except errors.GraphError as error:
            response = self.refusal(request, error)
        except Exception:
            response = self.defect(request)
        return self.finish(request, response, fired)

    # -- the effect

    def _perform(self, request: Request, entry: Entry, identity: Identity | None) -> Answer:
        charge: Charge | None = None
        try:
            identity = identity or self._auth.identify(request)
            entry.app = identity.app.client_id
            bare = self._world.rules.holds("ITEM-OPTIONS-WITHOUT-DOLLAR")
            opts = options.parse(request.query, bare=bare)
            parts = path_segments(request.path.partition("/v1.0")[2])
            charge = self._charge(request, parts, opts, identity)
            entry.ru = charge.units
            if charge.refused:
                return self._limits(self.refusal(request, self._throttled(charge)), charge)
            lenient = not self._world.rules.holds("ERR-BAD-JSON")
            typeless = not self._world.rules.holds("ERR-CONTENT-TYPE")
            answer = self._routes.run(Call(request, identity, opts, parts, request.base(), bare, lenient, typeless))
            if not request.inner and isinstance(answer, Response):
                self._world.commit()
        except errors.GraphError as error:
            if not request.inner:
                self._world.commit()
            answer = self.refusal(request, error)
        except Exception:
            return self.defect(request)
        return self._limits(answer, charge) if isinstance(answer, Response) and charge else answer

    def _charge(self, request: Request, parts: list[str], opts: options.Options, identity: Identity) -> Charge:
        holds = self._world.rules.holds
        units = budget.cost(request.method, parts, opts.values)
        units = self._mispriced(request, parts, units)
        if identity.tenant.blocked:
            raise errors.GraphError(503, "serviceNotAvailable", "The application has been blocked.")
        app = identity.app.client_id if holds("RU-APPS-APART") else "*"
        return self._world.budget.charge(identity.tenant, app, units, self._world.clock.now())

    def _mispriced(self, request: Request, parts: list[str], units: int) -> int:
        """Costs as the broken switches of the RU rules want them."""
        holds = self._world.rules.holds
        delta = bool(parts) and "delta" in parts[-1].lower()
        if units == 5:
            return 5 if holds("RU-PERMISSIONS") else 1
        if request.method != "GET":
            return units if holds("RU-WRITE") else 1
        if delta:
            return units if holds("RU-DELTA-WITH-TOKEN") else 2
        if units == 1:
            return 1 if holds("RU-READ-ONE") else 3
        return 2 if holds("RU-READ-MANY") else 1

    def _throttled(self, charge: Charge) -> errors.GraphError:
        knobs, holds = self._world.knobs, self._world.rules.holds
        headers = (
            (("Retry-After", str(charge.retry_after)),) if knobs["retry_after"] and holds("RU-RETRY-AFTER") else ()
        )
        if knobs["throttle_body"] == "gateway" or not holds("RU-429-BODY"):
            return errors.GraphError(
                int(knobs["throttle_status"]), "TooManyRequests", "Too Many Requests", headers=headers
            )
        return errors.GraphError(
            int(knobs["throttle_status"]),
            "activityLimitReached",
            "The request has been throttled",
            inner="throttledRequest",
            headers=headers,
        )

    def _limits(self, response: Response, charge: Charge) -> Response:
        knobs, holds = self._world.knobs, self._world.rules.holds
        shown = (
            charge.near
            and knobs["ratelimit_headers"]
            and charge.refused in ("", "minute")
            and holds("RU-HEADERS-FROM-80")
        )
        if not shown:
            return response
        remaining = charge.remaining if holds("RU-HEADERS-ON-429") or not charge.refused else 1
        return response.with_headers(
            ("RateLimit-Limit", str(charge.limit)),
            ("RateLimit-Remaining", str(remaining)),
            ("RateLimit-Reset", str(charge.reset)),
        )

    def defect(self, request: Request) -> Response:
        """A mistake of the simulator's own: said plainly, with a mark that tests look for."""
        traceback.print_exc(file=sys.stderr)
        self._world.rollback()
        error = errors.general("The simulator has a defect; its standard error says where.")
        return self.refusal(request, error).with_headers(("x-simulator-defect", "1"))

    def refusal(self, request: Request, error: errors.GraphError) -> Response:
        """An error answer."""
        return Response(status=error.status, headers=self._challenge(error), content=self._error_body(request, error))

    def _challenge(self, error: errors.GraphError) -> tuple[tuple[str, str], ...]:
        if self._world.rules.holds("AUTH-WWW-AUTHENTICATE"):
            return error.headers
        return tuple(pair for pair in error.headers if pair[0] != "WWW-Authenticate")

    def _error_body(self, request: Request, error: errors.GraphError) -> dict[str, Any]:
        holds = self._world.rules.holds
        request_id = str(uuid.uuid4())
        client = request.headers.get("client-request-id", request_id)
        doc = errors.content(error, date=self._world.clock.text()[:-1], request_id=request_id, client_request_id=client)
        if not holds("ERR-INNER-IDS"):
            doc["error"]["innerError"] = {}
        return doc if holds("ERR-SHAPE") else dict(doc["error"])

    # -- faults and headers

    def errand(self, request: Request, response: Response) -> Response:
        """A fault's own answer, with the ids that every error body has."""
        content = response.content
        if isinstance(content, dict) and "error" in content:
            request_id = str(uuid.uuid4())
            ids = {
                "date": self._world.clock.text()[:-1],
                "request-id": request_id,
                "client-request-id": request.headers.get("client-request-id", request_id),
            }
            content["error"]["innerError"] |= ids
        return self._headed(request, response)

    def finish(self, request: Request, response: Response, fired: Fired | None) -> Response:
        if fired is None:
            return self._headed(request, response)
        match fired.kind:
            case "status" | "reset" | "silence":
                return self.errand(request, fired.response())
            case "truncate":
                return self._headed(request, replace(response, delivery=Delivery(kind="truncate")))
            case "slow":
                return self._headed(request, replace(response, delivery=Delivery(kind="slow", seconds=fired.seconds)))
            case "clock_skew":
                with self._world.clock.skewed(fired.seconds):
                    return self._headed(request, response)
            case "wrong_field" | "missing_field":
                return self._headed(request, replace(response, content=_spoiled(response.content, fired)))
            case _:
                return self._headed(request, response)

    def _headed(self, request: Request, response: Response) -> Response:
        holds = self._world.rules.holds
        headers: list[tuple[str, str]] = []
        kind = response.content_type
        if kind == "application/json" and response.content is not None:
            if holds("HDR-CONTENT-TYPE"):
                kind = (
                    "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
                )
            if holds("HDR-ODATA-VERSION"):
                headers.append(("OData-Version", "4.0"))
        if holds("HDR-CACHE-CONTROL"):
            headers.append(("Cache-Control", "no-cache" if response.status < 400 else "no-store, no-cache"))
        if not request.inner:
            request_id = _request_id(response) or str(uuid.uuid4())
            if holds("HDR-REQUEST-ID"):
                headers.append(("request-id", request_id))
            client = _printable(request.headers.get("client-request-id", request_id))
            headers.append(("client-request-id", client if holds("HDR-CLIENT-REQUEST-ID") else request_id))
            if holds("HDR-DIAGNOSTIC"):
                headers.append(("x-ms-ags-diagnostic", _DIAGNOSTIC))
            if holds("HDR-STRICT-TRANSPORT"):
                headers.append(("Strict-Transport-Security", "max-age=31536000"))
            headers.append(("Vary", "Accept-Encoding"))
            skew = 0 if holds("HDR-DATE") else -600
            headers.append(("Date", _http_date(int(self._world.clock.now()) + skew)))
        return replace(response, content_type=kind, headers=(*headers, *response.headers))

    # -- effects that land after the client gave up

    def _postpone(self, request: Request, fired: Fired, identity: Identity | None) -> None:
        try:
            identity = identity or self._auth.identify(request)
        except errors.GraphError:
            return
        if fired.requests:
            self._late.append((fired.requests, request, identity))
        else:
            self._world.clock.call_at(self._world.clock.now() + fired.seconds, lambda: self._land(request, identity))

    def _run_late(self) -> None:
        if not self._late:
            return
        due = [(request, identity) for left, request, identity in self._late if left <= 1]
        self._late = [(left - 1, request, identity) for left, request, identity in self._late if left > 1]
        for request, identity in due:
            self._land(request, identity)

    def _land(self, request: Request, identity: Identity) -> None:
        entry = self._world.journal.open(time=self._world.clock.text(), method=request.method, path=request.target)
        started = time.perf_counter()
        answer = self._perform(request, entry, identity)
        if isinstance(answer, Response):
            entry.status = answer.status
        else:
            task = asyncio.ensure_future(self._later(request, answer, None))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        entry.fault = "late effect"
        if request.inner:
            self._world.commit()
        entry.duration_ms = round((time.perf_counter() - started) * 1000, 3)
        self._world.journal.close(entry)


_DIAGNOSTIC = (
    '{"ServerInfo":{"DataCenter":"West Europe","Slice":"E","Ring":"5","ScaleUnit":"003","RoleInstance":"SIMULATOR"}}'
)


def _http_date(seconds: int) -> str:
    if seconds not in _DATES:
        _DATES.clear()
        _DATES[seconds] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))
    return _DATES[seconds]


_DATES: dict[int, str] = {}


def _request_id(response: Response) -> str | None:
    content = response.content
    if response.status >= 400 and isinstance(content, dict) and isinstance(content.get("error"), dict):
        found = content["error"].get("innerError", {}).get("request-id")
        return str(found) if found else None
    return None


def _printable(text: str) -> str:
    """Header text that cannot break out of its line."""
    text = text[:200]
    return (
        text
        if text.isascii() and text.isprintable()
        else "".join(character for character in text if " " <= character <= "~")
    )


def _spoiled(content: Any, fired: Fired) -> Any:
    """A field of the first item in the answer, wrong or gone."""
    if not isinstance(content, dict):
        return content
    entries = content.get("value") if isinstance(content.get("value"), list) else [content]
    for entry in entries or []:
        fields = entry.get("fields", entry) if isinstance(entry, dict) else None
        if isinstance(fields, dict) and (fired.field in fields or fired.kind == "wrong_field"):
            if fired.kind == "missing_field":
                del fields[fired.field]
            else:
                fields[fired.field] = fired.value
            break
    return content
