"""The governed client, the one way to Graph: a request takes its RU first, waits little, and leaves one log record."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from shared.adapters.graph import urls
from shared.adapters.graph.answers import Answer, answer_of, rate_limit, wait_of
from shared.adapters.graph.auth import TokenSource
from shared.adapters.graph.clouds import Endpoints
from shared.adapters.graph.verdicts import LOCKED_WAIT, permission_missing, stopping, unauthenticated
from shared.core.backlog import Lane
from shared.core.errors import (
    ConfigurationError,
    Doubt,
    GraphUnavailable,
    InvariantViolated,
    ListGone,
    SyncError,
    Throttled,
)
from shared.ports import Budget, Clock, IdSource

MAX_CONNECTIONS = 8
"""Beyond this httpx spends more on its pool than on the request (encode/httpx #3215), and Graph gains nothing."""

# https://learn.microsoft.com/en-us/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online
RU_SINGLE_READ = 1
RU_DELTA_WITH_TOKEN = 1
RU_MULTI_READ = 2
RU_WRITE = 2

_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
_FIRST_BARE_WAIT, _LAST_BARE_WAIT = 5.0, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds. A write may begin to work until `request_timeout` after it was asked for: leases must have that room."""

    connect: float = 5.0
    pool: float = 5.0
    write: float = 5.0
    read: float = 20.0
    """Longest silence: before an answer begins, and within it."""
    body: float = 15.0
    """Longest time from an answer's headers to its end, silences aside."""
    inline_wait: float = 2.0
    """Longest wait for the budget before the caller is sent away."""
    start: float = 10.0
    """No exchange begins later than this after the call: waits, token renewal and a first refusal happen within it."""

    @property
    def request_timeout(self) -> float:
        """From a call to the end of its last exchange, answered or given up: what it sends cannot begin to work later
        than that by this side's doing. A 401 within a $batch and its renewal are included."""
        return self.start + self.pool + self.connect + self.write + self.read + self.body + self.read

    @property
    def http(self) -> httpx.Timeout:
        return httpx.Timeout(connect=self.connect, pool=self.pool, write=self.write, read=self.read)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an answer may weigh: an honest page of 200 items with full notes stays below it."""

    answer_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`writes`: losing its answer leaves a doubt. `ru`: what it costs; a $batch costs the sum of its members."""

    method: str
    address: urls.Address
    action: str
    ru: int
    body: Any = field(default=None, repr=False)
    """JSON value; orjson.Fragment for what is encoded already."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    writes: bool = False


def user_agent(company: str, version: str) -> str:
    """The form that SharePoint's throttling page asks of programs that are not sold; such traffic is served first."""
    plain = "".join(character for character in company if character.isascii() and character.isalnum()) or "Unnamed"
    return f"NONISV|{plain}|SyncBridge/{version}"


def open_http(timing: Timing, *, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """One per process; close it at the end. Follows no redirects and reads no environment (proxies, netrc).

    httpx and httpcore log whole URLs and headers at INFO and DEBUG: filters hold values and headers hold tokens, so
    both are quietened here. The client's own record says the same without them.
    """
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return httpx.Client(
        transport=transport,
        limits=httpx.Limits(
            max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS, keepalive_expiry=20.0
        ),
        timeout=timing.http,
        follow_redirects=False,
        trust_env=False,
    )


class GraphClient:
    """Requests of one connection and lane. Cheap: made per run, over the process' one httpx.Client.

    `requests` and `ru` count what this instance spent. `reserve` and `release`: see `shared.ports.ListStore`.
    """

    def __init__(
        self,
        *,
        http: httpx.Client,
        cloud: Endpoints,
        tokens: TokenSource,
        budget: Budget,
        lane: Lane,
        clock: Clock,
        ids: IdSource,
        agent: str,
        timing: Timing | None = None,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.cloud = cloud
        self.clock = clock
        self.timing = timing or Timing()
        self.requests = 0
        self.ru = 0
        self._http = http
        self._tokens = tokens
        self._budget = budget
        self._lane = lane
        self._ids = ids
        if not agent.isascii() or not agent.isprintable() or not agent.strip():
            raise ConfigurationError(
                "A user agent is printable ASCII, such as NONISV|Contoso|App/1.0.", code="bad_user_agent"
            )
        self._agent = agent
        self._limits = limits or Limits()
        self._sleep = sleep
        self._bare_throttles = 0
        self._wanted = 0
        self._reserved = 0
        self._log = logging.getLogger("syncbridge.graph")

    def send(self, request: Request, *, begun: float | None = None) -> Answer:
        """Send a request and return whatever Graph answered, 4xx and 5xx included; a 401 is tried again, renewed.

        `begun`: when the call that this request belongs to began, by the clock's monotonic time.
        Raises Throttled (nothing was sent: the budget asks to wait), GraphUnavailable (nothing was sent, or a read has
        no answer), Doubt (a write has no answer), ConfigurationError (no token to be had).
        """
        begun = self.clock.monotonic() if begun is None else begun
        self._take(request)
        answer = self._exchange(request, self._token(request, renew=False), begun)
        if answer.status == 401:
            if self.too_late(begun):
                raise _not_sent()
            answer = self._exchange(request, self._token(request, renew=True), begun, again=True)
        return answer

    def too_late(self, begun: float) -> bool:
        """No more exchange may begin in a call that began then."""
        return self.clock.monotonic() - begun > self.timing.start

    def get(self, address: urls.Address, *, action: str, ru: int) -> Any:
        """The JSON of a read. Raises as `send` and `expect` do."""
        return self.expect(self.send(Request(method="GET", address=address, action=action, ru=ru)))

    def expect(self, answer: Answer) -> Any:
        """The JSON of a 2xx answer. Raises what `failure` says of any other: Throttled, ListGone (404) and so on."""
        if answer.ok and answer.readable:
            return answer.body
        raise self.failure(answer)

    def failure(self, answer: Answer) -> SyncError:
        """What an answer means to a caller that can use a success only."""
        wait = wait_of(answer.headers, self.clock.now())
        match answer.status:
            case 401:
                return unauthenticated()
            case 403:
                return permission_missing(answer)
            case 404:
                return ListGone(
                    "Graph does not find this site or list: it was deleted or moved, or the right to it was revoked."
                )
            case 429 | 503:
                return Throttled(f"Graph asks to wait ({answer.described}).", retry_after=wait)
            case 423 | 509:
                return GraphUnavailable(
                    f"The site is locked ({answer.described}).", retry_after=max(wait or 0.0, LOCKED_WAIT)
                )
            case status:
                if (stop := stopping(answer)) is not None:
                    return stop
                if 400 <= status < 500 and status not in (408, 409, 410, 412, 424, 425):
                    return InvariantViolated(
                        f"Graph refuses a request of this program ({answer.described}).", code="bad_request"
                    )
                return GraphUnavailable(f"Graph gave no usable answer ({answer.described}).", retry_after=wait)

    def throttled(self, seconds: float | None) -> float:
        """An answer, or a member of a $batch, said 429 or 503: every process waits. Returns the seconds."""
        if seconds is None:
            seconds = min(_FIRST_BARE_WAIT * 2**self._bare_throttles, _LAST_BARE_WAIT)
            self._bare_throttles = min(self._bare_throttles + 1, 8)
        seconds = max(seconds, 1.0)
        self._budget.penalize(seconds)
        return seconds

    def reserve(self, ru: int) -> None:
        """The next request takes as much more than it costs as makes the reserve so many RU; writes after it draw on it."""
        self._wanted = ru

    def release(self) -> None:
        """Give back what no write has drawn."""
        unused, self._wanted, self._reserved = self._reserved, 0, 0
        if unused:
            self._budget.charge(-unused)

    def renew_token(self) -> None:
        """A member of a $batch was refused with 401 although the envelope was not."""
        self._tokens.bearer(renew=True)

    def _take(self, request: Request) -> None:
        drawn = min(self._reserved, request.ru) if request.writes else 0
        added = max(self._wanted - self._reserved, 0)
        ru = request.ru - drawn + added
        waited = 0.0
        while ru and (wait := self._budget.take(ru, self._lane)) > 0:
            if waited + wait > self.timing.inline_wait:
                raise Throttled("The budget of resource units is used up for now.", retry_after=wait, code="budget")
            self._sleep(wait)
            waited += wait
        self._reserved += added - drawn
        self._wanted = 0

    def _token(self, request: Request, *, renew: bool) -> str:
        try:
            return self._tokens.bearer(renew=renew)
        except BaseException:
            if not renew:
                self._budget.charge(-request.ru)  # nothing was sent
            raise

    def _exchange(self, request: Request, token: str, begun: float, *, again: bool = False) -> Answer:
        if self.too_late(begun):
            if not again:
                self._budget.charge(-request.ru)
            raise _not_sent()
        if again:
            self._budget.charge(request.ru)
        started = self.clock.monotonic()
        status = 0
        try:
            answer = self._roundtrip(request, token)
            status = answer.status
        except _NEVER_SENT as error:
            self._budget.charge(-request.ru)
            raise GraphUnavailable(f"Graph cannot be reached ({type(error).__name__}).", code="not_sent") from None
        except httpx.HTTPError as error:
            self._spend(request.ru)
            if request.writes:
                raise Doubt(f"A write got no answer ({type(error).__name__}).") from None
            raise GraphUnavailable(f"Graph gave no answer ({type(error).__name__}).") from None
        finally:
            self._record(request, status, started)
        self._spend(request.ru)
        self._govern(answer)
        return answer

    def _roundtrip(self, request: Request, token: str) -> Answer:
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": self._agent,
            "client-request-id": str(self._ids.uuid()),
            **request.headers,
        }
        content = None
        if request.body is not None:
            content = orjson.dumps(request.body)
            headers["Content-Type"] = "application/json"
        built = self._http.build_request(
            request.method, self.cloud.root + request.address.path, headers=headers, content=content
        )
        response = self._http.send(built, stream=True)
        try:
            return answer_of(response.status_code, response.headers, self._read(response))
        finally:
            response.close()

    def _read(self, response: httpx.Response) -> bytes | None:
        """The whole body, or None when it was cut, is too large or takes too long: the status is known all the same."""
        deadline = self.clock.monotonic() + self.timing.body
        chunks: list[bytes] = []
        size = 0
        try:
            for chunk in response.iter_bytes():
                size += len(chunk)
                if size > self._limits.answer_bytes or self.clock.monotonic() > deadline:
                    return None
                chunks.append(chunk)
        except httpx.HTTPError:
            return None
        return b"".join(chunks)

    def _spend(self, ru: int) -> None:
        self.requests += 1
        self.ru += ru

    def _govern(self, answer: Answer) -> None:
        now = self.clock.now()
        limits = rate_limit(answer.headers, now)
        if limits is not None:
            self._budget.observe(limit=limits.limit, remaining=limits.remaining, reset=limits.reset)
        if answer.status in (429, 503):
            self.throttled(wait_of(answer.headers, now))
        elif answer.ok:
            self._bare_throttles = 0

    def _record(self, request: Request, status: int, started: float) -> None:
        self._log.info(
            "graph request",
            extra={
                "action": request.action,
                "method": request.method,
                "path": request.address.template,
                "status": status,
                "ms": round((self.clock.monotonic() - started) * 1000, 1),
                "ru": request.ru,
            },
        )


def _not_sent() -> GraphUnavailable:
    return GraphUnavailable("The request was not sent: there was no time left for its answer.", code="not_sent")
