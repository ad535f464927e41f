"""Both sides as users and people left them, and what they may expect: pure, no servers, no product code.

Values are canonical as a reader of the documentation would say: "" is no value, numbers are integers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Value = str | int | None
FIELDS = ("a", "b", "n")
COLUMNS = {"a": "Title", "b": "Bee", "n": "Count"}
"""Source column -> list column."""
KEY, NOTE = "SyncKey", "Remark"
"""The hidden unique column, and a column that nobody maps."""


def canonical(value: object) -> Value:
    """What a stored value means on either side."""
    if value is None or value == "":
        return None
    return int(value) if isinstance(value, float) else value  # type: ignore[return-value]


@dataclass(slots=True)
class Typed:
    """A value that a person typed into an item, or brought back with it."""

    item: int
    key: str | None
    name: str
    value: Value
    fresh: bool
    """Nobody had used the value before: wherever it shows up, it is this edit's."""
    answered: bool = False
    """A person replaced or threw away what they could see."""


@dataclass(slots=True)
class Model:
    rows: dict[str, dict[str, object]] = field(default_factory=dict)
    """Raw values, blanks included, as users last wrote them."""
    items: dict[str, str] = field(default_factory=dict)
    """Sync key -> row key, for every key that ever was."""
    typed: list[Typed] = field(default_factory=list)
    restored: set[int] = field(default_factory=set)
    touched: set[int] = field(default_factory=set)
    foreign: dict[int, dict[str, Value]] = field(default_factory=dict)
    """Items that people made: nobody else may change or remove them."""
    remarks: dict[int, str] = field(default_factory=dict)
    row_edited: dict[str, int] = field(default_factory=dict)
    """Row key -> step of its last edit."""
    people_were_at: set[str] = field(default_factory=set)
    """Row keys whose items people ever touched."""
    noticed: int = -1
    """The step at which the last complete scan had read its rows."""
    ever: set[str] = field(default_factory=set)
    said_by_rows: set[tuple[str, str, Value]] = field(default_factory=set)
    """Row key, field, value: a user who takes a person's value over has seen it."""
    kin: dict[str, set[str]] = field(default_factory=dict)
    """Keys that were ever those of one row: what was typed under one may be logged under another."""

    # ---- users

    def put(self, key: str, values: Mapping[str, object], step: int) -> None:
        self.rows[key] = {**self.rows.get(key, {}), **values}
        self.said_by_rows |= {(key, name, canonical(values[name])) for name in values}
        self.row_edited[key] = step
        self.ever.add(key)

    def remove(self, key: str, step: int) -> None:
        del self.rows[key]
        self.row_edited[key] = step

    def rename(self, key: str, new: str, values: Mapping[str, object], step: int) -> None:
        """A row's key and some of its values, at once."""
        kin = self.kin.get(key, {key}) | self.kin.get(new, {new})
        self.kin |= dict.fromkeys(kin, kin)
        row = self.rows.pop(key)
        self.row_edited[key] = step
        self.put(new, {**row, **values}, step)
        if key in self.people_were_at:
            self.people_were_at.add(new)

    # ---- people

    def person_typed(self, item: int, key: str | None, name: str, value: Value, *, fresh: bool) -> None:
        self._answer(item, name)
        self.typed.append(Typed(item, key, name, value, fresh))
        self._touch(item, key)
        if item in self.foreign:
            self.foreign[item][name] = value

    def person_deleted(self, item: int, key: str | None) -> None:
        for name in FIELDS:
            self._answer(item, name)
        self.foreign.pop(item, None)
        self.remarks.pop(item, None)
        self._touch(item, key)

    def person_restored(self, item: int, key: str | None, values: Mapping[str, Value]) -> None:
        """Bringing an item back is typing its values once more."""
        for name in FIELDS:
            was_fresh = any(
                t.item == item and t.name == name and t.value == values[name] and t.fresh for t in self.typed
            )
            self.typed.append(Typed(item, key, name, values[name], was_fresh))
        self.restored.add(item)
        self._touch(item, key)
        if key is None:
            self.foreign[item] = dict(values)

    def _touch(self, item: int, key: str | None) -> None:
        self.touched.add(item)
        if key is not None:
            self.people_were_at.add(key)

    def _answer(self, item: int, name: str) -> None:
        for one in self.typed:
            if one.item == item and one.name == name:
                one.answered = True

    # ---- what must be true when everything is quiet

    def differences(self, items: Iterable["Seen"], keys: Iterable[str] | None = None) -> list[str]:
        """Rows and items that are not equal one to one."""
        problems = []
        by_key: dict[str, list[Seen]] = {}
        for seen in items:
            if seen.key is not None:
                by_key.setdefault(seen.key, []).append(seen)
        for key, found in sorted(by_key.items()):
            if len(found) > 1:
                problems.append(f"DOUBLE: row {key} has {len(found)} items")
            if key not in self.rows and not all(seen.item in self.touched for seen in found):
                problems.append(f"RESURRECTED: item {found[0].item} stands for row {key}, which was deleted")
        for key in sorted(self.rows if keys is None else keys):
            row = self.rows.get(key)
            if row is None:
                continue
            if key not in by_key:
                problems.append(f"DIVERGED: row {key} has no item")
                continue
            values = {name: canonical(row[name]) for name in FIELDS}
            if values != by_key[key][0].values:
                problems.append(f"DIVERGED: row {key} has {values}, its item {by_key[key][0].values}")
        return problems

    def strangers(self, items: Iterable["Seen"]) -> list[str]:
        """What nobody but people may change: items without a key, and the column that nobody maps."""
        live = {seen.item: seen for seen in items}
        problems = [
            f"UNASKED: the people's own item {item} was changed or removed"
            for item, values in self.foreign.items()
            if item not in live or live[item].values != values
        ]
        problems += [
            f"FOOTPRINT: the remark on item {item} is gone"
            for item, remark in self.remarks.items()
            if item in live and live[item].remark != remark
        ]
        return problems

    def lost(self, items: Iterable["Seen"], logged: set[tuple[str, str, Value]]) -> list[str]:
        """Values that a person typed and that are neither there nor in the log, though no person replaced them."""
        live = {seen.item: seen for seen in items}
        return [
            f"LOST: {one.value!r} in {one.name} of item {one.item} (row {one.key})"
            for one in self.typed
            if one.fresh
            and not one.answered
            and not any((key, one.name, one.value) in self.said_by_rows for key in self._kin(one.key))
            and not (one.item in live and live[one.item].values[one.name] == one.value)
            and (one.key is None or not any((key, one.name, one.value) in logged for key in self._kin(one.key)))
        ]

    def _kin(self, key: str | None) -> set[str | None]:
        return {key} if key is None or key not in self.kin else set(self.kin[key])

    def invented(self, logged: set[tuple[str, str, Value]]) -> list[str]:
        """Logged losses of values that no person ever gave that row's item."""
        real = {(key, one.name, one.value) for one in self.typed for key in self._kin(one.key)}
        return [
            f"DISHONEST LOG: {value!r} in {name} of row {key}" for key, name, value in sorted(logged - real, key=repr)
        ]


@dataclass(frozen=True, slots=True)
class Seen:
    """A live item as people see it."""

    item: int
    key: str | None
    """The row's key; None: it carries no sync key."""
    values: Mapping[str, Value]
    remark: str | None
