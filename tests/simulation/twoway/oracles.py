"""What must be true of both sides, given what people did: pure. Each oracle answers with sentences; none: sound.

An excuse is always an act of somebody: a person who saw a value and replaced it, a delete by somebody who saw what was
deleted, or a line of the conflict log about two people who really had edited the same field.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from tests.simulation.twoway.history import Deletion, Edit, History, Values, item_name, row_name
from tests.simulation.twoway.terms import Gone, Mode, Side, Terms, Value, Way, Winner

LEFT_OUT = "ROW_LEFT_OUT"
"""The rule under which an edit is logged that went with its item, because the filter leaves its row out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A live item as people see it."""

    id: int
    key: str | None
    """The key of the row it stands for; None: it carries none."""
    values: Values
    remark: str | None = None
    etag: str = ""
    typed_key: str | None = None
    """Where people type keys: what stands in that column."""
    modified: str = ""
    editor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Both sides, and the log, at one moment."""

    rows: Mapping[str, Values]
    items: Collection[Item]
    log: frozenset[tuple[str, str, Value]] = frozenset()
    """Key, field and value of every final loss."""
    aside: frozenset[int] = frozenset()
    """Items that cannot become rows, or whose values no row takes: they wait, and are told."""

    def of_key(self) -> dict[str, list[Item]]:
        found: dict[str, list[Item]] = {}
        for item in self.items:
            if item.key is not None:
                found.setdefault(item.key, []).append(item)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What the engine last confirmed about a row, and when it had really read each side for that."""

    settled: bool
    item: int | None
    read: Mapping[Side, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A line of the conflict log, when it is written down."""

    key: str
    name: str
    winner: Side
    rule: str
    value: Value
    item: int | None
    row_time: int | None = None
    item_time: int | None = None
    """Whole seconds; None where there is none to compare: unknown, or an item that the engine wrote last."""


# ---- when everything is quiet


def differences(history: History, terms: Terms, view: View) -> list[str]:
    """Rows and items that are not equal one to one."""
    problems = []
    by_key = view.of_key()
    for key, found in sorted(by_key.items()):
        if len(found) > 1:
            problems.append(f"DOUBLE: row {key} has {len(found)} items")
        if key not in view.rows and not _may_be_alone(history, terms, view, found[0]):
            problems.append(f"DIVERGED: item {found[0].id} has no row {key}")
    for key, row in sorted(view.rows.items()):
        items = by_key.get(key, [])
        if not items:
            if not _may_lack_item(history, terms, key, row) and not _waits_for(view, key):
                problems.append(f"DIVERGED: row {key} has no item")
        elif items[0].id in view.aside:
            continue
        elif not terms.equal(row, items[0].values):
            problems.append(f"DIVERGED: row {key} has {dict(row)}, its item {dict(items[0].values)}")
        elif not terms.reserved and terms.mode is not Mode.PULL and items[0].typed_key != key:
            problems.append(f"DIVERGED: row {key} has an item with the number {items[0].typed_key}")
    problems += [
        f"DIVERGED: item {item.id} never became a row"
        for item in view.items
        if item.key is None and terms.foreign_insert and item.id not in view.aside
        if not _was_a_rows(history, terms, view, item)
    ]
    return problems + _doubled_rows(history, view)


def _was_a_rows(history: History, terms: Terms, view: View, item: Item) -> bool:
    """Whether the item's row came and went before its key was on the item, and the item may stay."""
    key = history.hints.get(item.id)
    return key is not None and _may_be_alone(history, terms, view, replace(item, key=key))


def _may_lack_item(history: History, terms: Terms, key: str, row: Values) -> bool:
    """Whether a row may be there without an item."""
    gone = max((d.at for d in history.deleted(row_name(key), Side.ITEM)), default=None)
    stays = gone is not None and _stays(history, terms.item_deleted, key)
    if terms.mode is Mode.PULL:
        # No items are made for rows. One that was an item's goes with it, but one that somebody has made since need not.
        return stays or key not in history.taken or history.inserted(key) > history.taken[key]
    return stays and not _edited_since(history, terms, row_name(key), Side.ROW, gone, row)


def _edited_since(history: History, terms: Terms, subject: str, side: Side, since: int | None, there: Values) -> bool:
    """Whether somebody gave what was left alone another value, which the other side has to get: then it is not left alone.
    What was only brought back as it was is no news to an engine that never saw it gone."""
    way = Way.TO_ITEM if side is Side.ROW else Way.TO_ROW
    return since is not None and any(
        e.side is side and e.at > since and e.fresh and e.replaced and there[e.name] == e.value
        for e in history.of(subject)
        if terms.ways.get(e.name) in (Way.BOTH, way)
    )


def _may_be_alone(history: History, terms: Terms, view: View, item: Item) -> bool:
    if item.id in view.aside:
        return True
    subject = row_name(str(item.key))
    # What a person brings back after it was retired is just somebody's item, where items make no rows. So is what came
    # back while a row was there, if the row went before anybody agreed on the two again.
    back = max((e.at for e in history.of(subject) if e.side is Side.ITEM and not e.replaced), default=-1)
    if not terms.foreign_insert and history.deleted(subject) and history.agreed_at.get(item.id, -1) < back:
        return True
    gone = _gone_row(history, terms, item)
    if gone is not None and gone.left and terms.mode is Mode.PULL:
        return True  # nothing may be written on either side
    if gone is not None and _stays(history, terms.of_row(left=gone.left), str(item.key)):
        alone = gone.left or terms.mode is Mode.PUSH  # whatever is typed: no row can be made for it
        return alone or not _edited_since(history, terms, subject, Side.ITEM, gone.at, item.values)
    retired = max((d.at for d in history.deleted(subject)), default=None)
    touched = max((e.at for e in history.of(subject) if e.side is Side.ITEM), default=-1)
    return not terms.foreign_insert and retired is not None and touched > retired


def _gone_row(history: History, terms: Terms, item: Item) -> Deletion | None:
    """The delete by which a row went. The last one; but one before it that lets the item stay, where nobody has agreed on the
    two since the row was back, and where keys changed: an item that stays by itself may show a key that its row had before.
    That an item stays without its row is no agreement on the two: a row that was back for a moment, between two looks, is one
    that left."""
    key = str(item.key)
    gone = sorted(history.deleted(row_name(key), Side.ROW), key=lambda d: d.at)
    unseen = history.together_at.get(item.id, -1) < history.inserted(key)
    kept = [d for d in gone if _stays(history, terms.of_row(left=d.left), key) or (d.left and terms.mode is Mode.PULL)]
    return ((kept if unseen or key in history.kin else []) or gone or [None])[-1]


def _stays(history: History, policy: Gone, key: str) -> bool:
    """Whether the other side of what was deleted may stay."""
    kin = history.kin.get(key, {key})  # an item that stays by itself shows the key that it had
    return policy is Gone.STAYS or (policy is Gone.ASKS and not kin.isdisjoint(history.rejected))


def _waits_for(view: View, key: str) -> bool:
    return any(item.typed_key == key and item.id in view.aside for item in view.items)


def _doubled_rows(history: History, view: View) -> list[str]:
    """One person's value in two rows that nobody wrote it into: an item was inserted twice."""
    # Bringing an item back is typing its values into it once more.
    written = Counter((name, value) for _, name, value in {(edit.who, edit.name, edit.value) for edit in history.edits})
    unique = {(edit.name, edit.value) for edit in history.edits if edit.fresh and written[edit.name, edit.value] == 1}
    live = Counter((name, value) for row in view.rows.values() for name, value in row.items())
    return [
        f"DOUBLE: {value!r} in {name} stands in {live[name, value]} rows"
        for name, value in sorted(unique, key=repr)
        if live[name, value] > 1 and not _of_one_row(history, view, name, value)
    ]


def _of_one_row(history: History, view: View, name: str, value: Value) -> bool:
    """Whether all are rows of a row that got another key: its former key may live on, where an edit of its item survived."""
    found = [key for key, row in view.rows.items() if row[name] == value]
    return all(key in history.kin for key in found) and len({history.subject(row_name(key)) for key in found}) == 1


def lost(history: History, terms: Terms, view: View) -> list[str]:
    """Values that a person wrote, that nobody who saw them replaced, and that are neither there nor in the log."""
    live = _live(history, view)
    logged = {(history.subject(row_name(key)), name, value) for key, name, value in view.log}
    return [
        f"LOST: {edit.value!r} in {edit.name} of {subject}, typed into the {edit.side.lower()}"
        for edit in history.edits
        if edit.fresh
        and edit.name in terms.ways
        and (subject := history.subject(edit.who), edit.name, edit.value) not in live
        and not _answered(history, subject, edit.name, edit.value, edit.at)
        and (subject, edit.name, edit.value) not in logged
    ]


def _live(history: History, view: View) -> set[tuple[str, str, Value]]:
    rows = {
        (history.subject(row_name(key)), name, value) for key, row in view.rows.items() for name, value in row.items()
    }
    items = {(_subject_of(history, item), name, value) for item in view.items for name, value in item.values.items()}
    return rows | items


def _answered(history: History, subject: str, name: str, value: Value, since: int) -> bool:
    return any(e.at > since and value in e.replaced for e in history.of(subject, name)) or any(
        d.at > since and d.values.get(name) == value for d in history.deleted(subject)
    )


def zombies(history: History, terms: Terms, view: View) -> list[str]:
    """Values that came back by themselves after somebody who read them had replaced them."""
    problems = []
    rows = {history.subject(row_name(key)) for key in view.rows}
    alone = [item for item in view.items if _subject_of(history, item) not in rows]
    waiting = {_subject_of(history, item) for item in view.items if item.id in view.aside}
    for subject, name, value in sorted(_live(history, replace(view, items=alone)), key=repr):
        if name not in terms.ways or history.deleted(subject) or subject in waiting:
            continue
        edits = list(history.of(subject, name))
        replaced = max((e.at for e in edits if value in e.replaced), default=-1)
        typed = max((e.at for e in edits if e.value == value), default=-1)
        losers = {lost for key, field_, lost in view.log if (history.subject(row_name(key)), field_) == (subject, name)}
        excused = any(e.value in losers and e.at >= replaced for e in edits)
        if replaced > typed and not excused:
            problems.append(f"ZOMBIE: {value!r} in {name} of {subject}")
    return problems


def resurrected(history: History, terms: Terms, view: View) -> list[str]:
    """What somebody deleted, with nothing racing the delete and nobody touching it since, and that is there again."""
    rows = {row_name(key) for key in view.rows}
    items = {_subject_of(history, item) if item.key is None else row_name(item.key) for item in view.items}
    problems = []
    for deletion in history.deletions:
        subject = deletion.who if deletion.who.startswith("row ") else history.subject(deletion.who)
        policy = terms.of_row(left=deletion.left) if deletion.side is Side.ROW else terms.item_deleted
        if not deletion.agreed or any(e.at > deletion.at for e in history.of(subject)):
            continue
        if deletion.left and terms.mode is Mode.PULL:
            continue  # the item stays: nothing may be written there
        same = rows if deletion.side is Side.ROW else items
        key = subject.removeprefix("row ")
        kept = _stays(history, policy, key)
        returns = terms.returns(deletion.side) and not deletion.left and not (kept and key not in history.approved)
        back: set[str] = set() if returns else same if kept else rows | items
        if subject in back:
            problems.append(f"RESURRECTED: {subject}, deleted as a {deletion.side.lower()}")
    return problems


def _subject_of(history: History, item: Item) -> str:
    return history.subject(item_name(item.id) if item.key is None else row_name(item.key))


def unasked(history: History, view: View) -> list[str]:
    """Items that are gone although no person removed them or their row."""
    live = {item.id for item in view.items}
    return [
        f"UNASKED DELETE: item {item} of row {key}"
        for item, key in sorted(history.sighted.items())
        if item not in live and not _asked_for(history, item, key)
    ]


def _asked_for(history: History, item: int, key: str | None) -> bool:
    return bool(history.deleted(item_name(item) if key is None else row_name(key)))


def unasked_row(history: History, terms: Terms, key: str) -> list[str]:
    """To be asked when the engine deletes a row."""
    agreed = terms.item_deleted is Gone.FOLLOWS or (terms.item_deleted is Gone.ASKS and key in history.approved)
    if key not in history.taken:
        return [f"UNASKED DELETE: row {key}, which never was an item's"]
    if agreed and history.deleted(row_name(key), Side.ITEM):
        return []
    return [f"UNASKED DELETE: row {key}"]


def unasked_of(history: History, view: View, waiting: Mapping[str, Side]) -> list[str]:
    """What is gone although a person is still being asked about it, and nobody has deleted it. `waiting`: by key, the side
    that it is about. An item may stand for its row before its key is on it."""
    items = {history.subject(item_name(item.id)) for item in view.items}
    items |= {history.subject(row_name(key)) for key in view.of_key()}
    return [
        f"UNASKED DELETE: the {side.lower()} of {key}, while a person is asked"
        for key, side in sorted(waiting.items())
        if not (key in view.rows if side is Side.ROW else history.subject(row_name(key)) in items)
        and not history.deleted(row_name(key), side)
    ]


def mixed(history: History, terms: Terms, who: str, values: Values) -> list[str]:
    """Fields that only make sense together, together as nobody ever left them."""
    if not terms.group:
        return []
    subject = history.subject(who)
    pair = tuple(values.get(name) for name in terms.group)
    left = {pair for owner, pair in history.pairs if history.subject(owner) == subject}
    return [] if pair in left else [f"MIXED: {terms.group} of {subject} are {pair}"]


def all_mixed(history: History, terms: Terms, view: View) -> list[str]:
    both = [(row_name(key), row) for key, row in sorted(view.rows.items())]
    both += [(_subject_of(history, item), item.values) for item in view.items]
    return [problem for who, values in both for problem in mixed(history, terms, who, values)]


def strangers(history: History, terms: Terms, view: View) -> list[str]:
    """What nobody but people may change: items that are no row's, and the column that nobody maps."""
    problems = []
    for item in view.items:
        own = item.key is None and item.id in history.added and (item.id in view.aside or not terms.foreign_insert)
        if own and any(
            last.value != item.values[name]
            for name in item.values
            if (last := _last(history, item_name(item.id), name)) is not None
        ):
            problems.append(f"FOOTPRINT: the people's own item {item.id} was changed")
        wanted = history.remarks.get(item.id)
        if wanted is not None and item.remark != wanted:
            problems.append(f"FOOTPRINT: the remark on item {item.id} is gone")
    return problems


def _last(history: History, who: str, name: str) -> Edit | None:
    edits = [e for e in history.edits if e.who == who and e.name == name]
    return edits[-1] if edits else None


def invented(history: History, view: View) -> list[str]:
    """Logged losses of values that no person ever gave to that row or its item."""
    real = {(subject, e.name, e.value) for e in history.edits for subject in history.ever(e.who)}
    return [
        f"DISHONEST LOG: {value!r} in {name} of row {key} is nobody's"
        for key, name, value in sorted(view.log, key=repr)
        if (history.subject(row_name(key)), name, value) not in real
    ]


# ---- when a loss is written down


def judged(history: History, terms: Terms, loss: Loss, agreed: Agreement | None) -> list[str]:
    """Both sides were edited since they were last read for an agreement, and the winner is who the definition says."""
    told = f"{loss.value!r} in {loss.name} of row {loss.key}"
    problems = []
    way = terms.ways[loss.name]
    if loss.rule == LEFT_OUT:
        # The row has left, and its item goes with whatever was typed into it.
        left = any(d.left for d in history.deleted(row_name(loss.key), Side.ROW))
        return [] if left and loss.winner is Side.ROW else [f"FALSE CONFLICT: {told}; its row did not leave"]
    if way is not Way.BOTH and loss.winner is not (Side.ROW if way is Way.TO_ITEM else Side.ITEM):
        problems.append(f"WRONG WINNER: {told}, a field that goes one way")
    if way is Way.BOTH and loss.winner is not _due(terms, loss):
        problems.append(f"WRONG WINNER: {told}, by {loss.rule}")
    if agreed is not None and agreed.settled and agreed.item == loss.item:
        sides = (Side.ROW, Side.ITEM) if way is Way.BOTH else (loss.winner.other,)
        unit = terms.unit(loss.name)
        problems += [
            f"FALSE CONFLICT: {told}; nobody edited the {side.lower()} since it was last read"
            for side in sides
            if history.touched(row_name(loss.key), unit, side) < agreed.read.get(side, -1)
        ]
    return problems


def _due(terms: Terms, loss: Loss) -> Side:
    match terms.winner:
        case Winner.SOURCE:
            return Side.ROW
        case Winner.LIST:
            return Side.ITEM
        case Winner.LATEST:
            if loss.row_time is None or loss.item_time is None:
                return Side.ROW
            return Side.ITEM if loss.item_time > loss.row_time else Side.ROW


def at_rest(history: History, terms: Terms, view: View) -> list[str]:
    """Every oracle that can be asked when nothing is under way any more."""
    return (
        differences(history, terms, view)
        + resurrected(history, terms, view)
        + unasked(history, view)
        + lost(history, terms, view)
        + zombies(history, terms, view)
        + all_mixed(history, terms, view)
        + strangers(history, terms, view)
        + invented(history, view)
    )
