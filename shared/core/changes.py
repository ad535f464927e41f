"""What travels through the queue cdc-changes: which keys of which tables changed, never a value beyond the key.

A message is JSON; longer ones are compressed and written as base64, because a queue's message is text. It names the slot
that the changes came from and where in the log they lie, so that a message can be told from one of another server.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from shared.core.errors import MessageRejected
from shared.core.ids import DefinitionId, Identity, InstanceId, identity_of
from shared.core.renames import KeyChange
from shared.core.replication import Lsn, lsn_text, parse_lsn
from shared.core.source import TableRef

SCHEMA_VERSION: Final = 1
MOST_BYTES: Final = 49_152
"""Of a message as the queue takes it, before the queue's own base64."""
MOST_KEYS: Final = 2_000
"""Of one message: what one call of a function marks well within its time."""
_MOST_UNPACKED: Final = 32 * 1024 * 1024
_PLAIN: Final = 1_024
"""Shorter ones stay readable: compressing them saves nothing."""
_RATIO: Final = 6
"""Keys compress at least this well, mostly; where they do not, a message is cut in two."""


class Operation(StrEnum):
    """What became of a key, for people: settle looks at the row, whatever the operation was."""

    INSERT = "I"
    UPDATE = "U"
    DELETE = "D"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotIdentity:
    """Which slot of which server's history: where one of these differs, positions mean something else."""

    instance: InstanceId
    system: str
    """The server's system identifier."""
    timeline: int
    name: str
    created: Lsn
    """Where the slot began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChanges:
    """Changed keys of one table, in the columns of one key."""

    table: TableRef
    key: tuple[str, ...]
    operations: Mapping[Identity, Operation] = field(repr=False)
    """Each key once, with the last thing that happened to it."""
    renames: tuple[KeyChange, ...] = field(default=(), repr=False)
    """Which key became which, in their order: a hint, that both are of one row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeMessage:
    slot: SlotIdentity
    first: Lsn
    last: Lsn
    """Positions of the first and the last transaction that it has changes of."""
    committed_at: datetime
    """When the oldest of its transactions committed, by the source's clock."""
    tables: tuple[TableChanges, ...]

    @property
    def keys(self) -> int:
        return sum(len(table.operations) for table in self.tables)

    @property
    def renames(self) -> int:
        return sum(len(table.renames) for table in self.tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleWish:
    """Nothing new: what a definition's backlog has left is to be settled, now that its wait is over."""

    definition: DefinitionId


def pack_wish(wish: SettleWish) -> str:
    return json.dumps({"schema_version": SCHEMA_VERSION, "settle": str(wish.definition)})


def pack(message: ChangeMessage) -> Iterator[str]:
    """The message as texts for the queue, as many as it takes. Raises MessageRejected when a single key is too long."""
    document = _document(message)
    if max(message.keys, message.renames) <= MOST_KEYS and len(document) <= MOST_BYTES * _RATIO:
        text = _text(document)
        if len(text) <= MOST_BYTES:
            yield text
            return
    if message.keys <= 1 and message.renames:  # the keys are what counts
        yield from pack(replace(message, tables=tuple(replace(table, renames=()) for table in message.tables)))
        return
    if message.keys <= 1:
        raise MessageRejected("a single key is too long for a message", code="key_too_long")
    for half in _halves(message):
        yield from pack(half)


def unpack(text: str) -> ChangeMessage | SettleWish:
    """Raises MessageRejected, which says what is wrong and never repeats what it was given."""
    try:
        document = json.loads(_plain(text))
        return _message(document)
    except (binascii.Error, zlib.error):
        raise MessageRejected("it is neither JSON nor compressed JSON", code="not_json") from None
    except (json.JSONDecodeError, UnicodeError, RecursionError):
        raise MessageRejected("it is not JSON", code="not_json") from None
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
        raise MessageRejected("it lacks something, or something in it is of another kind", code="not_changes") from None


def _text(document: bytes) -> str:
    if len(document) <= _PLAIN:
        return document.decode()
    return base64.b64encode(zlib.compress(document, 1)).decode()


def _plain(text: str) -> bytes:
    if text.startswith("{"):
        return text.encode()
    packed = zlib.decompressobj()
    document = packed.decompress(base64.b64decode(text, validate=True), _MOST_UNPACKED)
    if packed.unconsumed_tail or not packed.eof:
        raise MessageRejected("it is cut, or unpacks to more than a message can hold", code="not_json")
    return document


def _document(message: ChangeMessage) -> bytes:
    slot = message.slot
    head = {
        "schema_version": SCHEMA_VERSION,
        "slot": {
            "instance": str(slot.instance),
            "system": slot.system,
            "timeline": slot.timeline,
            "name": slot.name,
            "created": lsn_text(slot.created),
        },
        "lsn": [lsn_text(message.first), lsn_text(message.last)],
        "committed_at": message.committed_at.isoformat(),
    }
    # Identities are JSON already: a message of thousands is put together, not serialised.
    tables = ",".join(map(_table, message.tables))
    return f'{json.dumps(head, ensure_ascii=False)[:-1]}, "tables": [{tables}]}}'.encode()


def _table(changes: TableChanges) -> str:
    head = json.dumps(
        {"schema": changes.table.schema, "table": changes.table.name, "key": changes.key}, ensure_ascii=False
    )
    by_operation: dict[Operation, list[str]] = {}
    for identity, operation in changes.operations.items():
        by_operation.setdefault(operation, []).append(identity)
    keys = ",".join(f'"{operation}": [{",".join(keys)}]' for operation, keys in by_operation.items())
    renames = ",".join(f"[{rename.former},{rename.new}]" for rename in changes.renames)
    told = f', "renames": [{renames}]' if renames else ""
    return f'{head[:-1]}, "changes": {{{keys}}}{told}}}'


def _halves(message: ChangeMessage) -> Iterator[ChangeMessage]:
    keys = [(changes, identity) for changes in message.tables for identity in changes.operations]
    middle = len(keys) // 2
    for part in (keys[:middle], keys[middle:]):
        chosen: dict[int, dict[Identity, Operation]] = {}
        for changes, identity in part:
            chosen.setdefault(id(changes), {})[identity] = changes.operations[identity]
        yield ChangeMessage(
            slot=message.slot,
            first=message.first,
            last=message.last,
            committed_at=message.committed_at,
            tables=tuple(
                TableChanges(
                    table=changes.table,
                    key=changes.key,
                    operations=chosen[id(changes)],
                    renames=tuple(rename for rename in changes.renames if rename.new in chosen[id(changes)]),
                )
                for changes in message.tables
                if id(changes) in chosen
            ),
        )


def _message(document: Any) -> ChangeMessage | SettleWish:
    version = document["schema_version"]
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise MessageRejected(
            f"its schema version is not {SCHEMA_VERSION}: it was sent by another release", code="schema_version"
        )
    if "settle" in document:
        return SettleWish(definition=DefinitionId(UUID(_str(document["settle"]))))
    slot, (first, last) = document["slot"], document["lsn"]
    committed_at = datetime.fromisoformat(document["committed_at"])
    if committed_at.tzinfo is None:
        raise ValueError("a moment without its zone")
    return ChangeMessage(
        slot=SlotIdentity(
            instance=InstanceId(UUID(_str(slot["instance"]))),
            system=_str(slot["system"]),
            timeline=_int(slot["timeline"]),
            name=_str(slot["name"]),
            created=parse_lsn(slot["created"]),
        ),
        first=parse_lsn(first),
        last=parse_lsn(last),
        committed_at=committed_at.astimezone(UTC),
        tables=tuple(map(_changes, _list(document["tables"]))),
    )


def _changes(document: Any) -> TableChanges:
    key = tuple(map(_str, _list(document["key"])))
    if not key:
        raise ValueError("a key without columns")
    operations: dict[Identity, Operation] = {}
    for operation, keys in document["changes"].items():
        for texts in _list(keys):
            operations[_identity(texts, key)] = Operation(operation)
    renames = []
    for former, new in map(_list, _list(document.get("renames", []))):
        renames.append(KeyChange(former=_identity(former, key), new=_identity(new, key)))
        if not {renames[-1].former, renames[-1].new} <= operations.keys() or renames[-1].former == renames[-1].new:
            raise ValueError("a key that became another one, and one of them did not change")
    return TableChanges(
        table=TableRef(schema=_str(document["schema"]), name=_str(document["table"])),
        key=key,
        operations=operations,
        renames=tuple(renames),
    )


def _identity(texts: Any, key: tuple[str, ...]) -> Identity:
    if len(_list(texts)) != len(key):
        raise ValueError("a key of another length")
    return identity_of([_str(part) for part in texts])


def _str(value: Any) -> str:
    """A text that every store can keep."""
    if not isinstance(value, str) or "\0" in value:
        raise TypeError
    value.encode()
    return value


def _int(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value
