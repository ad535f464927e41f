"""Seeds of definitions where one side alone is the record, while people work on both."""

from tests.simulation.stage import Stage
from tests.simulation.twoway.asking import AskingRun
from tests.simulation.twoway.history import row_name
from tests.simulation.twoway.run import STEPS
from tests.simulation.twoway.setup import WAYS, one_way
from tests.simulation.twoway.terms import Mode, Side
from tests.simulation.twoway.world import TwoWayWorld


class OneWayRun(AskingRun):
    def __init__(self, stage: Stage, seed: int, *, steps: int = STEPS, unique: bool = True) -> None:
        super().__init__(stage, seed, steps=steps, unique=unique)
        self.outcome.notable[f"mode {self.terms.mode}"] += 1

    def make_world(self, *, unique: bool) -> TwoWayWorld:
        return TwoWayWorld(self.stage, self.outcome.seed, unique=unique, terms=one_way)

    def warm_up(self) -> None:
        if self.terms.mode is Mode.PULL:
            for number in range(1, self.dice.randint(0, 4) + 1):
                values = {name: self.world.fresh("own ", name) for name in WAYS}
                self.world.person_adds(values, None if self.terms.reserved else number, set(WAYS), "Megan Bowen")
        super().warm_up()

    def heal(self) -> None:
        super().heal()
        self.tell_policies()
        writes, _ = self.world.writes_since(0)
        if self.terms.mode is Mode.PULL:
            self.demand([f"FOOTPRINT: {writes} writes to a list that is the record"] if writes else [])

    def tell_policies(self) -> None:
        """What became of what was deleted on one side alone."""
        view, notable = self.world.view(), self.outcome.notable
        items = view.of_key()
        for side in Side:
            there = items if side is Side.ROW else view.rows
            gone = {d.who for d in self.model.deletions if d.side is side}
            keys = {key for key in there if row_name(key) in {self.model.subject(who) for who in gone}}
            notable["made again"] += len(keys & set(items) & set(view.rows))
            notable["kept alone"] += len(keys - (set(items) & set(view.rows)))

    def written(self, op: str, old: dict[str, object], new: dict[str, object]) -> list[str]:
        problems = super().written(op, old, new)
        if self.terms.mode is Mode.PUSH:
            problems.append(f"FOOTPRINT: {op} of row {new.get('id', old.get('id'))} in a table that is the record")
        return problems
