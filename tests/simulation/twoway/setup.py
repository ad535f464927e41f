"""What a two-way seed has configured: the list's columns, the definition, and what the documentation leaves open."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

from shared.core.definition import (
    ConflictPolicy,
    DefinitionState,
    DeletePolicy,
    Direction,
    FieldKind,
    FieldMapping,
    ForeignPolicy,
    GuardSettings,
    LeftScope,
    SourceSpec,
    SyncDefinition,
    SyncMode,
    TargetList,
)
from shared.core.flows import flows_of
from shared.core.ids import ConnectionId, DefinitionId, FieldNo, InstanceId, ListId, SiteId
from shared.core.mapping import mapping_fingerprint
from shared.core.scope import Compare, Operator
from shared.core.source import KeyStrategy, RelationKind, SourceColumn, SourceKey, TableRef
from tests.simulation.stage import INSTANCE
from tests.simulation.twoway.terms import Gone, Mode, Terms, Way, Winner

COLUMNS = {"a": "Title", "b": "Bee", "n": "Count", "g": "Gee", "h": "Aitch", "p": "Pee", "q": "Queue"}
"""Source column -> list column."""
WAYS = dict.fromkeys("abngh", Way.BOTH) | {"p": Way.TO_ITEM, "q": Way.TO_ROW}
GROUP = ("g", "h")
KEY, NOTE, NUMBER = "SyncKey", "Remark", "Number"
KEYS = {Mode.BOTH: Direction.BIDIRECTIONAL, Mode.PULL: Direction.PULL_ONLY, Mode.PUSH: Direction.PUSH_ONLY}
"""Where people type keys, and see them."""
LEFT_SCOPE = {Gone.FOLLOWS: LeftScope.DELETE, Gone.STAYS: LeftScope.KEEP, Gone.ASKS: LeftScope.ASK}
DIRECTIONS = {Way.BOTH: Direction.BIDIRECTIONAL, Way.TO_ITEM: Direction.PUSH_ONLY, Way.TO_ROW: Direction.PULL_ONLY}
REFUSED = -1000
"""The table takes no number that is as low as this."""
PEOPLE = {"Megan Bowen": 1, "Adele Vance": 7, "Alex Wilber": 9}
"""Name -> id in the site's User Information List."""
APPLICATION = 1073741822
"""The id that stands for every application there."""
SYSTEM = {
    "": None,
    "modified": ("Modified", FieldKind.DATETIME),
    "editor": ("Editor", FieldKind.PERSON),
}
"""What the list notes by itself and a row may take over."""


def terms_of(dice: Random) -> Terms:
    gone = (Gone.FOLLOWS, Gone.FOLLOWS, Gone.FOLLOWS, Gone.RETURNS, Gone.STAYS)
    return Terms(
        winner=dice.choice(tuple(Winner)),
        row_deleted=dice.choice(gone),
        item_deleted=dice.choice(gone),
        foreign_insert=dice.random() < 0.8,
        reserved=dice.random() < 0.5,
        versions=dice.random() < 0.7,
        ways=dict(WAYS),
        group=GROUP,
    )


def asking(terms: Terms, dice: Random) -> Terms:
    """The same terms, where a person is asked before one side's delete is carried over to the other, or both sides'."""
    rows, items = dice.choice(((True, True), (True, True), (True, False), (False, True)))
    return replace(
        terms,
        row_deleted=Gone.ASKS if rows else terms.row_deleted,
        item_deleted=Gone.ASKS if items else terms.item_deleted,
    )


def one_way(terms: Terms, dice: Random) -> Terms:
    """The same terms, where one side alone is the record: only what may be written there is mapped, and the policies are
    those that such a definition may have."""
    mode = dice.choice((Mode.PULL, Mode.PULL, Mode.PUSH))
    if mode is Mode.PULL:
        return replace(
            terms,
            mode=mode,
            row_deleted=dice.choice((Gone.RETURNS, Gone.RETURNS, Gone.STAYS, Gone.ASKS)),
            item_deleted=dice.choice((Gone.FOLLOWS, Gone.FOLLOWS, Gone.STAYS, Gone.ASKS)),
            foreign_insert=True,
            ways={name: Way.TO_ROW for name, way in WAYS.items() if way is not Way.TO_ITEM},
        )
    return replace(
        terms,
        mode=mode,
        row_deleted=dice.choice((Gone.FOLLOWS, Gone.FOLLOWS, Gone.STAYS, Gone.ASKS)),
        item_deleted=dice.choice((Gone.RETURNS, Gone.RETURNS, Gone.STAYS, Gone.ASKS)),
        foreign_insert=False,
        ways={name: Way.TO_ITEM for name, way in WAYS.items() if way is not Way.TO_ROW},
    )


def leaving(terms: Terms, dice: Random) -> Terms:
    """The same terms, of either mode, where rows are marked as deleted, leave a filter, or both."""
    made = one_way(terms, dice) if dice.random() < 0.3 else terms
    filtered, marker = dice.choice(((True, ""), (True, "gone"), (False, "gone"), (False, "gone_at"), (False, "")))
    left = dice.choice((Gone.FOLLOWS, Gone.FOLLOWS, Gone.STAYS, Gone.ASKS))
    return replace(made, filtered=filtered, marker=marker, left_scope=left)


def open_questions(dice: Random) -> dict[str, Any]:
    """What the documentation leaves open, by seed."""
    return {
        "throttling": False,
        "page_size_default": dice.choice((1, 2, 3, 200)),
        "delta_repeat_rate": dice.choice((0.0, 0.3)),
        "delta_empty_page_rate": dice.choice((0.0, 0.3)),
        "delta_unchanged_rate": dice.choice((0.0, 0.2)),
        "delta_lag_seconds": dice.choice((0.0, 0.0, 0.0, 30.0)),
        "restore_bumps_version": dice.random() < 0.5,
        "unique_violation": dice.choice((409, 400)),
        "integral_as": dice.choice(("float", "int")),
        **gone_token(dice),
    }


def gone_token(dice: Random) -> dict[str, Any]:
    """How SharePoint says that it does not know a token any more."""
    codes = ("resyncChangesApplyDifferences", "resyncChangesUploadDifferences", "resyncRequired", "syncStateNotFound")
    return {"delta_gone_code": dice.choice(codes), "delta_gone_flavour": dice.choice((410, 410, 400, 404))}


def list_columns(*, unique: bool) -> list[dict[str, Any]]:
    return [
        {"name": KEY, "text": {}, "hidden": True, "indexed": True, "enforceUniqueValues": unique},
        *({"name": name, "text": {}} for field, name in COLUMNS.items() if field not in "an"),
        {"name": COLUMNS["n"], "number": {}},
        {"name": NUMBER, "number": {}},
        {"name": NOTE, "text": {}},
    ]


def definition_of(
    terms: Terms,
    *,
    known_as: DefinitionId,
    table: str,
    columns: Mapping[str, SourceColumn],
    site: SiteId,
    list_id: str,
    system: str,
    debounce: int,
) -> SyncDefinition:
    """`system`: the row's column that takes over what the list notes by itself; "": none. `debounce`: seconds."""
    fields = [
        FieldMapping(
            no=FieldNo(no),
            source=columns[name],
            target_column_name=COLUMNS[name],
            target_display_name=COLUMNS[name],
            kind=FieldKind.NUMBER if name == "n" else FieldKind.TEXT,
            direction=DIRECTIONS[terms.ways[name]],
            group="pair" if name in terms.group else None,
        )
        for no, name in enumerate(WAYS, start=1)
        if name in terms.ways
    ]
    if not terms.reserved:
        fields.append(
            FieldMapping(
                no=FieldNo(20),
                source=columns["id"],
                target_column_name=NUMBER,
                target_display_name=NUMBER,
                kind=FieldKind.NUMBER,
                direction=KEYS[terms.mode],
            )
        )
    if (pulled := SYSTEM[system]) is not None:
        fields.append(
            FieldMapping(
                no=FieldNo(30),
                source=columns[system],
                target_column_name=pulled[0],
                target_display_name=pulled[0],
                kind=pulled[1],
                direction=Direction.PULL_ONLY,
                is_system_field=True,
            )
        )
    key = SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=(columns["id"],))
    mode = SyncMode(terms.mode.value)
    taking_part = flows_of(fields, mode, key)
    return SyncDefinition(
        id=known_as,
        name="simulation",
        version=1,
        state=DefinitionState.ACTIVE,
        mode=mode,
        conflict_policy=ConflictPolicy(terms.winner.value),
        source=SourceSpec(
            instance_id=InstanceId(INSTANCE),
            table=TableRef(schema="public", name=table),
            relation=RelationKind.TABLE,
            key=key,
            columns=tuple(mapping.source for mapping in fields if mapping.no in taking_part),
            scope=Compare(column="open", operator=Operator.EQUAL, value=True) if terms.filtered else None,
            soft_delete_column=columns[terms.marker] if terms.marker else None,
            cursor_column=columns["changed_at"],
        ),
        target=TargetList(
            connection_id=ConnectionId(UUID(int=2)),
            site_id=site,
            list_id=ListId(list_id),
            key_column=KEY,
            keeps_versions=terms.versions,
        ),
        fields=tuple(fields),
        mapping_fingerprint=mapping_fingerprint(fields, "UTC"),
        scope_fingerprint=b"s" * 16,
        left_scope=LEFT_SCOPE[terms.left_scope],
        row_deleted=DeletePolicy(terms.row_deleted.value),
        item_deleted=DeletePolicy(terms.item_deleted.value),
        foreign_items=ForeignPolicy.INSERT if terms.foreign_insert else ForeignPolicy.IGNORE,
        guards=GuardSettings(max_writes_per_row=100_000),
        debounce=timedelta(seconds=debounce),
    )
