"""The push's seeds: users, people, workers, faults and time in one schedule; then the oracles."""

from collections.abc import Callable

from shared.core.backlog import Reason
from shared.core.boundaries import Boundary
from tests.simulation.ground import SURFACE
from tests.simulation.model import FIELDS, Seen
from tests.simulation.schedule import CYCLES, PARKED, STEPS, Actor, Outcome, Schedule, plan
from tests.simulation.stage import Stage
from tests.simulation.world import World

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


class Run(Schedule[World]):
    def __init__(self, stage: Stage, seed: int, *, unique: bool = True, steps: int = STEPS) -> None:
        super().__init__(stage, seed, steps=steps)
        self.world = World(stage, seed, unique=unique)
        self.model = self.world.model
        self.keys = [str(n) for n in range(1, self.dice.randint(3, 6) + 1)]
        self.crash_rate = self.dice.choice((0.0, 0.03, 0.1))
        self.fault_rate = self.dice.choice((0.0, 0.3, 0.5, 0.5))
        self.people = self.dice.choice((0.0, 0.12, 0.2))
        self.wanted = USED[seed % len(USED)]

    def go(self) -> Outcome:
        outcome = super().go()
        log = self.world.logged()
        self.world.note(f"conflicts {sorted(log, key=repr)}")
        outcome.conflicts = len(log)
        outcome.hash = self.world.digest()
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

    def passed(self, actor: Actor, boundary: Boundary) -> None:
        if boundary is Boundary.SCAN_LOADED:
            actor.loaded = self.step

    def concluded(self, actor: Actor) -> None:
        if actor.loaded >= 0:
            self.model.noticed = max(self.model.noticed, actor.loaded)

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
        world = self.world
        self.calm()
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


def run_seed(
    stage: Stage,
    seed: int,
    *,
    unique: bool = True,
    steps: int = STEPS,
    watch: Callable[[Run], None] | None = None,
    of: type[Run] = Run,
) -> Outcome:
    """Runs one seed on a stage that any seed may have used before. `of`: what people do in it."""
    run = of(stage, seed, unique=unique, steps=steps)
    outcome = run.go()
    if watch is not None:
        watch(run)
    return outcome
