"""The simulations there are: a way to run a seed, and how many steps one has if nobody says."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.simulation.keys import KeyRun
from tests.simulation.run import run_seed
from tests.simulation.schedule import STEPS, Outcome
from tests.simulation.twoway.asking import AskingRun
from tests.simulation.twoway.leaving import LeavingRun
from tests.simulation.twoway.modes import OneWayRun
from tests.simulation.twoway.run import STEPS as TWO_WAY_STEPS
from tests.simulation.twoway.run import run_two_way


@dataclass(frozen=True, slots=True)
class Kind:
    run: Callable[..., Outcome]
    steps: int
    option: str
    """What the replay has to be told."""

    def again(self, seed: int, steps: int | None = None) -> str:
        """The command that runs a seed once more."""
        steps_option = "" if steps in (None, self.steps) else f" --steps {steps}"
        return f"python -m tests.simulation.replay{self.option}{steps_option} {seed}"


KINDS: dict[str, Kind] = {
    "push": Kind(run_seed, STEPS, ""),
    "keys": Kind(partial(run_seed, of=KeyRun), STEPS, " --kind keys"),
    "two-way": Kind(run_two_way, TWO_WAY_STEPS, " --kind two-way"),
    "asking": Kind(partial(run_two_way, of=AskingRun), TWO_WAY_STEPS, " --kind asking"),
    "one-way": Kind(partial(run_two_way, of=OneWayRun), TWO_WAY_STEPS, " --kind one-way"),
    "leaving": Kind(partial(run_two_way, of=LeavingRun), TWO_WAY_STEPS, " --kind leaving"),
}


def told(kind: Kind, outcomes: list[Outcome]) -> str:
    """One line per seed that failed, with how to run it once more."""
    return "\n".join(f"{outcome.problems[0]}    {kind.again(outcome.seed)}" for outcome in outcomes if outcome.problems)


def tell(run: Any) -> None:
    """Everything that happened in a run, and the ledger as it stands."""
    for line in run.world.history:
        print("  ", line)
    for row in run.world.agreements():
        print("   ledger", row[:5], row[6])
