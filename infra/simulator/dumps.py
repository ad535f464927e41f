"""The whole state as JSON lines, and back."""

from typing import Any

import orjson

from infra.simulator.errors import Unfit
from infra.simulator.rows import Row, Version
from infra.simulator.world import World

_KINDS = ("tenant", "site", "list", "subscription", "state", "revoked", "old slot")
_ROW = ("version", "created", "modified", "author", "editor", "author_app", "editor_app", "changed_at", "state")


def dump(world: World) -> bytes:
    """One record a line: documents first, then items with their versions in the order of their changes."""
    world.save_state()
    lines: list[Any] = []
    for kind, key, raw in world.store.db.execute("select kind, id, doc from docs order by kind, id"):
        if key != "signing key":
            lines.append({"kind": kind, "id": key, "doc": orjson.loads(raw)})
    for lst in world.lists.values():
        rows = sorted(world.rows.every(lst), key=lambda row: row.change)
        for row in rows:
            versions = [[v.version, v.modified, v.editor, v.editor_app, v.values] for v in world.rows.versions(row)]
            members = {name: getattr(row, name) for name in _ROW}
            lines.append({"kind": "item", "key": row.key, **members, "values": row.values, "versions": versions})
    return b"\n".join(orjson.dumps(line) for line in lines) + b"\n"


def load(world: World, text: bytes) -> int:
    """Replace everything by a dump, into a state that was emptied; the number of its records.

    Raises ValueError; a rollback then brings the old state back.
    """
    try:
        return _load(world, text)
    except (LookupError, TypeError, AttributeError) as error:
        raise Unfit(f"the text is no dump of this version: {type(error).__name__} {error}") from error


def _load(world: World, text: bytes) -> int:
    items: list[dict[str, Any]] = []
    count = 0
    for line in text.splitlines():
        if not line.strip():
            continue
        record = orjson.loads(line)
        kind = record.get("kind") if isinstance(record, dict) else None
        if kind == "item":
            items.append(record)
        elif kind in _KINDS:
            world.store.put(kind, record["id"], record["doc"])
        else:
            raise Unfit(f"line {count + 1} is no record of a dump")
        count += 1
    world.load()
    world.load_state()
    for record in items:
        lst = world.lists.get(record["key"] >> 32)
        if lst is None:
            raise Unfit("an item names a list that the dump lacks")
        row = Row(record["key"], **{name: record[name] for name in _ROW}, change=0, values=record["values"])
        world.rows.put(lst, row, None)
        for version, modified, editor, editor_app, values in record["versions"]:
            world.rows.put_version(row.key, Version(version, modified, editor, editor_app, values))
        lst.next_item = max(lst.next_item, row.id + 1)
    return count
