"""What of a table is not any more what a definition was made for: some fields pause, or the whole definition stops."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.core.definition import FieldMapping, SourceSpec
from shared.core.families import Family, element_family
from shared.core.flows import flows_of
from shared.core.ids import FieldNo
from shared.core.paused import Pause
from shared.core.record import DefinitionRecord
from shared.core.scope import columns_of
from shared.core.scope_text import parse
from shared.core.snapshot import TableSnapshot
from shared.core.source import RelationKind, SourceColumn, SourceType


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    whole: tuple[str, ...] = ()
    """Parts of a sentence: why nothing of the definition can go on. Rows are known, chosen, ordered or deleted by these
    columns, or no field is left."""
    fields: Mapping[FieldNo, str] = field(default_factory=dict)
    """The fields that pause, each with the reason; none where the whole definition stops."""
    anew: frozenset[FieldNo] = frozenset()
    """The fields whose column is another one of the same name: it was dropped and made anew, or renamed and replaced, and may
    be empty. A person says that it is the field's. Known whether or not the whole definition stops: whoever saves it again
    must not take such a column for what was agreed on."""


def drift_of(record: DefinitionRecord, now: TableSnapshot) -> Drift:
    vital, in_place = _vital(record), _keep_their_places(_known(record), now)
    anew = {
        mapping.no: why
        for mapping in record.fields
        if (why := _made_anew(mapping.source, now, in_place=in_place, paused=mapping.paused is not None)) is not None
    }
    whole = tuple(_stopping(record, vital, now, in_place=in_place))
    if whole:
        return Drift(whole=whole, anew=frozenset(anew))
    going = flows_of((replace(mapping, paused=None) for mapping in record.fields), record.draft.mode, record.key)
    mapped = [mapping for mapping in record.fields if mapping.no in going and mapping.source.name not in vital]
    reasons = {
        mapping.no: why
        for mapping in mapped
        if (why := _changed(mapping.source, now) or anew.get(mapping.no)) is not None
    }
    paused = _with_groups(mapped, reasons)
    if mapped and len(paused) == len(mapped):
        return Drift(whole=tuple(dict.fromkeys(paused.values())), anew=frozenset(anew))
    return Drift(fields=paused, anew=frozenset(anew))


def moved(spec: SourceSpec, now: TableSnapshot) -> str | None:
    """Why rows that were just read do not say what the definition takes them to say: a part of a sentence. `drift_of` finds
    the same in the definition."""
    used = (*spec.key.columns, *spec.read, spec.soft_delete_column)
    known = {column.name: column for column in used if column is not None}
    in_place = _keep_their_places(known.values(), now)
    reasons = (_changed(was, now) or _made_anew(was, now, in_place=in_place) for was in known.values())
    return next((reason for reason in reasons if reason is not None), None)


def adjusted(
    record: DefinitionRecord, drift: Drift, now: TableSnapshot, *, at: datetime, seen_by: str
) -> DefinitionRecord:
    """With the fields paused that have to be, and the others going on, where the catalog has their columns now; as it was
    where the whole definition stops."""
    if drift.whole:
        return record
    fields = tuple(
        replace(
            mapping,
            source=mapping.source if mapping.no in drift.anew else _placed(mapping.source, now),
            paused=_pause(mapping.paused, drift.fields.get(mapping.no), at, seen_by),
        )
        for mapping in record.fields
    )
    soft, cursor = record.soft_delete_column, record.cursor_column
    return replace(
        record,
        fields=fields,
        key=replace(record.key, columns=tuple(_placed(column, now) for column in record.key.columns)),
        soft_delete_column=None if soft is None else _placed(soft, now),
        cursor_column=None if cursor is None else _placed(cursor, now),
    )


def _placed(column: SourceColumn, now: TableSnapshot) -> SourceColumn:
    """A copy of a database may number its columns anew: what is made anew there later is told by those numbers."""
    found = now.column(column.name)
    return column if found is None else replace(column, position=found.position)


def alike(was: SourceType, now: SourceType) -> bool:
    """Whether values of both types travel alike: types of one family, which differ in what they can hold. Then only a value
    that does not fit is set aside."""
    family = element_family(was)
    if was.is_array != now.is_array or family is not element_family(now):
        return False
    return was.name == now.name or family not in (Family.ENUM, Family.OTHER)


def _vital(record: DefinitionRecord) -> Mapping[str, SourceColumn | None]:
    """The columns that decide which rows are meant, with what they were; None: only their name is known."""
    found: dict[str, SourceColumn | None] = {column.name: column for column in record.key.columns}
    for extra in (record.soft_delete_column, record.cursor_column):
        if extra is not None:
            found.setdefault(extra.name, extra)
    if record.draft.row_filter is not None:
        known = {mapping.source.name: mapping.source for mapping in record.fields}
        for name in columns_of(parse(record.draft.row_filter)):
            found.setdefault(name, known.get(name))
    return found


def _stopping(
    record: DefinitionRecord, vital: Mapping[str, SourceColumn | None], now: TableSnapshot, *, in_place: bool
) -> Iterator[str]:
    own = {column.name for column in (*record.key.columns, record.soft_delete_column, record.cursor_column) if column}
    for name, was in vital.items():
        found = now.column(name)
        if found is None:
            filtering = "" if name in own else " of the row filter"
            yield f"the column {name}{filtering} is gone, or has another name now"
        elif was is not None and (found.type.name, found.type.is_array) != (was.type.name, was.type.is_array):
            yield f"the column {name} was {was.type.declared} and is {found.type.declared} now"
        elif was is not None and (why := _made_anew(was, now, in_place=in_place)) is not None:
            yield why


def _changed(was: SourceColumn, now: TableSnapshot) -> str | None:
    found = now.column(was.name)
    if found is None:
        return f"the column {was.name} is gone, or has another name now"
    if not alike(was.type, found.type):
        return f"the column {was.name} was {was.type.declared} and is {found.type.declared} now"
    return None


def _known(record: DefinitionRecord) -> Iterator[SourceColumn]:
    yield from record.key.columns
    yield from (mapping.source for mapping in record.fields)
    yield from (column for column in (record.soft_delete_column, record.cursor_column) if column is not None)


def _keep_their_places(known: Iterable[SourceColumn], now: TableSnapshot) -> bool:
    """Whether this is a table in which a column that is made anew comes behind all others, and some known column is where it
    was. A copy of a database may number its columns anew: all of them, or those behind a column that was dropped, which
    move to the front. A view keeps no values."""
    if now.kind not in (RelationKind.TABLE, RelationKind.PARTITIONED):
        return False
    places = {column.name: column.position for column in known}
    return any(column.position == places.get(column.name) for column in now.columns)


def _made_anew(was: SourceColumn, now: TableSnapshot, *, in_place: bool, paused: bool = False) -> str | None:
    """Where its field was paused, any other number tells; where nobody saw it go, only one behind its place."""
    found = now.column(was.name)
    if found is None or found.position == was.position:
        return None
    if not paused and not (in_place and found.position > was.position):
        return None
    return f"the column {found.name} is there, but it is another one, made anew, and may be empty"


def _with_groups(mapped: list[FieldMapping], paused: Mapping[FieldNo, str]) -> dict[FieldNo, str]:
    """Fields of one group are one value: they pause together."""
    found = dict(paused)
    reasons = {mapping.group: paused[mapping.no] for mapping in mapped if mapping.group and mapping.no in paused}
    for mapping in mapped:
        if mapping.group in reasons and mapping.no not in found:
            found[mapping.no] = f"its group {mapping.group} is one value, and {reasons[mapping.group]}"
    return found


def _pause(known: Pause | None, reason: str | None, at: datetime, seen_by: str) -> Pause | None:
    if reason is None:
        return None
    return Pause(reason=reason, since=at, seen_by=seen_by) if known is None else replace(known, reason=reason)
