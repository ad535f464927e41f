"""Seeds where rows are marked as deleted, leave the definition's filter and come back, and get other keys, of which a
stream tells: in time, late, in another order, twice or never."""

from random import Random

from shared.core.boundaries import Boundary
from tests.simulation.schedule import Actor
from tests.simulation.stage import Stage
from tests.simulation.twoway.modes import OneWayRun
from tests.simulation.twoway.run import STEPS
from tests.simulation.twoway.setup import leaving
from tests.simulation.twoway.terms import Value
from tests.simulation.twoway.world import TwoWayWorld


class LeavingRun(OneWayRun):
    def __init__(self, stage: Stage, seed: int, *, steps: int = STEPS, unique: bool = True) -> None:
        super().__init__(stage, seed, steps=steps, unique=unique)
        self.chance = Random(f"{seed}/leaving")
        plain = not (self.terms.filtered or self.terms.marker)
        self.renaming = plain or self.chance.random() < 0.2
        self.told: list[tuple[str, str]] = []
        """Changed keys that no message has told yet."""

    def make_world(self, *, unique: bool) -> TwoWayWorld:
        return TwoWayWorld(self.stage, self.outcome.seed, unique=unique, terms=leaving)

    def one_step(self) -> None:
        if self.told and self.chance.random() < 0.15:
            self.message()
        super().one_step()

    def user(self) -> None:
        chance, world = self.chance, self.world
        roll, rows = chance.random(), sorted(world.all_rows(), key=int)
        if self.renaming and rows and roll < 0.35:
            self.rename(rows)
        elif (self.terms.filtered or self.terms.marker) and rows and roll < 0.6:
            key = chance.choice(rows)
            left = self.terms.filtered and (not self.terms.marker or chance.random() < 0.5)
            done = world.user_takes_out(key, left=left)
            world.notable["rows left" if left else "rows marked"] += done
            world.note(f"{self.step} row {key} {'leaves' if left else 'is marked'}: {done}")
        elif roll < 0.8 and (out := world.left_out(marked=True)):
            key = chance.choice(out)
            done = world.user_brings_back(key)
            world.notable["rows back"] += done
            world.note(f"{self.step} row {key} comes back: {done}")
        else:
            super().user()

    def rename(self, rows: list[str]) -> None:
        chance, world = self.chance, self.world
        free = [str(key) for key in range(1, 12) if str(key) not in rows]
        key, new = chance.choice(rows), chance.choice(free)
        values: dict[str, Value] = {"a": world.fresh("row ", "a")} if chance.random() < 0.3 else {}
        done = world.user_renames(key, new, values)
        if done:
            self.told.append((key, new))
            world.notable["keys changed"] += 1
        world.note(f"{self.step} row {key} gets the key {new}: {done}")

    def message(self) -> None:
        """One that is lost, or comes again, is one in ten each."""
        chance = self.chance
        count = chance.randint(1, len(self.told))
        at = 0 if chance.random() < 0.8 else chance.randint(0, len(self.told) - count)
        part = self.told[at : at + count]
        if chance.random() < 0.9:
            del self.told[at : at + count]
        if chance.random() < 0.9:
            self.workers.append(Actor("stream", self.world.streamer(part)))
            self.world.note(f"{self.step} start stream {part}")

    def passed(self, actor: Actor, boundary: Boundary) -> None:
        super().passed(actor, boundary)
        if boundary is Boundary.RENAMED:
            self.outcome.notable["followed"] += 1

    def written(self, op: str, old: dict[str, object], new: dict[str, object]) -> list[str]:
        """A row that is marked as deleted, or not any more, is deleted and inserted for all others."""
        marks = {"gone", "gone_at"} - {self.terms.marker} | {"open"}
        problems = [
            f"FOOTPRINT: {name} was written" for name in sorted(marks) if op == "UPDATE" and old[name] != new[name]
        ]
        marker = self.terms.marker
        if op == "UPDATE" and marker and old[marker] != new[marker]:
            op = "DELETE" if new[marker] else "INSERT"
            self.world.notable[f"marked {op}"] += 1
        elif op == "DELETE" and marker:
            problems.append(f"FOOTPRINT: row {old['id']} was deleted, and not marked")
        return problems + super().written(op, old, new)

    def heal(self) -> None:
        super().heal()
        self.outcome.notable["items moved"] += self.model.moved
