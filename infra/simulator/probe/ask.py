"""What a question is, what it may conclude, and the register of all questions by rule."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from .rig import Rig

Question = Callable[["Rig"], None]
"""Asks the service through the rig. Returns if the rule holds, raises Refuted if not, Unasked if it cannot tell."""

QUESTIONS: Final[dict[str, Question]] = {}
"""Rule id -> its question, for every rule that can be asked from outside."""


class Refuted(AssertionError):
    """The service does something else than the rule says; the message says what was seen."""


class Unasked(Exception):
    """The question does not apply here (a missing permission, a site in UTC); the message says why."""


def asks(rule_id: str) -> Callable[[Question], Question]:
    """Register a question for a rule. A rule has one question at most."""

    def register(question: Question) -> Question:
        if rule_id in QUESTIONS:
            raise ValueError(f"{rule_id} has a question already")
        QUESTIONS[rule_id] = question
        return question

    return register


def expect(held: object, seen: str) -> None:
    """Refute the rule unless `held`; `seen` says what was seen instead."""
    if not held:
        raise Refuted(seen)


def same(actual: object, wanted: object, what: str = "value") -> None:
    """Refute the rule unless the two are equal."""
    expect(actual == wanted and type(actual) is type(wanted), f"{what}: saw {actual!r}, not {wanted!r}")


def status(answer: httpx.Response, *wanted: int) -> httpx.Response:
    """Refute the rule unless the answer has one of the wanted statuses."""
    seen = f"{answer.status_code} {code(answer)}: {message(answer)}"
    expect(answer.status_code in wanted, f"{answer.request.method} {answer.request.url.path}: saw {seen}, not {wanted}")
    return answer


def refused(answer: httpx.Response, *, code_is: str | None = None, says: str = "") -> None:
    """Refute the rule unless the answer is a 400, with that code and that text in its message (case ignored)."""
    status(answer, 400)
    if code_is is not None:
        same(code(answer), code_is, "error.code")
    expect(says.lower() in message(answer).lower(), f"message: saw {message(answer)!r}, without {says!r}")


def error(answer: httpx.Response) -> dict[str, Any]:
    """Give the `error` object of an answer, or {} if it has none."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    found = body.get("error") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def code(answer: httpx.Response) -> str:
    """Give the outermost error code, or an empty string."""
    return str(error(answer).get("code", ""))


def message(answer: httpx.Response) -> str:
    """Give the error's message, or an empty string."""
    return str(error(answer).get("message", ""))


def inner_codes(answer: httpx.Response) -> list[str]:
    """Give the codes of the nested inner errors, outermost first."""
    codes: list[str] = []
    node: Any = error(answer)
    while isinstance(node, dict):
        node = node.get("innerError", node.get("innererror"))
        if isinstance(node, dict) and "code" in node:
            codes.append(str(node["code"]))
    return codes


def looks_like(text: object, pattern: str) -> bool:
    """Tell whether the whole text matches."""
    return isinstance(text, str) and re.fullmatch(pattern, text) is not None


GUID: Final = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
INSTANT: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
