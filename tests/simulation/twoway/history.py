"""What people did on both sides, in order, with what they saw when they did it: pure, no servers, no product code.

A subject is a row and its item together. It is named after the row's key ("row 7"), or after the item ("item 12") as
long as nobody has seen a key on that item; `linked` says that the two are one.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.simulation.twoway.terms import Side, Value

Values = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Edit:
    """A person wrote a value into a field. `replaced`: what stood there and was read; absent for new rows and items."""

    at: int
    side: Side
    who: str
    name: str
    value: Value
    replaced: tuple[Value, ...] = ()
    fresh: bool = False
    """Nobody had used the value before: wherever it shows up, it is this edit's."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A person removed a row or an item, having read its values."""

    at: int
    side: Side
    who: str
    values: Values
    agreed: bool
    """Both sides were equal, and the engine had said so: nothing raced this delete."""
    left: bool = False
    """The row is there, and the filter leaves it out."""


@dataclass(slots=True)
class History:
    at: int = 0
    """Grows with every event, those of workers too: what is older has a smaller number."""
    edits: list[Edit] = field(default_factory=list)
    deletions: list[Deletion] = field(default_factory=list)
    links: dict[int, str] = field(default_factory=dict)
    """Item -> key of its row, as seen on the item."""
    hints: dict[int, str] = field(default_factory=dict)
    """Item -> key of the row for which the engine took it: counts only where nobody has ever seen a key on the item."""
    stood_for: dict[int, set[str]] = field(default_factory=dict)
    """Item -> keys of all rows for which the engine ever took it: one that never got its key may come back as another's."""
    pairs: set[tuple[str, tuple[Value, ...]]] = field(default_factory=set)
    """Subject and the group's values as a person left them on one side."""
    sighted: dict[int, str | None] = field(default_factory=dict)
    """Items that somebody saw alive, with the key on them."""
    added: set[int] = field(default_factory=set)
    """Items that people made."""
    approved: set[str] = field(default_factory=set)
    """Keys of rows whose delete, or whose item's, a person has agreed to, and that are still there."""
    rejected: set[str] = field(default_factory=set)
    """The same of those that a person has refused."""
    taken: dict[str, int] = field(default_factory=dict)
    """Key of a row -> when the engine first wrote it, or said that it and an item agree: from then on it is an item's."""
    agreed_at: dict[int, int] = field(default_factory=dict)
    """Item -> when the engine last said that it and a row agree, or that it stays without its row."""
    together_at: dict[int, int] = field(default_factory=dict)
    """Item -> when the engine last said that it agrees with a row that is there, or asked a person about its row."""
    remarks: dict[int, str] = field(default_factory=dict)
    """Item -> what a person wrote into the column that nobody maps."""

    kin: dict[str, set[str]] = field(default_factory=dict)
    """Key of a row -> all keys that one row had: what people did under one of them is told under any other."""
    moved: int = 0
    """How often an item was seen with the key of another row than before."""

    def tick(self) -> int:
        self.at += 1
        return self.at

    # ---- names

    def linked(self, item: int, key: str | None) -> None:
        if key is not None:
            self.moved += self.links.get(item, key) != key
            self.links[item] = key

    def hinted(self, item: int, key: str) -> None:
        self.hints[item] = key
        self.stood_for.setdefault(item, set()).add(key)

    def took(self, key: str) -> None:
        self.taken.setdefault(key, self.tick())

    def seen(self, item: int, key: str | None) -> None:
        self.sighted[item] = key if key is not None else self.sighted.get(item)
        self.linked(item, key)

    def subject(self, who: str) -> str:
        """The name that holds now."""
        kind, _, number = who.partition(" ")
        key = (self.links.get(int(number)) or self.hints.get(int(number))) if kind == "item" else number
        return who if key is None else row_name(min(self.kin.get(key, {key})))

    def ever(self, who: str) -> set[str]:
        """All names that it ever had."""
        kind, _, number = who.partition(" ")
        keys = self.stood_for.get(int(number), set()) if kind == "item" else set()
        return {self.subject(who), *(self.subject(row_name(key)) for key in keys)}

    # ---- what people do

    def put(self, key: str, before: Values | None, after: Values, fresh: Iterable[str], group: tuple[str, ...]) -> None:
        """A user inserts a row, or changes one."""
        self._edited(Side.ROW, row_name(key), before, after, fresh, group)

    def removed(self, key: str, before: Values, *, agreed: bool, left: bool = False) -> None:
        self.deletions.append(Deletion(self.tick(), Side.ROW, row_name(key), dict(before), agreed, left))

    def renamed(
        self, key: str, new: str, before: Values, after: Values, fresh: Collection[str], group: tuple[str, ...]
    ) -> None:
        """A row gets another key. For the engine a row is gone and another one there, but nobody has thrown away more
        than what was changed with the key."""
        kin = self.kin.get(key, {key}) | self.kin.get(new, {new})
        self.kin |= dict.fromkeys(kin, kin)
        changed = {name: before[name] for name in fresh}
        self.deletions.append(Deletion(self.tick(), Side.ROW, row_name(key), changed, agreed=False))
        if key in self.taken:
            self.took(new)
        self._edited(Side.ROW, row_name(new), None, after, fresh, group)

    def added_item(self, item: int, values: Values, fresh: Iterable[str], group: tuple[str, ...]) -> None:
        self.added.add(item)
        self.seen(item, None)
        self._edited(Side.ITEM, item_name(item), None, values, fresh, group)

    def typed(
        self,
        item: int,
        key: str | None,
        before: Values,
        after: Values,
        fresh: Iterable[str],
        group: tuple[str, ...],
    ) -> None:
        self.seen(item, key)
        self._edited(Side.ITEM, self._name(item, key), before, after, fresh, group)

    def deleted_item(self, item: int, key: str | None, before: Values, *, agreed: bool) -> None:
        self.seen(item, key)
        self.deletions.append(Deletion(self.tick(), Side.ITEM, self._name(item, key), dict(before), agreed))
        self.remarks.pop(item, None)

    def restored(self, item: int, key: str | None, values: Values, group: tuple[str, ...]) -> None:
        """Bringing an item back is typing its values once more: those nobody answered on the other side are somebody's
        own again."""
        who = self._name(item, key)
        fresh = {name for name, value in values.items() if self._unanswered(who, name, value)}
        self.seen(item, key)
        self._edited(Side.ITEM, who, None, values, fresh, group)

    def _edited(
        self, side: Side, who: str, before: Values | None, after: Values, fresh: Iterable[str], group: tuple[str, ...]
    ) -> None:
        now, known = self.tick(), set(fresh)
        for name, value in after.items():
            replaced = () if before is None else (before.get(name),)
            if before is None or before.get(name) != value:
                self.edits.append(Edit(now, side, who, name, value, replaced, name in known))
        if group:
            left = {**(before or {}), **after}
            self.pairs.add((who, tuple(left.get(name) for name in group)))

    def _unanswered(self, who: str, name: str, value: Value) -> bool:
        subject = self.subject(who)
        mine = [e for e in self.of(subject, name) if e.side is Side.ITEM and e.fresh and e.value == value]
        if not mine:
            return False
        since = mine[-1].at
        return not any(e.at > since and value in e.replaced for e in self.of(subject, name)) and not any(
            d.at > since and d.side is Side.ROW and d.values.get(name) == value for d in self.deleted(subject)
        )

    def _name(self, item: int, key: str | None) -> str:
        return item_name(item) if key is None else row_name(key)

    # ---- what can be asked

    def of(self, subject: str, name: str | None = None) -> Iterator[Edit]:
        wanted = self.subject(subject)
        return (e for e in self.edits if self.subject(e.who) == wanted and (name is None or e.name == name))

    def deleted(self, subject: str, side: Side | None = None) -> list[Deletion]:
        wanted = self.subject(subject)
        return [d for d in self.deletions if self.subject(d.who) == wanted and (side is None or d.side is side)]

    def touched(self, subject: str, names: Iterable[str], side: Side) -> int:
        """When a person last wrote one of these fields on that side; -1: never."""
        wanted = set(names)
        return max((e.at for e in self.of(subject) if e.side is side and e.name in wanted), default=-1)

    def inserted(self, key: str) -> int:
        """When a user last inserted the row; -1: never."""
        made = (e.at for e in self.of(row_name(key)) if e.side is Side.ROW and not e.replaced)
        return max(made, default=-1)

    def last_touch(self, subject: str) -> int:
        return max(
            [e.at for e in self.of(subject)] + [d.at for d in self.deleted(subject)],
            default=-1,
        )

    def subjects(self) -> set[str]:
        return {self.subject(e.who) for e in self.edits} | {self.subject(d.who) for d in self.deletions}


def row_name(key: str) -> str:
    return f"row {key}"


def item_name(item: int) -> str:
    return f"item {item}"
