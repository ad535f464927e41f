"""What has to be done to make a list's columns those of a plan: pure, so that it can be asked again after any failure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.adapters.graph.answers import member
from shared.adapters.graph.parsing import page_of
from shared.adapters.graph.urls import is_column_name, is_guid
from shared.core.columns import NOT_INDEXABLE
from shared.core.definition import FieldKind
from shared.core.errors import GraphUnavailable
from shared.core.list_columns import ListColumn, list_column
from shared.core.naming import SYNC_KEY_COLUMN
from shared.core.provisioning import MAX_INDEXED, TITLE_COLUMN, ColumnPlan, ListPlan, ProvisionedColumn

SELECT = (
    "id,name,displayName,description,hidden,readOnly,required,indexed,enforceUniqueValues,"
    "text,number,currency,dateTime,boolean,choice,lookup,personOrGroup,calculated"
)
"""Naming `hidden` makes Graph list hidden columns too (msgraph-beta-sdk-dotnet #433)."""

_FACETS = ("text", "number", "currency", "dateTime", "boolean", "choice", "lookup", "personOrGroup", "calculated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A column as Graph lists it, with what only provisioning needs."""

    id: str
    description: str
    column: ListColumn


@dataclass(frozen=True, slots=True, kw_only=True)
class AddColumn:
    body: Mapping[str, Any]
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeColumn:
    column_id: str
    body: Mapping[str, Any]
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Something that only a person can change, as a sentence."""

    sentence: str


Step = AddColumn | ChangeColumn | Obstacle

KEY = ColumnPlan(name=SYNC_KEY_COLUMN, display_name=SYNC_KEY_COLUMN, kind=FieldKind.TEXT, indexed=True, unique=True)


def columns_of(body: object) -> list[Shown]:
    """The columns of a listing. Raises GraphUnavailable for anything that is no listing of columns."""
    return [_shown(element) for element in page_of(body)]


def _shown(element: object) -> Shown:
    column_id, name = member(element, "id"), member(element, "name")
    if (
        not isinstance(element, Mapping)
        or not isinstance(column_id, str)
        or not is_guid(column_id)
        or not isinstance(name, str)
        or any(not isinstance(element.get(part) or {}, Mapping) for part in _FACETS)
    ):
        raise GraphUnavailable("Graph shows a column without an id, a name or a proper type.", code="bad_answer")
    told = {part: value for part, value in element.items() if value is not None}
    description = told.get("description")
    return Shown(
        id=column_id, description=description if isinstance(description, str) else "", column=list_column(told)
    )


def mark_of(name: str) -> str:
    """Stands in the description of a column of ours, so that it is found again if Graph gave it another name."""
    return f"Kept by SyncBridge ({name})"


def matching(wanted: ColumnPlan, columns: Sequence[Shown]) -> Shown | None:
    """The column that a plan means: by our mark, else by name; the title is always Title."""
    if wanted.is_title:
        return next((shown for shown in columns if shown.column.name == TITLE_COLUMN), None)
    marked = [shown for shown in columns if shown.description == mark_of(wanted.name)]
    named = [shown for shown in columns if shown.column.name.lower() == wanted.name.lower()]
    return next(iter(marked + named), None)


def steps_for(plan: ListPlan, columns: Sequence[Shown]) -> list[Step]:
    """What is left to do, the key column first; an empty list: the columns are those of the plan."""
    steps: list[Step] = []
    for wanted in (KEY, *plan.columns):
        steps += _steps(wanted, matching(wanted, columns))
    if not any(wanted.is_title for wanted in plan.columns):
        steps += _relaxed_title(columns)
    return [*_index_limit(steps, columns), *steps]


def _steps(wanted: ColumnPlan, found: Shown | None) -> list[Step]:
    if found is None:
        problem = _unmakeable(wanted)
        if problem is not None:
            return [Obstacle(sentence=problem)]
        return [AddColumn(body=_body(wanted), sentence=f"The column {wanted.name} was added.")]
    column = found.column
    if column.kind is not wanted.kind or column.read_only:
        shown = "read-only" if column.read_only else f"of the kind {column.kind}"
        return [
            Obstacle(
                sentence=f"The list's column {column.name} is {shown}, but {wanted.kind} is needed;"
                " delete or rename it in the list, or map to another column name."
            )
        ]
    return _changed(found, _changes(wanted, column))


def _unmakeable(wanted: ColumnPlan) -> str | None:
    name, kind = wanted.name, wanted.kind
    if wanted.is_title:
        return "The list has no Title column; choose another list."
    if not is_column_name(name):
        return f"{name!r} is no internal column name: a letter, then letters, digits and underscores."
    if facet(kind, ()) is None:
        return f"The list has no column {name}, and one of the kind {kind} has to be made in SharePoint."
    if (wanted.indexed or wanted.unique) and kind in NOT_INDEXABLE:
        return f"SharePoint cannot index a column of the kind {kind} ({name})."
    if wanted.unique and kind is FieldKind.BOOLEAN:
        return f"SharePoint cannot keep a column of the kind {kind} unique ({name})."
    if kind in (FieldKind.CHOICE, FieldKind.MULTICHOICE) and not wanted.choices:
        return f"The choice column {name} needs at least one choice."
    return None


def facet(kind: FieldKind, choices: Sequence[str]) -> dict[str, Any] | None:
    """The type facet of a new column; None for kinds that are not made here. Check boxes mean several choices:
    https://learn.microsoft.com/graph/api/resources/columndefinition has no other flag for it."""
    match kind:
        case FieldKind.TEXT:
            return {"text": {"allowMultipleLines": False, "maxLength": 255}}
        case FieldKind.NOTE:
            return {"text": {"allowMultipleLines": True, "textType": "plain"}}
        case FieldKind.NUMBER:
            return {"number": {"decimalPlaces": "automatic", "displayAs": "number"}}
        case FieldKind.CURRENCY:
            return {"currency": {"locale": "en-us"}}
        case FieldKind.BOOLEAN:
            return {"boolean": {}}
        case FieldKind.DATETIME:
            return {"dateTime": {"displayAs": "standard", "format": "dateTime"}}
        case FieldKind.DATE:
            return {"dateTime": {"displayAs": "standard", "format": "dateOnly"}}
        case FieldKind.CHOICE | FieldKind.MULTICHOICE:
            shape = "checkBoxes" if kind is FieldKind.MULTICHOICE else "dropDownMenu"
            return {"choice": {"allowTextEntry": False, "choices": list(choices), "displayAs": shape}}
        case _:
            return None


def _body(wanted: ColumnPlan) -> dict[str, Any]:
    """One request makes the column whole, so that no row is ever written before its uniqueness is kept. No nulls: a
    null defaultValue or validation makes the creation fail (alcionai/corso)."""
    return {
        "name": wanted.name,
        "displayName": wanted.display_name,
        "description": mark_of(wanted.name),
        "required": wanted.required,
        "hidden": wanted is KEY,
        "indexed": wanted.indexed or wanted.unique,
        "enforceUniqueValues": wanted.unique,
        **(facet(wanted.kind, wanted.choices) or {}),
    }


def _changes(wanted: ColumnPlan, column: ListColumn) -> dict[str, Any]:
    """What differs and matters. A display name is a person's to change: only one that was never set is set."""
    changes: dict[str, Any] = {}
    if column.display_name == column.name and wanted.display_name not in ("", column.name):
        changes["displayName"] = wanted.display_name
    if (wanted.indexed or wanted.unique) and not column.indexed:
        changes["indexed"] = True
    if wanted.unique and not column.unique:
        changes |= {"indexed": True, "enforceUniqueValues": True}
    if wanted is KEY and not column.hidden:
        changes["hidden"] = True
    if (wanted.required and not column.required) or (wanted.is_title and column.required and not wanted.required):
        changes["required"] = wanted.required
    missing = [choice for choice in wanted.choices if choice not in column.choices]
    if column.choices and missing:  # none are shown where people may fill in their own
        changes |= facet(wanted.kind, [*column.choices, *missing]) or {}
    return changes


def _changed(found: Shown, changes: Mapping[str, Any]) -> list[Step]:
    if not changes:
        return []
    sentence = f"The column {found.column.name} was changed: {', '.join(sorted(changes))}."
    return [ChangeColumn(column_id=found.id, body=changes, sentence=sentence)]


def _relaxed_title(columns: Sequence[Shown]) -> list[Step]:
    """A Title that nothing is mapped to must not stop people from saving an item."""
    title = next((shown for shown in columns if shown.column.name == TITLE_COLUMN), None)
    return _changed(title, {"required": False}) if title is not None and title.column.required else []


def _index_limit(steps: Sequence[Step], columns: Sequence[Shown]) -> list[Step]:
    indexed = {shown.id for shown in columns if shown.column.indexed and shown.column.name != "ID"}
    more = 0
    for step in steps:
        match step:
            case AddColumn(body=body):
                more += body["indexed"] is True
            case ChangeColumn(column_id=column_id, body=body):
                more += body.get("indexed") is True and column_id not in indexed
    if len(indexed) + more <= MAX_INDEXED:
        return []
    return [
        Obstacle(
            sentence=f"The list would have {len(indexed) + more} indexed columns, but SharePoint allows {MAX_INDEXED}:"
            " index fewer of the mapped columns."
        )
    ]


def provisioned(wanted: ColumnPlan, columns: Sequence[Shown]) -> ProvisionedColumn:
    """The plan's column under its real name. Raises GraphUnavailable when it is not there (any more)."""
    found = matching(wanted, columns)
    if found is None:
        raise GraphUnavailable(f"The column {wanted.name} has gone while the list was provisioned.", code="bad_answer")
    column = found.column
    return ProvisionedColumn(
        wanted=wanted.name,
        name=column.name,
        display_name=column.display_name,
        kind=column.kind,
        required=column.required,
        indexed=column.indexed,
        unique=column.unique,
        id=found.id,
        choices=column.choices,
    )
