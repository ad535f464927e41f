"""The two-way seeds: users of the table, people at the list, four workers, faults on both sides and time, in one schedule;
then the oracles."""

from collections.abc import Callable

from shared.core.backlog import Reason
from shared.core.boundaries import Boundary
from tests.simulation.ground import SURFACE
from tests.simulation.schedule import CYCLES, PARKED, Actor, Outcome, Schedule, plan
from tests.simulation.stage import Stage
from tests.simulation.twoway import oracles
from tests.simulation.twoway.history import row_name
from tests.simulation.twoway.oracles import Item, View
from tests.simulation.twoway.setup import PEOPLE, REFUSED, WAYS, gone_token
from tests.simulation.twoway.terms import Value, Way, canonical
from tests.simulation.twoway.world import TwoWayWorld

STEPS = 60
USED = (
    Boundary.CLAIMED,
    Boundary.ROWS_READ,
    Boundary.ITEMS_READ,
    Boundary.ROWS_BEGUN,
    Boundary.ROWS_INTENDED,
    Boundary.ROWS_WRITTEN,
    Boundary.ROWS_COMMITTED,
    Boundary.INTENDED,
    Boundary.SENT,
    Boundary.CONFIRMED,
    Boundary.SCAN_LOADED,
    Boundary.SCAN_COMPARED,
    Boundary.SCAN_MARKED,
    Boundary.DELTA_READ,
    Boundary.DELTA_MARKED,
    Boundary.LIST_LOADED,
    Boundary.LIST_COMPARED,
    Boundary.LIST_MARKED,
    Boundary.COMMAND_MARKED,
)


AIMS = (*USED, *(boundary for boundary in USED if boundary.name.startswith("ROWS_")))
"""Rows are written seldom while people are busy: more seeds aim at that."""


class TwoWayRun(Schedule[TwoWayWorld]):
    def __init__(self, stage: Stage, seed: int, *, steps: int = STEPS, unique: bool = True) -> None:
        super().__init__(stage, seed, steps=steps)
        self.world = self.make_world(unique=unique)
        self.model, self.terms = self.world.model, self.world.terms
        self.keys = [str(n) for n in range(1, self.dice.randint(3, 5) + 1)]
        self.rates = (self.dice.choice((0.0, 0.02, 0.08)), self.dice.choice((0.0, 0.3, 0.5, 0.5)))
        self.reuse, self.refuse = self.dice.choice((0.0, 0.1, 0.25)), self.dice.choice((0.0, 0.0, 0.1))
        self.wanted, self.aim = AIMS[seed % len(AIMS)], 1.0
        self.scanned = -1
        """The moment up to which a complete scan has told everything of the table."""
        self.row_writes = 0
        self.half_typed: list[int] = []

    def make_world(self, *, unique: bool) -> TwoWayWorld:
        return TwoWayWorld(self.stage, self.outcome.seed, unique=unique)

    def go(self) -> Outcome:
        outcome = super().go()
        log = self.world.logged()
        self.world.note(f"conflicts {sorted(log, key=repr)}")
        outcome.conflicts = len(log)
        outcome.notable += self.world.notable + self.world.writer.counts
        outcome.hash = self.world.digest()
        self.world.close()
        return outcome

    def warm_up(self) -> None:
        if self.dice.random() < 0.9:
            for key in self.keys:
                if self.dice.random() < 0.7:
                    self.world.user_puts(*self._new_row(None if self.terms.reserved else key))
        if self.dice.random() < 0.8:
            self.cycle()
        self.crash_rate, faults = self.rates
        self.stage.ask("PUT", "faults", plan(self.outcome.seed, faults))
        self.world.writer.rate = faults

    # ---- the busy phase

    def one_step(self) -> None:
        dice = self.dice
        roll = dice.random()
        if roll < 0.15:
            self.user()
        elif roll < 0.32:
            self.person()
        elif roll < 0.62 and len(self.workers) < 4:
            self.start()
        elif roll < 0.7:
            self.pass_time(dice.choice((1, 5, 20, 40, 80)))
        elif roll < 0.71:
            self.tokens_die()
        if self.workers and (roll >= 0.71 or dice.random() < 0.6):
            actor = dice.choice(self.workers)
            for _ in range(dice.choice((1, 2, 4, 8))):
                if actor in self.workers:
                    self.advance(actor)
        self.judge()

    def judge(self) -> None:
        """What can be told at once: unasked deletes, fields mixed, columns that are nobody's business, the log's lines."""
        problems, self.world.problems[:] = list(self.world.problems), []
        for who, op, old, new in self.world.heard_writes():
            if who == "engine":
                self.row_writes += 1
                problems += self.written(op, old or {}, new or {})
        self.demand(problems)

    def written(self, op: str, old: dict[str, object], new: dict[str, object]) -> list[str]:
        """What is wrong with a write of the engine to the table."""
        if op == "DELETE":
            self.world.notable["rows deleted"] += 1
            return oracles.unasked_row(self.model, self.terms, str(old["id"]))
        key = str(new["id"])
        self.model.took(key)
        self.world.notable[f"rows {op.lower()}"] += 1
        kept = {"kept", *(name for name in WAYS if self.terms.ways.get(name) in (None, Way.TO_ITEM))}
        problems = [
            f"FOOTPRINT: {name} of row {key} was written" for name in sorted(kept) if old.get(name) != new[name]
        ]
        if old and old["id"] != new["id"]:
            problems.append(f"FOOTPRINT: the key of row {old['id']} was written")
        pair = tuple(canonical(new[name]) for name in self.terms.group)
        if all(pair != left for _, left in self.model.pairs):  # whose item it is may not show yet
            problems.append(f"MIXED: {self.terms.group} of row {key} are {pair}")
        return problems

    def start(self) -> None:
        dice, world = self.dice, self.world
        roll = dice.random()
        captures = 0.35 if world.due() else 0.9
        page, every = dice.choice((1, 2, 3, 50)), dice.choice((1, 2, 100))
        if roll < captures * 0.3:
            self.workers.append(Actor("scan", world.scanner()))
        elif roll < captures * 0.45:
            rows = sorted(world.all_rows(), key=int) or self.keys
            known = [key for key in rows if dice.random() < 0.6] or rows[:1]
            reason = dice.choice((Reason.STREAM, Reason.COMMAND, Reason.BACKFILL, Reason.DRIFT))
            self.workers.append(Actor(f"mark {reason}", world.marker(known, reason)))
        elif roll < captures * 0.96:
            settles = dice.random() < 0.6
            self.workers.append(Actor("pull", world.pull(page=page, confirm_every=every, settles=settles)))
        elif roll < captures:
            self.workers.append(Actor("enumerate", world.enumerator()))
        else:
            self.workers.append(Actor(f"settle {page} {every}", world.settler(page=page, confirm_every=every)))
        world.note(f"{self.step} start {self.workers[-1].name}")

    def passed(self, actor: Actor, boundary: Boundary) -> None:
        if boundary is Boundary.SCAN_LOADED:
            actor.loaded = self.model.tick()

    def concluded(self, actor: Actor) -> None:
        if actor.loaded >= 0:
            self.scanned = max(self.scanned, actor.loaded)

    def pass_time(self, seconds: int) -> None:
        super().pass_time(seconds)
        self.world.writer.pass_time()

    def tokens_die(self) -> None:
        self.stage.ask("PUT", "knobs", gone_token(self.dice))
        self.stage.ask("POST", f"lists/{self.world.list_id}/expire-tokens")
        self.outcome.notable["tokens died"] += 1
        self.world.note(f"{self.step} tokens die")

    # ---- users

    def user(self) -> None:
        dice, world = self.dice, self.world
        if dice.random() < 0.4:
            self.pass_time(1)
        roll, rows = dice.random(), world.all_rows()
        if world.slow is not None and roll < 0.5:
            commits = dice.random() < 0.8
            world.note(f"{self.step} the slow user ends: {commits}")
            world.slow_user_ends(commits=commits)
            return
        key = dice.choice(self.keys if not self.terms.reserved else sorted(rows, key=int) or ["1"])
        if key not in rows or (self.terms.reserved and roll < 0.1):
            done = world.user_puts(*self._new_row(None if self.terms.reserved else key))
            world.note(f"{self.step} row {key} inserted: {done}")
        elif roll < 0.2:
            world.note(f"{self.step} row {key} deleted: {world.user_removes(key)}")
        elif roll < 0.3 and world.slow is None:
            values = {dice.choice(("a", "b")): world.fresh("slow ", "a")}
            world.note(f"{self.step} a slow user begins at row {key}: {world.slow_user_begins(key, values)}")
        else:
            values, fresh = self._changes("row ", tuple(WAYS), key, rows[key])
            done = world.user_puts(key, values, fresh)
            world.note(f"{self.step} row {key} changed {sorted(values)}: {done}")

    def _new_row(self, key: str | None) -> tuple[str | None, dict[str, Value], set[str]]:
        values: dict[str, Value] = {name: self.world.fresh("row ", name) for name in WAYS}
        return key, values, set(WAYS)

    def _changes(
        self, side: str, names: tuple[str, ...], key: str | None, before: "dict[str, Value] | object"
    ) -> tuple[dict[str, Value], set[str]]:
        """One or more fields with new values, now and then with old ones; a blank now and then."""
        dice, chosen = self.dice, [name for name in names if self.dice.random() < 0.2]
        values: dict[str, Value] = {}
        fresh: set[str] = set()
        for name in chosen or [dice.choice(names)]:
            roll = dice.random()
            if roll < self.reuse and (old := self._used(key, name)):
                values[name] = dice.choice(old)
            elif roll > 0.95 and name != "a":
                values[name] = None
            else:
                values[name] = self.world.fresh(side, name)
                fresh.add(name)
        return values, fresh

    def _used(self, key: str | None, name: str) -> list[Value]:
        subject = None if key is None else row_name(key)
        used = [e.value for e in self.model.edits if e.name == name and self.model.subject(e.who) == subject]
        return [value for value in used if value is not None and (not isinstance(value, int) or value > REFUSED)]

    # ---- people

    def person(self) -> None:
        dice, world = self.dice, self.world
        if dice.random() < 0.4:
            self.pass_time(1)
        live, roll, who = world.items(), dice.random(), dice.choice(tuple(PEOPLE))
        if roll < 0.14:
            self.adds(who)
        elif roll < 0.18 and live:
            item = dice.choice(live)
            world.note(f"{self.step} a person copies item {item.id} to {world.person_copies(item)}")
        elif roll < 0.58 and live:
            item = self.somebodys(live)
            names = tuple(name for name in WAYS if item.values[name] is None) if item.id in self.half_typed else ()
            values, fresh = self._changes("typed ", names or tuple(WAYS), item.key, item.values)
            if "n" in values and dice.random() < self.refuse:
                values["n"] = REFUSED - int(str(world.fresh("", "n")))
            world.person_types(item, values, fresh, who)
            world.note(f"{self.step} {who} edits {sorted(values)} of item {item.id} of row {item.key}")
        elif roll < 0.62 and live:
            item = dice.choice(live)
            number = dice.choice((None, 1, 2, 3, 7, 8))
            world.person_renumbers(item, number)
            world.note(f"{self.step} a person numbers item {item.id} of row {item.key}: {number}")
        elif roll < 0.68 and live:
            item = dice.choice(live)
            world.person_remarks(item, f"remark {self.step}")
            world.note(f"{self.step} a person remarks on item {item.id}")
        elif roll < 0.84 and live:
            item = dice.choice(live)
            world.person_deletes(item, live)
            world.note(f"{self.step} a person deletes item {item.id} of row {item.key}")
        elif binned := world.recycled():
            item = dice.choice(binned)
            done = world.person_restores(item)
            world.note(f"{self.step} a person restores item {item.id} of row {item.key}: {done}")

    def adds(self, who: str) -> None:
        """An item of a person's own; half-typed ones are filled in later, or never."""
        dice, world = self.dice, self.world
        half = dice.random() < 0.4
        names = [name for name in WAYS if not half or name == "a" or dice.random() < 0.2]
        values = {name: world.fresh("own ", name) for name in names}
        number = None if self.terms.reserved or dice.random() < 0.15 else dice.choice((1, 2, 3, 4, 5, 7, 8, 9))
        item = world.person_adds(values, number, set(names), who)
        if half:
            self.half_typed.append(item)
        world.note(f"{self.step} {who} adds item {item} with {names}, number {number}")

    def somebodys(self, live: list[Item]) -> Item:
        typing = [item for item in live if item.id in self.half_typed]
        return self.dice.choice(typing if typing and self.dice.random() < 0.4 else live)

    # ---- the quiet phase

    def heal(self) -> None:
        world = self.world
        if world.slow is not None:
            world.slow_user_ends(commits=True)
        world.writer.rate = 0.0
        self.calm()
        self.drain()
        self.judge()
        self.demand(world.broken_ledger())
        self.demand(self.unnoticed(world.view()))
        _, number = world.writes_since(0)
        for _ in range(CYCLES):
            before = self.row_writes
            self.cycle()
            self.pass_time(SURFACE + 20)
            self.drain()
            self.judge()
            writes, number = world.writes_since(number)
            if not writes and before == self.row_writes:
                break
        if world.backlog_rows():  # parked subjects are tried again
            self.pass_time(PARKED)
            self.drain()
        self.judge()
        view = world.view()
        world.note(f"rows {view.rows}")
        told = [(item.id, item.key, item.values, item.remark, item.typed_key) for item in view.items]
        world.note(f"items {told}")
        self.demand(
            oracles.at_rest(self.model, self.terms, view)
            + self.system_fields(view)
            + [f"PENDING: the loss of {value!r} is still undecided" for _, _, value in sorted(world.logged("PENDING"))]
            + self.stuck(view)
        )
        self.silent()
        self.demand(world.broken_ledger())

    def unnoticed(self, view: View) -> list[str]:
        """Whatever complete captures saw of both sides is settled from the backlog alone, with no further one."""
        told = min(self.scanned, self.world.listened)
        late = {
            subject
            for subject in self.model.subjects()
            if self.model.last_touch(subject) >= told or self.model.deleted(subject)
        }
        problems = oracles.differences(self.model, self.terms, view)
        return [
            f"MARK LOST, {text}"
            for text in problems
            if text.startswith("DIVERGED: row") and self.model.subject(row_name(text.split()[2])) not in late
        ]

    def system_fields(self, view: View) -> list[str]:
        """What the list notes by itself stands in the row."""
        world = self.world
        if not world.system:
            return []
        rows = world.system_values()
        return [
            f"SYSTEM: row {item.key} has {rows[item.key]}, its item {wanted}"
            for item in view.items
            if item.key in rows and item.id not in view.aside and rows[item.key] != (wanted := world.system_value(item))
        ]

    def stuck(self, view: View) -> list[str]:
        """Only what cannot become a row, or has a value that no row takes, may still wait; and it says why."""
        waiting = {f"item {item.id}" for item in view.items if item.id in view.aside}
        waiting |= {f'["{item.key}"]' for item in view.items if item.id in view.aside and item.key is not None}
        waiting |= self.world.bound_to(view.aside)
        return [f"STUCK: {row}" for row in self.world.backlog_rows() if row[0] not in waiting or row[1] != "PARKED"]

    def waiting(self) -> bool:
        return any(row[1] != "PARKED" for row in self.world.backlog_rows())

    def cycle(self) -> None:
        """What the timers do: both captures, and the backlog. Nobody looks at what neither capture tells of."""
        for worker in (self.world.scanner(), self.world.pull_all()):
            for _ in worker:
                pass
        self.drain()

    def look_at_everything(self) -> None:
        rows = sorted(self.world.all_rows(), key=int)
        for worker in (self.world.marker(rows, Reason.DRIFT), self.world.enumerator()):
            for _ in worker:
                pass

    def silent(self) -> None:
        """Two more cycles write nothing on either side, and agree on nothing new; in the second everything is looked at."""
        world = self.world
        _, number = world.writes_since(0)
        before = world.agreements()
        # Where two items quarrel for one key, each look tries to give it to the one that the ledger has.
        quarrel = bool(world.rivals(world.items()))
        for look in (False, True):
            if look and not quarrel:
                self.look_at_everything()
            self.cycle()
            writes, number = world.writes_since(number)
            self.demand([f"ECHO: {writes} writes to the list when nothing had changed"] if writes else [])
            rows = self.row_writes
            self.judge()
            self.demand(["ECHO: rows were written when nothing had changed"] if rows != self.row_writes else [])
            same = before == world.agreements()
            self.demand([] if same else ["ECHO: the ledger changed when nothing had changed"])


def run_two_way(
    stage: Stage,
    seed: int,
    *,
    unique: bool = True,
    steps: int = STEPS,
    watch: Callable[[TwoWayRun], None] | None = None,
    of: type[TwoWayRun] = TwoWayRun,
) -> Outcome:
    """Runs one seed on a stage that any seed may have used before. `unique`: the list's key column enforces it. `of`: what
    people do in it."""
    run = of(stage, seed, steps=steps, unique=unique)
    outcome = run.go()
    if watch is not None:
        watch(run)
    return outcome
