"""One seed's schedule: workers that are advanced in any order, die at boundaries, and finish; faults and time."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any, Generic, TypeVar

from shared.core.boundaries import Boundary
from shared.core.errors import Transient
from tests.simulation.ground import LATEST, LEASE, Ground, Worker
from tests.simulation.stage import Stage

STEPS = 80
CYCLES = 4
"""Quiet cycles within which everything has to be equal."""
PARKED = 4000
"""Seconds after which every parked subject has been tried again."""

G = TypeVar("G", bound=Ground)


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
    notable: Counter[str] = field(default_factory=Counter)
    """What else happened, by name: a run in which nothing did proves nothing."""


@dataclass
class Actor:
    """A worker under way."""

    name: str
    steps: Worker
    loaded: int = -1
    """A capture: the moment of what it has read."""


class Ended(Exception):
    """The seed has failed; its outcome says how."""


class Schedule(Generic[G]):
    """What every run has: subclasses say who acts, and what must be true."""

    world: G

    def __init__(self, stage: Stage, seed: int, *, steps: int) -> None:
        self.stage, self.steps = stage, steps
        self.dice = Random(f"{seed}/schedule")
        self.outcome = Outcome(seed)
        self.workers: list[Actor] = []
        self.crash_rate = 0.0
        self.wanted: Boundary | None = None
        """Every seed kills one worker at a boundary of its own."""
        self.aim = 0.5
        """How likely that is, each time a worker passes there."""
        self.step = 0

    # ---- to be said by subclasses

    def warm_up(self) -> None:
        raise NotImplementedError

    def one_step(self) -> None:
        raise NotImplementedError

    def heal(self) -> None:
        raise NotImplementedError

    def concluded(self, actor: Actor) -> None:
        """A worker has come to its end."""

    def passed(self, actor: Actor, boundary: Boundary) -> None:
        """A worker has passed a boundary."""

    def settle_all(self) -> Worker:
        """A settle worker of the quiet phase."""
        return self.world.settler()

    # ---- the frame

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
        finally:
            for actor in self.workers:
                actor.steps.close()
        return outcome

    def demand(self, problems: list[str]) -> None:
        if problems:
            self.outcome.problems += problems
            raise Ended

    # ---- workers

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
        self.passed(actor, passed)
        if passed is Boundary.CLAIMED:
            self.outcome.takeovers += self._takeovers(actor)
        target = self.wanted is passed and self.dice.random() < self.aim
        if target or self.dice.random() < self.crash_rate:
            self.wanted = None if target else self.wanted
            self.crash(actor, passed)

    def _takeovers(self, actor: Actor) -> int:
        frame = actor.steps.gi_frame
        claim = frame.f_locals.get("claim") if frame is not None else None
        return sum(claimed.takeover for claimed in claim.subjects) if claim is not None else 0

    def finished(self, actor: Actor, result: object) -> None:
        self.workers.remove(actor)
        self.unheld(result)
        self.concluded(actor)
        self.world.note(f"{self.step} {actor.name} ended {_told(result)}")

    def unheld(self, result: object) -> None:
        hold = getattr(result, "hold", None)
        if hold is not None:
            self.demand([f"HELD: {hold.kind} {hold.explanation}"])

    def crash(self, actor: Actor, passed: Boundary) -> None:
        """The process dies: nothing of it runs any more, and nothing is given back."""
        self.workers.remove(actor)
        self.outcome.crashes[passed] += 1
        self.world.note(f"{self.step} {actor.name} died at {passed}")
        actor.steps.close()

    def pass_time(self, seconds: int) -> None:
        self.stage.advance(seconds)
        self.world.note(f"{self.step} {seconds} seconds")

    # ---- the quiet phase

    def calm(self) -> None:
        """Faults stop, paused workers wake, what was late lands, claims run out."""
        self.count_faults()
        self.stage.ask("DELETE", "faults")
        self.crash_rate, self.wanted = 0.0, None
        while self.workers:
            self.step += 1
            self.advance(self.dice.choice(self.workers))
        self.pass_time(LATEST + LEASE)

    def drain(self) -> None:
        """Settles until nothing is due any more, now or soon."""
        for _ in range(25):
            steps = self.settle_all()
            try:
                while True:
                    next(steps)
            except StopIteration as end:
                self.unheld(end.value)
                if end.value.claimed == 0:
                    if not self.waiting():
                        return
                    self.pass_time(40)
        stuck = [row for row in self.world.backlog_rows() if row[1] == "DUE"]
        self.demand([f"STUCK: {row}" for row in stuck])

    def waiting(self) -> bool:
        """Whether the backlog has something that time will make due."""
        return bool(self.world.backlog_rows())

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


def _told(result: object) -> str:
    """A worker's result without times and identifiers."""
    match result:
        case str() | int() | None:
            return str(result)
        case _ if hasattr(result, "claimed"):
            return f"claimed {result.claimed} confirmed {result.confirmed} wait {result.wait}"
        case _:
            return type(result).__name__
