"""The push's seeds with keys that change, and a stream that tells it: in time, late, in another order, twice or never."""

from random import Random

from shared.core.boundaries import Boundary
from tests.simulation.run import Run
from tests.simulation.schedule import STEPS, Actor
from tests.simulation.stage import Stage


class KeyRun(Run):
    def __init__(self, stage: Stage, seed: int, *, unique: bool = True, steps: int = STEPS) -> None:
        super().__init__(stage, seed, unique=unique, steps=steps)
        self.chance = Random(f"{seed}/keys")
        self.told: list[tuple[str, str]] = []
        """Changed keys that no message has told yet."""

    def one_step(self) -> None:
        roll = self.chance.random()
        if roll < 0.1:
            self.rename()
        elif roll < 0.24 and self.told:
            self.message()
        else:
            super().one_step()

    def rename(self) -> None:
        taken = sorted(self.model.rows)
        free = [key for key in self.keys if key not in self.model.rows]
        if not taken or not free:
            return
        key, new = self.chance.choice(taken), self.chance.choice(free)
        values = {"a": self.world.fresh("row ", "a")} if self.chance.random() < 0.3 else {}
        self.world.rename(key, new, self.step, **values)
        self.told.append((key, new))
        self.world.note(f"{self.step} row {key} has the key {new}")
        self.outcome.notable["keys changed"] += 1

    def message(self) -> None:
        """One that is lost, or comes again, is one in ten each."""
        count = self.chance.randint(1, len(self.told))
        at = 0 if self.chance.random() < 0.8 else self.chance.randint(0, len(self.told) - count)
        part = self.told[at : at + count]
        if self.chance.random() < 0.9:
            del self.told[at : at + count]
        if self.chance.random() < 0.9:
            self.workers.append(Actor("stream", self.world.streamer(part)))
            self.world.note(f"{self.step} start stream {part}")

    def passed(self, actor: Actor, boundary: Boundary) -> None:
        super().passed(actor, boundary)
        if boundary is Boundary.RENAMED:
            self.outcome.notable["followed"] += 1
