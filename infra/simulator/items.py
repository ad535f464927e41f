"""Writing items: create, change, delete, restore, versions. Callers have settled rights and cost; nothing is half-written."""

from dataclasses import dataclass
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from infra.simulator import errors
from infra.simulator.columns import Column
from infra.simulator.lists import LIBRARIES, SharePointList
from infra.simulator.rows import Row, Version, key_of
from infra.simulator.shapes import Shapes, item_guid
from infra.simulator.store import LIVE, RECYCLED
from infra.simulator.tenants import APP_USER
from infra.simulator.values import Writer, default_of, parse_fields
from infra.simulator.world import World


@dataclass(frozen=True, slots=True)
class Actor:
    """Who writes: an app (then `user` is SharePoint App) or a person."""

    user: int
    app: str | None = None

    @staticmethod
    def of_app(client_id: str) -> "Actor":
        return Actor(APP_USER.id, client_id)


class Items:
    def __init__(self, world: World, shapes: Shapes) -> None:
        self._world = world
        self._shapes = shapes

    def zone(self, lst: SharePointList) -> tzinfo:
        return ZoneInfo(self._world.sites[lst.site].timezone)

    def writer(self, lst: SharePointList, actor: Actor) -> Writer:
        world, shapes = self._world, self._shapes

        def exists(column: Column, item: int) -> bool:
            target = shapes.lookup_target(lst, column)
            return target is not None and world.rows.get(target, item) is not None

        return Writer(world.rules, world.knobs, self.zone(lst), exists, actor.app is None)

    # -- reading

    def get(self, lst: SharePointList, item: str) -> Row:
        """A live item by the id in a URL. Raises 404."""
        holds = self._world.rules.holds
        if not (item.isascii() and item.isdigit() and len(item) <= 10):
            found = self._by_guid(lst, item)
            if found is not None:
                return found
            if not holds("ERR-ITEM-ID-NOT-NUMERIC"):
                raise errors.bad_request("The item id is not a number.")
            raise errors.not_found("The specified list item was not found")
        row = self._world.rows.get(lst, int(item)) if int(item) < 2**31 else None
        if row is None:
            if not holds("ERR-ITEM-UNKNOWN"):
                raise errors.invalid("The specified list item was not found")
            raise errors.not_found("The specified list item was not found")
        return row

    def _by_guid(self, lst: SharePointList, text: str) -> Row | None:
        """SharePoint also takes an item's unique id; a scan is enough for the few who use it."""
        if len(text) != 36 or self._world.rows.more_than(lst, 5000):
            return None
        return next(
            (row for row in self._world.rows.every(lst, LIVE) if item_guid(lst.id, row.id) == text.lower()), None
        )

    # -- writing

    def create(self, lst: SharePointList, fields: dict[str, Any], actor: Actor) -> Row:
        world = self._world
        now = world.clock.second()
        writer = self.writer(lst, actor)
        values = parse_fields(lst, fields, writer)
        created = values.pop("@created", None)
        if world.rules.holds("COL-DEFAULT-APPLIED"):
            for column in lst.columns.values():
                if column.default is not None and column.slot and column.slot not in values:
                    values[column.slot] = default_of(column, writer, now)
        values = {slot: value for slot, value in values.items() if value is not None}
        if not world.rules.holds("VAL-BOOLEAN-ABSENT"):
            values |= {
                c.slot: False for c in lst.columns.values() if c.kind == "boolean" and c.slot and c.slot not in values
            }
        self._required(lst, values, actor)
        item = lst.next_item
        if not world.rules.holds("ITEM-ID-NOT-REUSED"):
            item = next((row.id for row in reversed(list(world.rows.every(lst))) if row.state != LIVE), item)
        self._unique(lst, values, item)
        row = Row(
            key_of(lst, item),
            1,
            created or now,
            now,
            actor.user,
            actor.user,
            actor.app,
            actor.app,
            0,
            now,
            LIVE,
            values,
        )
        world.rows.put(lst, row, None)
        lst.next_item = max(lst.next_item, item + 1)
        world.changed(lst, actor.app)
        return row

    def update(self, lst: SharePointList, row: Row, fields: dict[str, Any], actor: Actor) -> Row:
        """Set the named fields; the rest stays. Every write makes a version."""
        holds = self._world.rules.holds
        changes = parse_fields(lst, fields, self.writer(lst, actor))
        created = changes.pop("@created", None)
        before = row.values if holds("ITEM-PATCH-KEEPS-OTHERS") else {}
        after = {slot: value for slot, value in (before | changes).items() if value is not None}
        if created is not None:
            row.created = created
        return self._write(lst, row, after, actor)

    def _write(self, lst: SharePointList, row: Row, after: dict[str, Any], actor: Actor) -> Row:
        world = self._world
        holds = world.rules.holds
        self._required(lst, after, actor)
        self._unique(lst, after, row.id)
        before = row.values
        if not holds("ETAG-GROWS") and before == after:
            return row
        if lst.versioning and holds("VER-EACH-WRITE"):
            world.rows.keep_version(row)
        row.values = after
        row.version += 1
        row.changed_at = world.clock.second()
        if holds("ITEM-MODIFIED-MOVES"):
            row.modified = row.changed_at
        row.editor, row.editor_app = actor.user, actor.app
        world.rows.put(lst, row, before)
        world.changed(lst, actor.app)
        return row

    def delete(self, lst: SharePointList, row: Row, actor: Actor) -> None:
        """Into the recycle bin."""
        world = self._world
        row.state = RECYCLED
        row.changed_at = world.clock.second()
        world.rows.put(lst, row, row.values)
        if not world.rules.holds("VER-RECYCLED-LEAVES"):
            world.rows.purge(lst, row.id)
        world.changed(lst, actor.app)

    def restore(self, lst: SharePointList, item: int, actor: Actor) -> Row:
        """Out of the recycle bin, with the old id. Raises 404, or 409 when a unique value was taken meanwhile."""
        world = self._world
        row = world.rows.get(lst, item, RECYCLED)
        if row is None:
            raise errors.not_found("There is no such item in the recycle bin")
        self._unique(lst, row.values, row.id)
        if not world.rules.holds("VER-RESTORE-SAME-ID"):
            world.rows.erase(lst, row.id)
            row.key = key_of(lst, lst.next_item)
            lst.next_item += 1
        row.state = LIVE
        change = row.change
        row.changed_at = world.clock.second()
        if world.knobs["restore_bumps_version"]:
            row.version += 1
        world.rows.put(lst, row, None)
        if not world.rules.holds("DELTA-RESTORED"):
            world.rows.set_change(row, change)
        world.changed(lst, actor.app)
        return row

    # -- versions

    def versions(self, lst: SharePointList, row: Row) -> list[Version]:
        """All versions, newest first."""
        current = Version(row.version, row.modified, row.editor, row.editor_app, row.values)
        return [current, *(self._world.rows.versions(row) if lst.versioning else [])]

    def version(self, lst: SharePointList, row: Row, label: str) -> Version:
        found = next(
            (entry for entry in self.versions(lst, row) if self._shapes.label(lst, entry.version) == label), None
        )
        if found is None:
            raise errors.not_found("The specified version was not found")
        return found

    def restore_version(self, lst: SharePointList, row: Row, label: str, actor: Actor) -> None:
        old = self.version(lst, row, label)
        if self._world.rules.holds("VER-RESTORE"):
            live = {column.slot for column in lst.columns.values() if column.slot}
            self._write(lst, row, {slot: value for slot, value in old.values.items() if slot in live}, actor)

    # -- checks

    def _required(self, lst: SharePointList, values: dict[str, Any], actor: Actor) -> None:
        if actor.app is not None and not self._world.knobs["required_enforced"]:
            return
        for column in lst.columns.values():
            if column.required and column.slot and column.slot not in values and lst.template not in LIBRARIES:
                raise errors.invalid(f"The field '{column.name}' is required.")

    def _unique(self, lst: SharePointList, values: dict[str, Any], item: int) -> None:
        holds, rows = self._world.rules.holds, self._world.rows
        for column in lst.indexed():
            value = values.get(column.slot)
            if not column.unique or value is None or not holds("ITEM-UNIQUE-VIOLATION"):
                continue
            holder = rows.holder(lst, column, value, item)
            if holder is None:
                continue
            if not holds("ITEM-UNIQUE-IGNORES-CASE"):
                other = rows.get(lst, holder)
                if other is None or other.values.get(column.slot) != value:
                    continue
            raise self._violation()

    def _violation(self) -> errors.GraphError:
        text = "One or more fields with unique constraints already has the provided value."
        match self._world.knobs["unique_violation"]:
            case 400:
                return errors.invalid(text)
            case 500:
                return errors.general(text)
            case _:
                return errors.name_taken(text)
