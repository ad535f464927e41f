"""Two-way seeds where a person is asked before a delete is carried over, and says yes or no, early or late."""

from tests.simulation.twoway import oracles
from tests.simulation.twoway.run import TwoWayRun
from tests.simulation.twoway.setup import asking
from tests.simulation.twoway.world import TwoWayWorld


class AskingRun(TwoWayRun):
    def make_world(self, *, unique: bool) -> TwoWayWorld:
        return TwoWayWorld(self.stage, self.outcome.seed, unique=unique, terms=asking)

    def one_step(self) -> None:
        roll = self.dice.random()
        if roll < 0.15:
            self.person_answers(all_of_them=False)
        elif roll < 0.2:
            self.somebody_deletes()
        super().one_step()

    def somebody_deletes(self) -> None:
        world, dice = self.world, self.dice
        rows, live = sorted(world.all_rows(), key=int), world.items()
        if live and dice.random() < 0.5:
            item = dice.choice(live)
            world.person_deletes(item, live)
            world.note(f"{self.step} a person deletes item {item.id} of row {item.key}")
        elif rows:
            key = dice.choice(rows)
            world.note(f"{self.step} row {key} deleted: {world.user_removes(key)}")

    def person_answers(self, *, all_of_them: bool) -> bool:
        """Whether there was something to answer."""
        world, asked = self.world, self.world.asked()
        self.demand(oracles.unasked_of(self.model, world.view(), asked))
        for key in asked:
            if all_of_them or self.dice.random() < 0.5:
                yes = self.dice.random() < 0.7
                world.person_answers(key, yes=yes)
                world.notable["approved" if yes else "rejected"] += 1
                world.note(f"{self.step} a person is asked about the {asked[key].lower()} of {key}: {yes}")
        return bool(asked)

    def written(self, op: str, old: dict[str, object], new: dict[str, object]) -> list[str]:
        problems = super().written(op, old, new)
        if op == "DELETE":
            self.model.approved.discard(str(old["id"]))  # the next one has to be asked for again
        return problems

    def cycle(self) -> None:
        super().cycle()
        if self.model.rejected:
            # What stays by itself is known as it is once its side was read: the answer is younger than this cycle's readings,
            # and a row may have been edited since it was last agreed on.
            for worker in (self.world.scanner(), self.world.enumerator()):
                for _ in worker:
                    pass
            self.drain()

    def drain(self) -> None:
        super().drain()
        for _ in range(10):
            if not self.person_answers(all_of_them=True):
                return
            super().drain()
        self.demand([f"ASKED FOR EVER: {sorted(self.world.asked())}"])

    def waiting(self) -> bool:
        return any(row[1] not in ("PARKED", "AWAITING_APPROVAL") for row in self.world.backlog_rows())
