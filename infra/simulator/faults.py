"""Fault plans: data in, one decision per request out, the same for the same seed.

The `vendor-table` preset replays which status codes Microsoft's Dev Proxy picks per method (github.com/dotnet/dev-proxy,
DevProxy.Plugins/Behavior/GraphRandomErrorPlugin.cs); the `rough` preset mixes what the documentation lists.
"""

import random
import re
from dataclasses import dataclass, field
from typing import Any

from infra.simulator.errors import Unfit
from infra.simulator.wire import Delivery, Headers, Request, Response

VENDOR_TABLE: dict[str, tuple[int, ...]] = {
    "GET": (429, 500, 502, 503, 504),
    "POST": (429, 500, 502, 503, 504, 507),
    "PUT": (429, 500, 502, 503, 504, 507),
    "PATCH": (429, 500, 502, 503, 504),
    "DELETE": (429, 500, 502, 503, 504, 507),
}
_VENDOR_RETRY_AFTER = 5
KINDS = frozenset(
    [
        "status",
        "reset",
        "truncate",
        "silence",
        "slow",
        "late",
        "batch_drop",
        "batch_partial",
        "wrong_field",
        "missing_field",
        "unauthorized",
        "clock_skew",
        "vendor",
        "rough",
    ]
)
_CODES = {
    400: ("invalidRequest", "Invalid request"),
    401: ("InvalidAuthenticationToken", "Access token has expired or is not yet valid."),
    403: ("accessDenied", "Access denied"),
    404: ("itemNotFound", "The resource could not be found."),
    409: ("resourceModified", "The resource has changed since the caller last read it; usually an eTag mismatch"),
    412: ("resourceModified", "The resource has changed since the caller last read it; usually an eTag mismatch"),
    422: ("notSupported", "The request is unprocessable because it uses too many resources"),
    423: ("resourceLocked", "The resource is locked."),
    429: ("activityLimitReached", "The request has been throttled"),
    500: ("generalException", "General exception while processing"),
    501: ("notSupported", "Operation not supported"),
    502: ("UnknownError", "Bad gateway"),
    503: ("serviceNotAvailable", "The service is not available. Try the request again after a delay."),
    504: ("UnknownError", "The gateway did not get an answer in time."),
    507: ("quotaLimitReached", "The user has reached their quota limit."),
    509: ("quotaLimitReached", "The bandwidth limit has been reached."),
}
_REASONS = {
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    507: "Insufficient Storage",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """One fault that hits one request. `after`: the effect happens first."""

    rule: int
    kind: str
    after: bool
    status: int = 503
    seconds: float = 0.0
    requests: int = 0
    field: str = ""
    body: str = "graph"
    headers: Headers = ()
    value: Any = None
    pick: float = 0.0  # for faults that choose something inside an answer
    answer: str = "status"
    code: str = ""
    message: str = ""
    inner_code: str = ""

    def response(self) -> Response:
        """What the client gets instead of the real answer."""
        if self.kind in ("reset", "silence"):
            return Response(status=503, delivery=Delivery(kind=self.kind, seconds=self.seconds))
        if self.kind == "late" and self.answer in ("reset", "silence"):
            return Response(status=503, delivery=Delivery(kind=self.answer, seconds=self.seconds))
        headers = self.headers + ((("WWW-Authenticate", "Bearer"),) if self.status == 401 else ())
        match self.body:
            case "html":
                reason = _REASONS.get(self.status, "Error")
                page = f"<html><head><title>{self.status}</title></head><body><h1>{reason}</h1></body></html>"
                return Response(status=self.status, headers=headers, content=page.encode(), content_type="text/html")
            case "empty":
                return Response(status=self.status, headers=headers)
            case "vendor":
                text = _REASONS.get(self.status, "Error")
                return Response(
                    status=self.status,
                    headers=headers,
                    content={"error": {"code": text, "message": text, "innerError": {}}},
                )
            case _:
                code, message = _CODES.get(self.status, ("generalException", "General exception while processing"))
                code, message = self.code or code, self.message or message
                named = self.inner_code or ("throttledRequest" if self.status == 429 and not self.code else "")
                inner = {"code": named} if named else {}
                return Response(
                    status=self.status,
                    headers=headers,
                    content={"error": {"code": code, "message": message, "innerError": inner}},
                )


@dataclass(slots=True)
class _Rule:
    number: int
    match: dict[str, Any]
    fault: dict[str, Any]
    path: re.Pattern[str] | None
    dice: random.Random
    matched: int = 0
    fired: int = 0
    fired_inner: int = 0
    last: list[str] = field(default_factory=list)

    def applies(self, request: Request, app: str) -> bool:
        match, inner = self.match, self.match.get("inner")
        if match.get("method") and request.method not in str(match["method"]).upper().split(","):
            return False
        if inner is not None and inner != request.inner:
            return False
        if self.fault["kind"] == "vendor" and request.inner:
            return False  # the vendor's proxy decides per batch
        if self.path is None and not request.target.startswith("/v1.0"):
            return False  # the login is hit only by rules that name its path
        if self.path is not None and not self.path.search(request.target):
            return False
        return not match.get("app") or match["app"] == app

    def throws(self) -> bool:
        self.matched += 1
        nth, rate, most = self.match.get("nth"), self.match.get("rate"), self.match.get("max")
        hit = self.matched in nth if nth else True
        if rate is not None:
            hit = self.dice.random() < rate and hit
        return hit and (most is None or self.fired < most)


class Faults:
    """The plan in force; empty means none."""

    def __init__(self) -> None:
        self._plan: dict[str, Any] = {}
        self._rules: list[_Rule] = []

    def set(self, plan: dict[str, Any]) -> None:
        """Replace the plan; counters start again. Raises ValueError naming what is wrong."""
        if not isinstance(plan, dict):
            raise Unfit("a fault plan is an object")
        seed = plan.get("seed", 0)
        given = plan.get("rules", [])
        if not isinstance(given, list):
            raise Unfit("rules is a list")
        entries = list(given)
        if "preset" in plan:
            entries += _preset(plan)
        self._rules = [_rule(number, entry, seed) for number, entry in enumerate(entries)]
        self._plan = plan

    def clear(self) -> None:
        self._plan, self._rules = {}, []

    def state(self) -> dict[str, Any]:
        counters = [
            {
                "matched": rule.matched,
                "fired": rule.fired,
                "fired_inner": rule.fired_inner,
                "match": rule.match,
                "fault": rule.fault,
                "last": rule.last,
            }
            for rule in self._rules
        ]
        return {"plan": self._plan, "fired": sum(rule.fired for rule in self._rules), "rules": counters}

    def choose(self, request: Request, app: str = "") -> Fired | None:
        """The fault for this request: the first rule of the plan that matches and throws."""
        for rule in self._rules:
            if rule.applies(request, app) and rule.throws():
                fired = _fired(rule, request)
                rule.fired += 1
                rule.fired_inner += request.inner
                rule.last = [*rule.last[-9:], f"{request.method} {request.path} -> {fired.kind} {fired.status}"]
                return fired
        return None


def _rule(number: int, entry: Any, seed: Any) -> _Rule:
    if not isinstance(entry, dict) or not isinstance(entry.get("fault"), dict):
        raise Unfit(f"rule {number} needs a fault object")
    fault, match = entry["fault"], entry.get("match") or {}
    if fault.get("kind") not in KINDS:
        raise Unfit(f"rule {number}: kind is one of {', '.join(sorted(KINDS))}")
    if not isinstance(match, dict):
        raise Unfit(f"rule {number}: match is an object")
    nth, rate = match.get("nth"), match.get("rate")
    if nth is not None and not (isinstance(nth, list) and all(isinstance(n, int) and n > 0 for n in nth)):
        raise Unfit(f"rule {number}: nth is a list of numbers from 1 on")
    share = fault.get("after_share", 0.25)
    if not (isinstance(share, int | float) and 0 <= share <= 1):
        raise Unfit(f"rule {number}: after_share is between 0 and 1")
    most = match.get("max")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int)):
        raise Unfit(f"rule {number}: max is a number")
    if rate is not None and not (isinstance(rate, int | float) and 0 <= rate <= 1):
        raise Unfit(f"rule {number}: rate is between 0 and 1")
    headers = fault.get("headers")
    if headers is not None and not (
        isinstance(headers, dict) and all(f"{name}{value}".isprintable() for name, value in headers.items())
    ):
        raise Unfit(f"rule {number}: headers is an object of printable texts")
    if not str(fault.get("retry_after", "")).isprintable():
        raise Unfit(f"rule {number}: retry_after is a printable text or a number")
    for name in ("seconds", "requests"):
        amount = fault.get(name, 0)
        if isinstance(amount, bool) or not isinstance(amount, int | float):
            raise Unfit(f"rule {number}: {name} is a number")
    status = fault.get("status", 503)
    if not isinstance(status, int) or not 400 <= status <= 599:
        raise Unfit(f"rule {number}: status is between 400 and 599")
    if fault.get("when", "before") not in ("before", "after"):
        raise Unfit(f"rule {number}: when is before or after")
    try:
        path = re.compile(match["path"]) if match.get("path") else None
    except (re.error, TypeError) as error:
        raise Unfit(f"rule {number}: path is no regular expression: {error}") from None
    return _Rule(number, match, fault, path, random.Random(f"{seed}/{number}"))


def _preset(plan: dict[str, Any]) -> list[dict[str, Any]]:
    match plan["preset"]:
        case "vendor-table":
            return [{"match": {"path": "^/v1\\.0/", "rate": plan.get("rate", 0.5)}, "fault": {"kind": "vendor"}}]
        case "rough":
            fault = {"kind": "rough", "after_share": plan.get("after_share", 0.25)}
            return [{"match": {"path": "^/v1\\.0/", "rate": plan.get("rate", 0.25)}, "fault": fault}]
        case other:
            raise Unfit(f"there is no preset {other}; take vendor-table or rough")


def _fired(rule: _Rule, request: Request) -> Fired:
    fault, dice = rule.fault, rule.dice
    kind = fault["kind"]
    if kind == "vendor":
        status = dice.choice(VENDOR_TABLE.get(request.method, VENDOR_TABLE["GET"]))
        headers: Headers = (("Retry-After", str(_VENDOR_RETRY_AFTER)),) if status == 429 else ()
        batch = request.path.endswith("/$batch")
        return Fired(
            rule=rule.number,
            kind="batch_vendor" if batch else "status",
            after=False,
            status=status,
            body="vendor",
            headers=headers,
            pick=dice.random(),
        )
    if kind == "rough":
        return _rough(rule, request)
    wait = fault.get("retry_after")
    after_kinds = ("truncate", "slow", "wrong_field", "missing_field", "batch_drop", "batch_partial", "clock_skew")
    return Fired(
        rule=rule.number,
        kind="status" if kind == "unauthorized" else kind,
        after=fault.get("when") == "after" or kind in after_kinds,
        status=401 if kind == "unauthorized" else int(fault.get("status", 504 if kind == "late" else 503)),
        seconds=float(fault.get("seconds", 0)),
        requests=int(fault.get("requests", 0)),
        field=str(fault.get("field", "")),
        body=str(fault.get("body", "graph")),
        headers=((("Retry-After", str(wait)),) if wait is not None else ()) + _headers(fault),
        code=str(fault.get("code", "")),
        message=str(fault.get("message", "")),
        inner_code=str(fault.get("inner_code", "")),
        value=fault.get("value"),
        pick=dice.random(),
        answer=str(fault.get("answer", "status")),
    )


def _headers(fault: dict[str, Any]) -> Headers:
    """More headers for the fault's answer, such as RateLimit-Reset."""
    return tuple((str(name), str(value)) for name, value in (fault.get("headers") or {}).items())


def _rough(rule: _Rule, request: Request) -> Fired:
    dice = rule.dice
    if dice.random() < rule.fault.get("after_share", 0.25):
        kind = "status" if request.inner else dice.choice(("status", "reset", "truncate"))
        return Fired(rule=rule.number, kind=kind, after=True, status=dice.choice((500, 503, 504)))
    if not request.inner and dice.random() < 0.1:
        return Fired(rule=rule.number, kind="reset", after=False)
    status = dice.choice((429, 500, 502, 503, 504))
    headers: Headers = (("Retry-After", "1"),) if status in (429, 503) and dice.random() < 0.7 else ()
    body = "html" if status == 502 else dice.choice(("graph", "graph", "empty")) if status == 503 else "graph"
    return Fired(rule=rule.number, kind="status", after=False, status=status, body=body, headers=headers)
