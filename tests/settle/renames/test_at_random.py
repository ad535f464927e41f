"""Keys that change under everything else that may happen, in any order: messages late, doubled and lost, scans, workers that
stand still and die, answers that get lost, people who edit and delete. Rows and items in memory, the real ledger and backlog.
"""

import json
from collections import Counter
from collections.abc import Generator
from random import Random
from typing import Any

from shared.core.backlog import Reason
from shared.core.boundaries import Boundary
from shared.core.errors import Transient
from shared.core.ids import ItemId, identity_of
from tests.fakes.lists import lost_after, lost_before
from tests.settle.renames.keys import emptied, item_ids, on_record, told
from tests.settle.two_way import natural, quiet, see, two_way
from tests.settle.world import World
from tests.simulation.ground import PatientPerson

KEYS = "ABCDEF"
SETUPS: tuple[dict[str, Any], ...] = ({}, two_way(), natural())
SEEDS, STEPS = 12, 60
Worker = Generator[Boundary, None, Any]


class Play:
    """One seed."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.dice = world, Random(seed)
        self.two_way = bool(world.definition.mode.value != "ONE_WAY_PUSH")
        self.workers: list[Worker] = []
        self.log: list[str] = []
        """What the stream has not told yet: a key, or two: one became the other."""
        self.values = 0
        self.astray = 0.0
        """Seconds since a write went astray."""
        self.typed: dict[str, tuple[ItemId, str]] = {}
        """What people typed and nobody has seen in a row yet: value -> item, column."""
        self.seen: Counter[str] = Counter()
        self.story: list[str] = []

    # ---- users, people, time

    def user(self) -> None:
        rows, dice = self.world.source.rows, self.dice
        waits = {key for key in KEYS if self.world.source.holder(key) is not None}
        taken, free = sorted(rows.keys() - waits), [key for key in KEYS if key not in rows and key not in waits]
        roll = dice.random()
        if taken and free and roll < 0.5:
            key, new = dice.choice(taken), dice.choice(free)
            values = {"b": self.fresh("row")} if dice.random() < 0.4 else {}
            self.world.source.rename(key, new, **values)
            self.tell(key + new)
        elif free and (roll < 0.7 or not taken):
            self.put(dice.choice(free))
        elif taken and roll < 0.85:
            self.put(dice.choice(taken))
        elif taken:
            key = dice.choice(taken)
            self.world.source.delete(key)
            self.tell(key)

    def put(self, key: str) -> None:
        self.world.source.put(key, **{self.dice.choice("ab"): self.fresh("row")})
        self.tell(key)

    def tell(self, change: str) -> None:
        self.log.append(change)
        self.story.append(f"user {change}")

    def fresh(self, whose: str) -> str:
        self.values += 1
        return f"{whose} {self.values}"

    def person(self) -> None:
        lists, dice = self.world.lists, self.dice
        if not lists.items:
            return
        item = dice.choice(sorted(lists.items))
        if dice.random() < 0.8:
            column, value = dice.choice("AB"), self.fresh("typed")
            self.typed = {old: where for old, where in self.typed.items() if where != (item, column)}
            lists.edit(item, {column: value})
            self.typed[value] = (item, column)
            self.story.append(f"person types {value} into item {item}")
        else:
            lists.remove(item)
            self.typed = {old: where for old, where in self.typed.items() if where[0] != item}
            self.story.append(f"person removes item {item}")
        if self.two_way and dice.random() < 0.7:
            see(self.world, item)

    def time(self) -> None:
        seconds = self.dice.choice((2, 11, 61))
        self.astray = self.astray + seconds if self.world.lists.late else 0.0
        if self.astray > 200:
            self.world.lists.land_late()
        self.world.wait(seconds)
        self.story.append(f"{seconds} seconds")

    # ---- the engine

    def message(self) -> None:
        """Some of what happened, mostly in order: told once, twice, or never."""
        if not self.log:
            return
        count = self.dice.randint(1, len(self.log))
        at = 0 if self.dice.random() < 0.8 else self.dice.randint(0, len(self.log) - count)
        part = self.log[at : at + count]
        if self.dice.random() < 0.9:
            del self.log[at : at + count]
        if self.dice.random() < 0.93:
            self.tells(part)
        self.story.append(f"message {part}")

    def tells(self, part: list[str]) -> None:
        told(self.world, *(one for one in part if len(one) == 2), also="".join(one for one in part if len(one) == 1))

    def worker(self) -> None:
        dice = self.dice
        if len(self.workers) < 3 and (not self.workers or dice.random() < 0.4):
            self.workers.append(self.world.worker())
        steps = dice.choice(self.workers)
        for _ in range(dice.randint(1, 4)):
            try:
                passed = next(steps)
            except (StopIteration, Transient):
                self.workers.remove(steps)
                self.story.append("worker ends")
                return
            self.seen[passed] += 1
            self.story.append(f"worker {self.workers.index(steps)} {passed}")
            if dice.random() < 0.04:
                self.workers.remove(steps)
                steps.close()
                self.seen[f"died at {passed}"] += 1
                self.story.append("worker dies")
                return

    def one_step(self) -> None:
        dice, lists = self.dice, self.world.lists
        roll = dice.random()
        if roll < 0.2:
            self.user()
        elif roll < 0.27:
            self.person()
        elif roll < 0.42:
            self.message()
        elif roll < 0.45:
            self.world.scan()
            self.story.append("scan")
        elif roll < 0.55:
            self.time()
        elif roll < 0.58:
            lists.land_late()
        elif roll < 0.65 and not lists.script:
            lists.script.append(dice.choice((lost_after, lost_before, lists.astray)))
        else:
            self.worker()
        self.look()

    def look(self) -> None:
        """What a user could see in a row is nobody's loss any more. The ledger never forgets a write in doubt."""
        shown = {value for row in self.world.source.rows.values() for value in row.values()}
        self.typed = {value: where for value, where in self.typed.items() if value not in shown}
        assert (
            self.world.sql.execute(
                "select l.source_identity from syncbridge.sync_ledger l where l.intents <> '[]' and not exists"
                " (select 1 from syncbridge.sync_backlog b where b.subject_hash = l.source_identity_hash)"
            ).fetchall()
            == []
        )

    # ---- the end

    def heal(self) -> None:
        world = self.world
        while self.workers:
            self.worker()
        world.lists.script.clear()
        world.lists.land_late()
        if self.log:
            self.tells(self.log)
        for seconds in (61, 400, 130, 4_000):
            world.wait(seconds)
            world.scan()
            for key in KEYS:
                world.mark(identity_of([key]), Reason.DRIFT)
            if self.two_way:
                see(world, *world.lists.items)
            world.settle()
            self.look()

    def problems(self) -> list[str]:
        world = self.world
        found = []
        if world.expected() != world.items():
            found.append(f"DIVERGED: {world.source.rows} {world.items()}")
        if len(item_ids(world)) != len(world.lists.items):
            found.append("DOUBLED: two items stand for one row")
        if world.backlog_rows() or on_record(world):
            found.append(f"STUCK: {world.backlog_rows()} {on_record(world)} on record")
        logged = {json.loads(value) for _, value, state, _ in world.conflicts() if state == "FINAL" and value}
        shown = {value for item in world.items().values() for value in item.values()}
        found += [f"LOST: {value!r} of {self.typed[value]}" for value in self.typed.keys() - logged - shown]
        found += [f"UNDECIDED: {row}" for row in world.conflicts() if row[2] == "PENDING"]
        return found


def play(world: World, seed: int, *, steps: int = STEPS) -> tuple[list[str], Play]:
    made = Play(world, seed)
    world.holds = PatientPerson()  # type: ignore[assignment]
    for key in KEYS[:3]:
        world.source.put(key, a=f"a of {key}", b="b")
    world.push()
    for _ in range(steps):
        made.one_step()
    made.heal()
    found = made.problems()
    if not found:
        quiet(world)
    return found, made


def test_keys_that_change_under_every_mishap_lose_nothing_and_double_nothing(one_metastore: str):
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        world = World(emptied(one_metastore), **SETUPS[seed % len(SETUPS)])
        try:
            found, made = play(world, seed)
            assert not found, f"seed {seed}: {found}"
            seen += made.seen
        finally:
            world.close()
    assert seen[Boundary.RENAMED] > SEEDS
