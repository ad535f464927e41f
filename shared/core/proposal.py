"""From drafts to field mappings: what a draft leaves open is filled in from the table and the list."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from shared.core.columns import Carries, carries, default_kind, title_column
from shared.core.definition import Direction, FieldKind, FieldMapping, ForeignPolicy, SyncMode
from shared.core.draft import DraftDefinition, DraftField
from shared.core.families import Family, element_family
from shared.core.ids import FieldNo
from shared.core.keys import can_be_reserved
from shared.core.list_columns import SYSTEM_COLUMNS, ListColumn
from shared.core.naming import display_names, internal_names
from shared.core.policies import policies_of
from shared.core.snapshot import TableSnapshot
from shared.core.source import SourceColumn


def propose_fields(draft: DraftDefinition, snapshot: TableSnapshot) -> tuple[DraftField, ...]:
    """A field for every column that a list can keep, the one for Title first. A column whose values are both a title and
    worth a column of their own kind gets two, and the title of the two is only shown. Where rows are only pulled, columns
    that cannot be written are left out."""
    title = title_column(snapshot.columns, _key_names(draft, snapshot))
    fields: list[DraftField] = []
    for column in snapshot.columns:
        kind = default_kind(column.type)
        own = kind is not None and not (column is title and kind is FieldKind.TEXT)
        if draft.mode is SyncMode.ONE_WAY_PULL and not (kind and _pullable(draft, snapshot, column, kind)):
            continue
        if column is title:
            shown = Direction.PUSH_ONLY if own and draft.mode is SyncMode.TWO_WAY else None
            if not (own and draft.mode is SyncMode.ONE_WAY_PULL):
                fields.insert(
                    0,
                    DraftField(
                        source_column_name=column.name, target_column_name="Title", kind=FieldKind.TEXT, direction=shown
                    ),
                )
        if own:
            fields.append(DraftField(source_column_name=column.name, kind=kind))
    return tuple(fields)


def fields_of(
    draft: DraftDefinition,
    snapshot: TableSnapshot,
    list_columns: Sequence[ListColumn] = (),
    *,
    next_no: int = 1,
) -> tuple[FieldMapping, ...]:
    """The field mappings of a draft, in its order; new fields are numbered from `next_no`. Fields whose column the table
    does not have, or whose type no list column keeps, are left out: validation names them."""
    existing = {column.name: column for column in list_columns}
    usable = []
    for field in draft.fields:
        column = snapshot.column(field.source_column_name)
        kind = None if column is None else kind_of_field(field, column, existing)
        if column is not None and kind is not None:
            usable.append((field, column, kind))
    internal = _named(internal_names, [(f, f.target_column_name) for f, _, _ in usable], existing)
    shown = [(f, f.target_display_name or _shown(f, existing)) for f, _, _ in usable]
    display = _named(display_names, shown, (column.display_name for column in existing.values()))
    numbers = iter(range(next_no, next_no + len(usable)))
    mappings = []
    for (field, column, kind), target, display_name in zip(usable, internal, display, strict=True):
        system = target in SYSTEM_COLUMNS
        mappings.append(
            FieldMapping(
                no=FieldNo(next(numbers)) if field.no is None else field.no,
                source=column,
                target_column_name=target,
                target_display_name=display_name,
                kind=kind,
                direction=field.direction or _direction(draft, snapshot, column, kind, system=system),
                is_system_field=system,
                transform_rule=field.transform_rule,
                group=field.group,
                choices=_choices(field, column, kind, existing.get(target)),
                required=field.required,
                indexed=field.indexed,
                target_column_id=None if target not in existing else existing[target].id,
            )
        )
    return tuple(mappings)


def kind_of_field(field: DraftField, column: SourceColumn, existing: Mapping[str, ListColumn]) -> FieldKind | None:
    """The list column's kind that a draft field asks for or leaves to its list column or type; None: nothing keeps the type."""
    target = field.target_column_name
    if field.kind is not None:
        return field.kind
    if target is not None and target in SYSTEM_COLUMNS:
        return SYSTEM_COLUMNS[target]
    if target is not None and target in existing:
        return existing[target].kind
    return FieldKind.TEXT if target == "Title" else default_kind(column.type)


def _direction(
    draft: DraftDefinition, snapshot: TableSnapshot, column: SourceColumn, kind: FieldKind, *, system: bool
) -> Direction:
    if system:
        return Direction.PULL_ONLY
    match draft.mode:
        case SyncMode.ONE_WAY_PUSH:
            return Direction.PUSH_ONLY
        case SyncMode.ONE_WAY_PULL:
            return Direction.PULL_ONLY
        case SyncMode.TWO_WAY:
            return Direction.BIDIRECTIONAL if _pullable(draft, snapshot, column, kind) else Direction.PUSH_ONLY


def _pullable(draft: DraftDefinition, snapshot: TableSnapshot, column: SourceColumn, kind: FieldKind) -> bool:
    """Whether people may be expected to write a column from the list. A key is taken from a new item only where nothing
    else can make one."""
    if carries(column.type, kind) is not Carries.BOTH or column.generated:
        return False
    names = _key_names(draft, snapshot)
    if column.name in names:
        key = [found for name in names if (found := snapshot.column(name)) is not None]
        return policies_of(draft).foreign_items is ForeignPolicy.INSERT and not can_be_reserved(key)
    return not column.identity and column.name not in (draft.soft_delete_column, draft.cursor_column)


def _key_names(draft: DraftDefinition, snapshot: TableSnapshot) -> Sequence[str]:
    return draft.key_columns or snapshot.primary_key


def _choices(field: DraftField, column: SourceColumn, kind: FieldKind, target: ListColumn | None) -> tuple[str, ...]:
    if kind not in {FieldKind.CHOICE, FieldKind.MULTICHOICE}:
        return ()
    if field.choices:
        return field.choices
    if target is not None:
        return target.choices
    return column.type.enum_labels if element_family(column.type) is Family.ENUM else ()


def _shown(field: DraftField, existing: Mapping[str, ListColumn]) -> str | None:
    column = existing.get(field.target_column_name or "")
    return None if column is None else column.display_name


def _named(
    make: Callable[[Sequence[str], Iterable[str]], dict[str, str]],
    fields: Sequence[tuple[DraftField, str | None]],
    taken: Iterable[str],
) -> list[str]:
    """The names that are given, and made ones for the others; one source column may stand behind several fields."""
    used = [*taken, *(name for _, name in fields if name)]
    names = []
    for field, given in fields:
        name = given or make([field.source_column_name], used)[field.source_column_name]
        used.append(name)
        names.append(name)
    return names
