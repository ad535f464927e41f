"""Route templates of HTTP triggers: literals, parameters, constraints, optional and default values, catch-all.

Syntax and precedence: learn.microsoft.com/aspnet/core/fundamentals/routing (route templates, constraints).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from infra.local.host.errors import HostError
from infra.local.host.indexing import Function

_Check = Callable[[str], bool]
_PATTERNS = {
    "int": r"[+-]?\d{1,10}",
    "long": r"[+-]?\d{1,19}",
    "guid": r"\{?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\}?",
    "bool": r"true|false",
    "alpha": r"[a-z]*",
    "datetime": r"\d{4}-\d\d-\d\d(t.*)?|\d{1,2}/\d{1,2}/\d{4}.*",
    "decimal": r"[+-]?\d+(\.\d*)?",
    "double": r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?",
    "float": r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?",
    "required": r".+",
}
_PART = re.compile(r"([^{}]+)|\{(\*{0,2})(\w+)((?::[^{}?=]+)*)(?:=([^{}?]*))?(\?)?\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One HTTP function's address. ``methods`` None: every method."""

    function: Function
    template: str
    methods: frozenset[str] | None
    pattern: re.Pattern[str]
    checks: tuple[tuple[str, _Check], ...]
    defaults: tuple[tuple[str, str], ...]
    rank: tuple[int, ...]

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The route parameters, or None. A wrong method is no match: the real host answers 404 then, not 405."""
        if self.methods is not None and method not in self.methods:
            return None
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        values = {name: value for name, value in found.groupdict().items() if value}
        if any(name in values and not check(values[name]) for name, check in self.checks):
            return None
        return dict(self.defaults) | values


def make_routes(functions: list[Function], prefix: str) -> list[Route]:
    """The routes of all enabled HTTP functions, the most specific first. HostError on a template it cannot read."""
    routes = [
        _make_route(function, prefix)
        for function in functions
        if function.trigger.type == "httpTrigger" and not function.disabled
    ]
    return sorted(routes, key=lambda route: route.rank)


def _make_route(function: Function, prefix: str) -> Route:
    template = str(function.trigger.raw.get("route") or function.name).strip("/")
    methods = function.trigger.raw.get("methods")
    whole = f"{prefix}/{template}".strip("/") if prefix else template
    pattern, checks, defaults, rank = "", [], [], []
    for segment in [part for part in whole.split("/") if part]:
        pieces, weight, optional, catch_all = "", 0, False, False
        if "".join(match[0] for match in _PART.finditer(segment)) != segment:
            raise HostError(
                f"{function.name}: the route {template!r} has the segment {segment!r}, which is no route syntax."
            )
        for literal, stars, name, constraints, default, mark in (match.groups() for match in _PART.finditer(segment)):
            if literal:
                pieces += re.escape(literal)
                continue
            named = [text for text in (constraints or "").split(":") if text]
            checks += [(name, _check(function.name, text)) for text in named]
            if default is not None:
                defaults.append((name, default))
            optional = optional or bool(mark) or default is not None or bool(stars)
            catch_all = bool(stars)
            weight = max(weight, 5 if stars else (2 if named else 3) + bool(mark))
            pieces += rf"(?P<{name}>{'.*' if stars else '[^/]+'})"
        pattern += rf"(?:/{pieces})?" if optional else f"/{pieces}"
        rank.append(5 if catch_all else weight)
    return Route(
        function=function,
        template=whole,
        methods=None if methods is None else frozenset(str(method).upper() for method in methods),
        pattern=re.compile(pattern + "/?", re.IGNORECASE),
        checks=tuple(checks),
        defaults=tuple(defaults),
        rank=(*rank, -1 if not rank else 9),
    )


def _check(function: str, text: str) -> _Check:
    name, _, arguments = text.rstrip(")").partition("(")
    if name in _PATTERNS:
        compiled = re.compile(_PATTERNS[name], re.IGNORECASE)
        return lambda value: compiled.fullmatch(value) is not None
    try:
        numbers = [int(part) for part in arguments.split(",")]
    except ValueError:
        numbers = []
    match name, numbers:
        case "length", [size]:
            return lambda value: len(value) == size
        case "length", [low, high]:
            return lambda value: low <= len(value) <= high
        case "minlength", [low]:
            return lambda value: len(value) >= low
        case "maxlength", [high]:
            return lambda value: len(value) <= high
        case "min", [low]:
            return lambda value: _whole(value) and int(value) >= low
        case "max", [high]:
            return lambda value: _whole(value) and int(value) <= high
        case "range", [low, high]:
            return lambda value: _whole(value) and low <= int(value) <= high
        case _:
            raise HostError(f"{function}: the local host does not know the route constraint {text!r}.")


def _whole(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d{1,19}", text) is not None
