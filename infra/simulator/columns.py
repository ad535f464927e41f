"""Columns of a list: kinds, facets, the system columns, internal names, and how a definition is checked.

Sources: learn.microsoft.com/en-us/graph/api/resources/columndefinition; "Add an index to a SharePoint column"
(support.microsoft.com); SharePoint's rule for encoding internal names.
"""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from infra.simulator import errors
from infra.simulator.tenants import stable_guid

_BIGGEST = 1.7976931348623157e308

# Facet -> members a new column has when the caller leaves them out.
FACETS: dict[str, dict[str, Any]] = {
    "text": {"allowMultipleLines": False, "appendChangesToExistingText": False, "linesForEditing": 0, "maxLength": 255},
    "number": {"decimalPlaces": "automatic", "displayAs": "number", "maximum": _BIGGEST, "minimum": -_BIGGEST},
    "currency": {"locale": "en-us"},
    "dateTime": {"displayAs": "default", "format": "dateTime"},
    "boolean": {},
    "choice": {"allowTextEntry": False, "choices": [], "displayAs": "dropDownMenu"},
    "lookup": {"allowMultipleValues": False, "allowUnlimitedLength": False, "columnName": "Title", "listId": ""},
    "personOrGroup": {"allowMultipleSelection": False, "chooseFromType": "peopleOnly", "displayAs": "nameWithPresence"},
    "hyperlinkOrPicture": {"isPicture": False},
    "calculated": {"format": "dateTime", "formula": "", "outputType": "text"},
    "term": {"allowMultipleValues": False, "showFullyQualifiedName": False},
    "geolocation": {},
    "thumbnail": {},
    "contentApprovalStatus": {},
}
# Facets that a listing of list columns leaves out (the columnDefinition page says so).
UNTOLD = frozenset({"hyperlinkOrPicture", "term", "thumbnail", "contentApprovalStatus"})

_ENUMS: dict[tuple[str, str], tuple[str, ...]] = {
    ("text", "textType"): ("plain", "richText"),
    ("number", "displayAs"): ("number", "percentage"),
    ("number", "decimalPlaces"): ("automatic", "none", "one", "two", "three", "four", "five"),
    ("dateTime", "displayAs"): ("default", "friendly", "standard"),
    ("dateTime", "format"): ("dateOnly", "dateTime"),
    ("choice", "displayAs"): ("checkBoxes", "dropDownMenu", "radioButtons"),
    ("personOrGroup", "chooseFromType"): ("peopleAndGroups", "peopleOnly"),
    ("calculated", "format"): ("dateOnly", "dateTime"),
    ("calculated", "outputType"): ("boolean", "currency", "dateTime", "number", "text"),
}

INDEXABLE = frozenset({"text", "choice", "number", "currency", "dateTime", "boolean", "user", "lookup", "term"})
UNIQUE_ABLE = INDEXABLE - {"boolean"}
MULTI = frozenset({"multichoice", "multilookup", "multiuser", "multiterm"})
LOOKUPS = frozenset({"lookup", "multilookup", "user", "multiuser"})
MAX_INDEXED = 20
_GROUP = "Custom Columns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`slot` is where its values are stored: a column made again under an old name gets a new slot."""

    id: str
    slot: str
    name: str
    title: str
    kind: str
    facet: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    description: str = ""
    group: str = _GROUP
    indexed: bool = False
    unique: bool = False
    hidden: bool = False
    required: bool = False
    read_only: bool = False
    system: bool = False
    default: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        """The member of `fields` that a writer uses."""
        return f"{self.name}LookupId" if self.kind in LOOKUPS else self.name

    def doc(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(doc: dict[str, Any]) -> "Column":
        return Column(**doc)


def _system(
    name: str, title: str, kind: str, *, facet: str = "", read_only: bool = True, hidden: bool = False, slot: str = ""
) -> Column:
    return Column(
        id=stable_guid("system column", name),
        slot=slot,
        name=name,
        title=title,
        kind=kind,
        facet=facet,
        options=dict(FACETS.get(facet, {})),
        group="_Hidden" if hidden else "Custom Columns",
        read_only=read_only,
        hidden=hidden,
        system=True,
        indexed=name == "ID",
        required=False,
    )


TITLE = replace(_system("Title", "Title", "text", facet="text", read_only=False, slot="t"), required=True)
SYSTEM: tuple[Column, ...] = (
    _system("ContentType", "Content Type", "text", facet="text", read_only=False),
    TITLE,
    _system("ComplianceAssetId", "Compliance Asset Id", "text", facet="text"),
    _system("ID", "ID", "counter", facet="number"),
    _system("Modified", "Modified", "dateTime", facet="dateTime"),
    _system("Created", "Created", "dateTime", facet="dateTime"),
    _system("Author", "Created By", "user", facet="personOrGroup"),
    _system("Editor", "Modified By", "user", facet="personOrGroup"),
    _system("_UIVersionString", "Version", "text", facet="text"),
    _system("Attachments", "Attachments", "boolean", facet="boolean"),
    _system("Edit", "Edit", "text", facet="text"),
    _system("LinkTitleNoMenu", "Title", "text", facet="text"),
    _system("LinkTitle", "Title", "text", facet="text"),
    _system("DocIcon", "Type", "text", facet="text"),
    _system("ItemChildCount", "Item Child Count", "text", facet="lookup"),
    _system("FolderChildCount", "Folder Child Count", "text", facet="lookup"),
    _system("_ComplianceFlags", "Label setting", "text", facet="text"),
    _system("_ComplianceTag", "Retention label", "text", facet="text"),
    _system("_ComplianceTagWrittenTime", "Retention label Applied", "text", facet="text"),
    _system("_ComplianceTagUserId", "Label applied by", "text", facet="text"),
    _system("_IsRecord", "Item is a Record", "text", facet="text"),
    _system("AppAuthor", "App Created By", "text", facet="lookup"),
    _system("AppEditor", "App Modified By", "text", facet="lookup"),
    _system("GUID", "GUID", "text", facet="text", hidden=True),
    _system("owshiddenversion", "owshiddenversion", "text", facet="number", hidden=True),
    _system("UniqueId", "Unique Id", "text", facet="lookup", hidden=True),
)
SYSTEM_BY_NAME = {column.name: column for column in SYSTEM}
_RESERVED = {name.lower() for name in SYSTEM_BY_NAME} | {
    "id",
    "order",
    "attachments",
    "properties",
    "fields",
    "metainfo",
    "guid",
    "scopeid",
}
NOT_XML_NAME = re.compile(r"[^A-Za-z0-9_\u00c0-\uffff]")


def internal_name(text: str) -> str:
    """SharePoint's internal name of a display name: characters that XML names lack become `_xHHHH_`, 32 characters at most."""
    encoded = NOT_XML_NAME.sub(lambda match: f"_x{ord(match.group()):04x}_", text)
    if encoded[:1].isdigit():
        encoded = f"_x{ord(encoded[0]):04x}_{encoded[1:]}"
    return encoded[:32]


def free_name(name: str, taken: Callable[[str], bool]) -> str:
    """`name` unless it belongs to a system field; those get a digit: Author becomes Author0."""
    if name.lower() not in _RESERVED:
        return name
    return next(candidate for n in range(1000) if not taken(candidate := f"{name}{n}"))


def facet_of(body: dict[str, Any], *, first_wins: bool = False) -> tuple[str, dict[str, Any]] | None:
    """The one facet of a definition and its checked members; None if there is none. Raises GraphError."""
    named = [name for name in FACETS if body.get(name) is not None]
    if not named:
        return None
    if len(named) > 1 and not first_wins:
        raise errors.bad_argument("A column has exactly one type facet.")
    facet = named[0]
    given = body[facet]
    if not isinstance(given, dict):
        raise errors.bad_argument()
    members = {name: value for name, value in given.items() if not name.startswith("@")}
    for name, value in members.items():
        _check_member(facet, name, value)
    return facet, FACETS[facet] | {name: value for name, value in members.items() if value is not None}


def _check_member(facet: str, name: str, value: Any) -> None:
    if value is None:
        return
    allowed = _ENUMS.get((facet, name))
    if allowed is not None and value not in allowed:
        raise errors.bad_argument()
    default = FACETS[facet].get(name)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match default:
        case bool():
            fits = isinstance(value, bool)
        case int() | float():
            fits = number
        case list():
            fits = isinstance(value, list) and all(isinstance(entry, str) and entry for entry in value)
        case str():
            fits = isinstance(value, str | list) if name == "displayAs" else isinstance(value, str)
        case _:
            fits = isinstance(value, str | bool | int | float | list)
    if not fits or (facet == "text" and name == "maxLength" and not 1 <= value <= 255):
        raise errors.bad_argument()


def kind_of(facet: str, options: dict[str, Any]) -> str:
    match facet:
        case "text":
            return "note" if options.get("allowMultipleLines") else "text"
        case "choice":
            return "multichoice" if options.get("displayAs") == "checkBoxes" else "choice"
        case "lookup":
            return "multilookup" if options.get("allowMultipleValues") else "lookup"
        case "personOrGroup":
            return "multiuser" if options.get("allowMultipleSelection") else "user"
        case "term":
            return "multiterm" if options.get("allowMultipleValues") else "term"
        case "hyperlinkOrPicture":
            return "url"
        case _:
            return facet


def flag(body: dict[str, Any], name: str, *, default: bool) -> bool:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise errors.bad_argument()
    return value


def text_member(body: dict[str, Any], name: str, *, default: str = "") -> str:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise errors.bad_argument()
    return value
