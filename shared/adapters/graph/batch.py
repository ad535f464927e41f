"""$batch: up to 20 requests in one, each answered, throttled and paid by itself.

https://learn.microsoft.com/en-us/graph/json-batching
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.adapters.graph import urls
from shared.adapters.graph.answers import Answer, member, wait_of
from shared.adapters.graph.client import GraphClient, Request
from shared.adapters.graph.verdicts import may_be_threshold
from shared.core.errors import Doubt, GraphUnavailable, InvariantViolated, SyncError, Transient

MAX_MEMBERS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    method: str
    address: urls.Address
    ru: int
    body: Any = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    writes: bool = False
    filtered: bool = False
    """A 429 without a wait may be the list view threshold in disguise: the caller finds out before anybody waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """The member certainly had no effect, because the envelope was never sent or was refused for throttling."""

    retry_after: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """The envelope got no usable answer, or none for this member."""

    reason: str
    retry_after: float | None = None


MemberAnswer = Answer | Unsent | Unanswered


def envelope(members: Sequence[Member]) -> dict[str, Any]:
    """The body of a $batch; ids are positions."""
    return {"requests": [_inner(str(number), inner) for number, inner in enumerate(members)]}


def _inner(number: str, inner: Member) -> dict[str, Any]:
    made: dict[str, Any] = {"id": number, "method": inner.method, "url": inner.address.path}
    headers = dict(inner.headers)
    if inner.body is not None:
        made["body"] = inner.body
        headers["Content-Type"] = "application/json"
    if headers:
        made["headers"] = headers
    return made


def inner_answers(body: object, count: int) -> list[Answer | None]:
    """The members' answers by position; None for one that is missing, malformed, or answered twice."""
    answers: list[Answer | None] = [None] * count
    seen: set[int] = set()
    responses = member(body, "responses")
    for response in responses if isinstance(responses, list) else ():
        number = _position(member(response, "id"), count)
        if number is None:
            continue
        answers[number] = None if number in seen else _answer(response)
        seen.add(number)
    return answers


def _position(value: object, count: int) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 2 and int(value) < count:
        return int(value)
    return None


def _answer(response: object) -> Answer | None:
    status = member(response, "status")
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
        return None
    told = member(response, "headers")
    headers = (
        {name.lower(): value for name, value in told.items() if isinstance(value, str)}
        if isinstance(told, Mapping)
        else {}
    )
    return Answer(status=status, headers=headers, body=member(response, "body"))


def send_batch(client: GraphClient, members: Sequence[Member], *, action: str) -> list[MemberAnswer]:
    """Answers in the members' order. Members refused with 401 are sent once more with a new token.

    Raises what the whole envelope's refusal means (PermissionMissing, ConfigurationError, InvariantViolated, ListGone):
    nothing was done then.
    """
    begun = client.clock.monotonic()
    answers = _once(client, members, action, begun)
    refused = [number for number, answer in enumerate(answers) if isinstance(answer, Answer) and answer.status == 401]
    if refused:
        again: list[MemberAnswer]
        if client.too_late(begun):
            return [Unsent(retry_after=None) if number in refused else answer for number, answer in enumerate(answers)]
        try:
            client.renew_token()
            again = _once(client, [members[number] for number in refused], action, begun)
        except Transient as error:
            again = [Unsent(retry_after=error.retry_after)] * len(refused)
        except SyncError:
            return answers  # the others' answers count; a 401 that stays says what is wrong
        for number, answer in zip(refused, again, strict=True):
            answers[number] = answer
    return answers


def _once(client: GraphClient, members: Sequence[Member], action: str, begun: float) -> list[MemberAnswer]:
    if not 0 < len(members) <= MAX_MEMBERS:
        raise InvariantViolated(f"A $batch holds 1 to {MAX_MEMBERS} requests, not {len(members)}.", code="bad_batch")
    count = len(members)
    request = Request(
        method="POST",
        address=urls.BATCH,
        action=action,
        ru=sum(inner.ru for inner in members),
        body=envelope(members),
        writes=any(inner.writes for inner in members),
    )
    try:
        outer = client.send(request, begun=begun)
    except Doubt as error:
        return [Unanswered(reason=error.message)] * count
    except Transient as error:
        if error.code in ("budget", "not_sent", "no_token") or not isinstance(error, GraphUnavailable):
            return [Unsent(retry_after=error.retry_after)] * count
        return [Unanswered(reason=error.message, retry_after=error.retry_after)] * count
    now = client.clock.now()
    if outer.ok and outer.readable:
        found = inner_answers(outer.body, count)
        _tell_throttling(client, members, found, now)
        return [answer if answer is not None else Unanswered(reason="no answer within the $batch") for answer in found]
    wait = wait_of(outer.headers, now)
    if outer.status == 429:
        return [Unsent(retry_after=wait)] * count
    if outer.ok or outer.status >= 500 or outer.status in (408, 409, 410, 412, 423, 424, 425) or outer.status < 400:
        return [Unanswered(reason=f"$batch: {outer.described}", retry_after=wait)] * count
    raise client.failure(outer)


def _tell_throttling(
    client: GraphClient, members: Sequence[Member], answers: Sequence[Answer | None], now: datetime
) -> None:
    """Each member is throttled by itself; the longest wait counts for all."""
    throttled = [
        answer
        for inner, answer in zip(members, answers, strict=True)
        if answer is not None and answer.status in (429, 503) and not (inner.filtered and may_be_threshold(answer))
    ]
    if throttled:
        waits = [wait for answer in throttled if (wait := wait_of(answer.headers, now)) is not None]
        client.throttled(max(waits) if waits else None)
