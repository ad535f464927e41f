"""OData query options: with or without `$`, and the nested ones of an expand."""

from dataclasses import dataclass

from infra.simulator import errors
from infra.simulator.shapes import View

_KNOWN = frozenset({"select", "expand", "filter", "top", "orderby", "count", "skip", "skiptoken", "search", "token"})


@dataclass(frozen=True, slots=True)
class Options:
    """Values by option name without `$`; absent options are absent."""

    values: dict[str, str]

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    @property
    def select(self) -> frozenset[str] | None:
        return names(self.values.get("select"))

    def expansions(self) -> dict[str, dict[str, str]]:
        """Navigation -> its nested options, for `a($select=x),b(expand=c)`. Raises GraphError."""
        return expansions(self.values.get("expand", ""))

    def top(self) -> int | None:
        """Raises GraphError for anything but a whole number above zero."""
        text = self.values.get("top")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit()) or int(text) < 1 or len(text) > 12:
            raise errors.invalid(
                f"Invalid value '{text[:40]}' for $top: a positive number is needed.", "invalidQueryOption"
            )
        return int(text)


def parse(query: dict[str, str], *, bare: bool = True) -> Options:
    """`bare`: options without a dollar sign count too, as SharePoint's Graph endpoints take them."""
    values: dict[str, str] = {}
    for name, value in query.items():
        plain = name.removeprefix("$").lower()
        if plain not in _KNOWN or (not bare and not name.startswith("$") and plain not in ("token", "search")):
            continue
        values[plain] = value
    return Options(values)


def names(text: str | None) -> frozenset[str] | None:
    if text is None or not text.strip() or text.strip() == "*":
        return None
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _split(text: str, separator: str) -> list[str]:
    """Split at separators that stand outside parentheses. Raises GraphError when they do not balance."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
        if character == separator and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    if depth:
        raise errors.invalid(
            "Parsing OData Select and Expand failed: parentheses do not balance.", "invalidQueryOption"
        )
    return [*parts, text[start:]]


def expansions(text: str, *, bare: bool = True) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for part in _split(text, ","):
        name, _, rest = part.strip().partition("(")
        if not name.strip():
            continue
        nested: dict[str, str] = {}
        if rest:
            for option in _split(rest.rstrip().removesuffix(")"), ";"):
                key, _, value = option.partition("=")
                if bare or key.strip().startswith("$"):
                    nested[key.strip().removeprefix("$").lower()] = value.strip()
        found[name.strip()] = nested
    return found


def view(options: Options, *, bare: bool = True, fields_always: bool = False) -> View:
    """What to show of an item. Raises GraphError."""
    expanded = expansions(options.get("expand") or "", bare=bare)
    for name in expanded:
        if name not in (
            "fields",
            "driveItem",
            "columnSet",
            "analytics",
            "versions",
            "permissions",
            "createdByUser",
            "lastModifiedByUser",
            "contentType",
        ):
            raise errors.invalid(
                "Parsing OData Select and Expand failed: "
                f"Could not find a property named '{name[:80]}' on type 'microsoft.graph.listItem'."
            )
    fields = expanded.get("fields")
    selected = options.select
    inner = _ordered(fields.get("select")) if fields is not None else None
    shown = fields is not None or fields_always or (selected is not None and "fields" in selected)
    return View(selected, shown, inner)


def _ordered(text: str | None) -> tuple[str, ...] | None:
    if text is None or not text.strip() or text.strip() == "*":
        return None
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def field_select(options: Options) -> tuple[str, ...] | None:
    """`$select` of a fieldValueSet, in the order given."""
    return _ordered(options.get("select"))
