"""One seed: users, people, workers, faults and time in one schedule; then the oracles."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from shared.core.backlog import Reason
from shared.core.boundaries import Boundary
from shared.core.errors import Transient
from tests.simulation.model import FIELDS, Seen
from tests.simulation.stage import Stage
from tests.simulation.world import LATEST, LEASE, SURFACE, Worker, World

STEPS = 80
CYCLES = 4
"""Quiet cycles within which everything has to be equal."""
PARKED = 4000
"""Seconds after which every parked subject has been tried again."""
USED = (
    Boundary.CLAIMED,
    Boundary.ROWS_READ,
    Boundary.ITEMS_READ,
    Boundary.INTENDED,
    Boundary.SENT,
    Boundary.CONFIRMED,
    Boundary.SCAN_LOADED,
    Boundary.SCAN_COMPARED,
    Boundary.SCAN_MARKED,
    Boundary.COMMAND_MARKED,
)


@dataclass
class Outcome:
    """What a seed showed. `problems` empty: everything the oracles ask for was true."""

    seed: int
    problems: list[str] = field(default_factory=list)
    hash: str = ""
    crashes: Counter[Boundary] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    conflicts: int = 0
    takeovers: int = 0


@dataclass
class Actor:
    """A worker under way."""

    name: str
    steps: Worker
    loaded: int = -1
    """A scan: the step at which it had read its rows."""


class Ended(Exception):
    """The seed has failed; its outcome says how."""


class Run:
    def __init__(self, stage: Stage, seed: int, *, unique: bool = True, steps: int = STEPS) -> None:
        self.steps = steps
        self.world = World(stage, seed, unique=unique)
        self.stage, self.model = stage, self.world.model
        self.dice = Random(f"{seed}/schedule")
        self.outcome = Outcome(seed)
        self.workers: list[Actor] = []
        self.keys = [str(n) for n in range(1, self.dice.randint(3, 6) + 1)]
        self.crash_rate = self.dice.choice((0.0, 0.03, 0.1))
        self.fault_rate = self.dice.choice((0.0, 0.3, 0.5, 0.5))
        self.people = self.dice.choice((0.0, 0.12, 0.2))
        self.wanted: Boundary | None = USED[seed % len(USED)]
        """Every seed kills one worker at a boundary of its own."""
        self.step = 0

    def go(self) -> Outcome:
        world, outcome = self.world, self.outcome
        try:
            self.warm_up()
            for step in range(self.steps):
                self.step = step
                self.one_step()
                self.demand(world.broken_ledger())
            self.heal()
        except Ended:
            pass
        except AssertionError as error:
            outcome.problems.append(f"ASSERTED: {error}")
        except Exception as error:
            outcome.problems.append(f"RAISED: {type(error).__name__}: {error}")
        world.note(f"conflicts {sorted(world.logged(), key=repr)}")
        outcome.conflicts = len(world.logged())
        outcome.hash = world.digest()
        return outcome

    def warm_up(self) -> None:
        """Most seeds begin with rows, many of them pushed already."""
        if self.dice.random() < 0.8:
            for key in self.keys:
                if self.dice.random() < 0.7:
                    self.world.put(key, -1, **{name: self.world.fresh("row ", name) for name in FIELDS})
        if self.dice.random() < 0.6:
            self.cycle()
        self.stage.ask("PUT", "faults", plan(self.outcome.seed, self.fault_rate))

    def demand(self, problems: list[str]) -> None:
        if problems:
            self.outcome.problems += problems
            raise Ended

    # ---- the busy phase

    def one_step(self) -> None:
        dice = self.dice
        roll = dice.random()
        if roll < 0.16:
            self.user()
        elif roll < 0.16 + self.people:
            self.person()
        elif roll < 0.55 and len(self.workers) < 4:
            self.start()
        elif roll < 0.6:
            self.pass_time(dice.choice((20, 20, 40, 80)))
        elif self.workers:
            actor = dice.choice(self.workers)
            for _ in range(dice.choice((1, 1, 2, 4, 8))):
                if actor in self.workers:
                    self.advance(actor)

    def start(self) -> None:
        dice, world = self.dice, self.world
        roll = dice.random()
        marks = 0.2 if world.due() else 0.9
        if roll < marks * 0.6:
            self.workers.append(Actor("scan", world.scanner()))
        elif roll < marks:
            known = [key for key in self.keys if dice.random() < 0.6] or self.keys[:1]
            reason = dice.choice((Reason.COMMAND, Reason.BACKFILL, Reason.DRIFT))
            self.workers.append(Actor(f"mark {reason}", world.marker(known, reason)))
        else:
            page, every = dice.choice((1, 2, 3, 50)), dice.choice((1, 2, 100))
            self.workers.append(Actor(f"settle {page} {every}", world.settler(page=page, confirm_every=every)))
        world.note(f"{self.step} start {self.workers[-1].name}")

    def advance(self, actor: Actor) -> None:
        try:
            passed = next(actor.steps)
        except StopIteration as end:
            self.finished(actor, end.value)
            return
        except Transient as error:
            self.finished(actor, f"{type(error).__name__} {error.code}")
            return
        self.world.note(f"{self.step} {actor.name} passed {passed}")
        if passed is Boundary.SCAN_LOADED:
            actor.loaded = self.step
        if passed is Boundary.CLAIMED:
            self.outcome.takeovers += self._takeovers(actor)
        target = self.wanted is passed and self.dice.random() < 0.5
        if target or self.dice.random() < self.crash_rate:
            self.wanted = None if target else self.wanted
            self.crash(actor, passed)

    def _takeovers(self, actor: Actor) -> int:
        frame = actor.steps.gi_frame
        claim = frame.f_locals.get("claim") if frame is not None else None
        return sum(claimed.takeover for claimed in claim.subjects) if claim is not None else 0

    def finished(self, actor: Actor, result: object) -> None:
        self.workers.remove(actor)
        hold = getattr(result, "hold", None)
        if hold is not None:
            self.demand([f"HELD: {hold.kind} {hold.explanation}"])
        if actor.loaded >= 0:
            self.model.noticed = max(self.model.noticed, actor.loaded)
        self.world.note(f"{self.step} {actor.name} ended {_told(result)}")

    def crash(self, actor: Actor, passed: Boundary) -> None:
        """The process dies: nothing of it runs any more, and nothing is given back."""
        self.workers.remove(actor)
        self.outcome.crashes[passed] += 1
        self.world.note(f"{self.step} {actor.name} died at {passed}")
        actor.steps.close()

    def pass_time(self, seconds: int) -> None:
        self.stage.advance(seconds)
        self.world.note(f"{self.step} {seconds} seconds")

    # ---- users and people

    def user(self) -> None:
        dice, world, rows = self.dice, self.world, self.model.rows
        roll, key = dice.random(), dice.choice(self.keys)
        if key not in rows:
            world.put(key, self.step, **{name: self._row_value(key, name) for name in FIELDS})
            world.note(f"{self.step} row {key} inserted")
        elif roll < 0.25:
            world.remove(key, self.step)
            world.note(f"{self.step} row {key} deleted")
        elif roll < 0.35:
            blank = None if rows[key]["b"] == "" else ""
            world.put(key, self.step, b=blank)
            world.note(f"{self.step} row {key} blank {blank!r}")
        else:
            names = [name for name in FIELDS if dice.random() < 0.4] or ["a"]
            world.put(key, self.step, **{name: self._row_value(key, name) for name in names})
            world.note(f"{self.step} row {key} changed {names}")

    def _row_value(self, key: str, name: str) -> object:
        if self.dice.random() < 0.1:
            old = [one.value for one in self.model.typed if one.key == key and one.name == name]
            old += [row[name] for row in self.model.rows.values()]
            if old:
                return self.dice.choice(old)
        return self.world.fresh("row ", name)

    def person(self) -> None:
        dice, world = self.dice, self.world
        live, roll = world.items(), dice.random()
        if roll < 0.05:
            values = {name: world.fresh("own ", name) for name in FIELDS}
            world.person_adds(values)
            world.note(f"{self.step} a person adds an item")
        elif roll < 0.65 and live:
            seen, name = dice.choice([one for one in live if one.key is not None] or live), dice.choice(FIELDS)
            reuse = dice.random() < 0.1 and seen.key in self.model.rows
            value = self.model.rows[str(seen.key)][name] if reuse else world.fresh("typed ", name)
            world.person_edits(seen, name, value if value != "" else None, fresh=not reuse)  # type: ignore[arg-type]
            world.note(f"{self.step} a person edits {name} of item {seen.item} of row {seen.key}")
        elif roll < 0.72 and live:
            seen = dice.choice(live)
            world.person_remarks(seen, f"remark {self.step}")
            world.note(f"{self.step} a person remarks on item {seen.item}")
        elif roll < 0.85 and live:
            seen = dice.choice(live)
            world.person_deletes(seen)
            world.note(f"{self.step} a person deletes item {seen.item} of row {seen.key}")
        elif binned := world.recycled():
            seen = dice.choice(binned)
            done = world.person_restores(seen)
            world.note(f"{self.step} a person restores item {seen.item} of row {seen.key}: {done}")

    # ---- the quiet phase

    def heal(self) -> None:
        """Faults stop, paused workers wake, what was late lands, claims run out."""
        world = self.world
        self.count_faults()
        self.stage.ask("DELETE", "faults")
        self.crash_rate, self.wanted = 0.0, None
        while self.workers:
            self.step += 1
            self.advance(self.dice.choice(self.workers))
        self.pass_time(LATEST + LEASE)
        self.drain()
        self.demand(world.broken_ledger())
        self.demand(self.unnoticed(world.items()))
        _, number = world.writes_since(0)
        for _ in range(CYCLES):
            self.cycle()
            self.pass_time(SURFACE + 20)
            self.drain()
            writes, number = world.writes_since(number)
            if not writes:
                break
        if world.backlog_rows():  # parked subjects are tried again
            self.pass_time(PARKED)
            self.drain()
        items = world.items()
        world.note(f"items {items}")
        log = world.logged()
        self.demand(
            self.model.differences(items)
            + self.model.strangers(items)
            + self.model.lost(items, log)
            + self.model.invented(log)
            + [f"PENDING: the loss of {value!r} is still undecided" for _, _, value in sorted(world.logged("PENDING"))]
            + [f"STUCK: {row}" for row in world.backlog_rows()]
            + self.source_untouched()
        )
        self.silent()
        self.demand(world.broken_ledger())

    def unnoticed(self, items: list[Seen]) -> list[str]:
        """Whatever a complete scan saw is settled from the backlog alone, with no further scan."""
        keys = [
            key
            for key, step in self.model.row_edited.items()
            if step < self.model.noticed and key not in self.model.people_were_at
        ]
        return [f"MARK LOST, {text}" for text in self.model.differences(items, keys) if text.startswith("DIVERGED")]

    def source_untouched(self) -> list[str]:
        found = {
            str(key): {"a": a, "b": b, "n": n}
            for key, a, b, n in self.stage.rows.execute("select id, a, b, n from public.people_rows").fetchall()
        }
        return [] if found == self.model.rows else ["SOURCE: a push changed the table"]

    def cycle(self) -> None:
        for worker in (self.world.scanner(), self.world.marker(sorted(self.model.ever), Reason.DRIFT)):
            for _ in worker:
                pass
        self.drain()

    def drain(self) -> None:
        """Settles until nothing is due any more, now or soon."""
        for _ in range(25):
            steps = self.world.settler()
            try:
                while True:
                    next(steps)
            except StopIteration as end:
                if end.value.hold is not None:
                    self.demand([f"HELD: {end.value.hold.kind} {end.value.hold.explanation}"])
                if end.value.claimed == 0:
                    if not self.world.backlog_rows():
                        return
                    self.pass_time(40)
        stuck = [row for row in self.world.backlog_rows() if row[1] == "DUE"]
        self.demand([f"STUCK: {row}" for row in stuck])

    def silent(self) -> None:
        """Two more cycles write nothing and agree on nothing new; the second after rows were only spelt differently."""
        world = self.world
        _, number = world.writes_since(0)
        before = world.agreements()
        self.cycle()
        writes, number = world.writes_since(number)
        self.demand([f"ECHO: {writes} writes when nothing had changed"] if writes else [])
        self.demand(["ECHO: the ledger changed when nothing had changed"] if before != world.agreements() else [])
        for key, row in sorted(self.model.rows.items()):
            if row["b"] in (None, ""):
                world.put(key, self.step, b="" if row["b"] is None else None)
        self.cycle()
        writes, number = world.writes_since(number)
        self.demand([f"ECHO: {writes} writes for values that mean the same"] if writes else [])

    def count_faults(self) -> None:
        for rule in self.stage.ask("GET", "faults")["rules"]:
            self.outcome.faults[rule["match"]["name"]] += rule["fired"]


def plan(seed: int, rate: float) -> dict[str, Any]:
    """Faults of one seed. The names are for the counters; the simulator does not read them."""
    writes: dict[str, Any] = {"inner": True, "method": "POST,PATCH,DELETE"}
    batch: dict[str, Any] = {"inner": False, "method": "POST", "path": r"/\$batch$"}
    reads: dict[str, Any] = {"method": "GET", "path": "^/v1\\.0/"}
    rules: list[tuple[str, dict[str, Any], float, dict[str, Any]]] = [
        ("after", writes, 0.32, {"kind": "status", "status": 504, "when": "after"}),
        ("late", writes, 0.2, {"kind": "late", "seconds": 20 + seed * 37 % (LATEST - 20)}),
        ("before", writes, 0.12, {"kind": "status", "status": 502, "when": "before"}),
        ("throttled", writes, 0.12, {"kind": "status", "status": 429, "retry_after": 15}),
        ("mismatch", {**writes, "method": "PATCH,DELETE"}, 0.1, {"kind": "status", "status": 412}),
        ("envelope reset after", batch, 0.08, {"kind": "reset", "when": "after"}),
        ("envelope reset before", batch, 0.04, {"kind": "reset", "when": "before"}),
        ("envelope truncated", batch, 0.08, {"kind": "truncate"}),
        ("envelope answers dropped", batch, 0.08, {"kind": "batch_drop"}),
        ("envelope late", batch, 0.05, {"kind": "late", "seconds": 20 + seed * 53 % (LATEST - 20)}),
        ("envelope unavailable", batch, 0.05, {"kind": "status", "status": 503, "retry_after": 15}),
        ("envelope throttled", batch, 0.04, {"kind": "status", "status": 429, "retry_after": 15}),
        ("read", {**reads, "inner": True}, 0.2, {"kind": "status", "status": 503, "retry_after": 15}),
        ("read alone", {**reads, "inner": False}, 0.2, {"kind": "status", "status": 504}),
    ]
    made = [
        {"match": {**match, "rate": rate * share, "name": name}, "fault": fault} for name, match, share, fault in rules
    ]
    create = {"inner": True, "method": "POST", "nth": [1 + seed % 3], "name": "first create"}
    if rate and seed % 4 == 0:
        made.insert(0, {"match": create | {"name": "create after"}, "fault": rules[0][3]})
    if rate and seed % 4 == 1:
        made.insert(0, {"match": create | {"name": "create late"}, "fault": rules[1][3]})
    return {"seed": seed, "rules": made}


def run_seed(
    stage: Stage,
    seed: int,
    *,
    unique: bool = True,
    steps: int = STEPS,
    watch: Callable[[Run], None] | None = None,
) -> Outcome:
    """Runs one seed on a stage that any seed may have used before."""
    run = Run(stage, seed, unique=unique, steps=steps)
    outcome = run.go()
    if watch is not None:
        watch(run)
    return outcome


def _told(result: object) -> str:
    """A worker's result without times and identifiers."""
    match result:
        case str() | int() | None:
            return str(result)
        case _ if hasattr(result, "claimed"):
            return f"claimed {result.claimed} confirmed {result.confirmed} wait {result.wait}"
        case _:
            return type(result).__name__
