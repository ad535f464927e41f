"""Who notices a mutant: a seed of a simulation, or a directed test that has to fail under the same patch."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.mutants.doubts import DOUBTS
from tests.mutants.keys import KEYS
from tests.mutants.marks import MARKS
from tests.mutants.merging import MERGING
from tests.mutants.mutant import Mutant
from tests.mutants.pausing import PAUSING
from tests.mutants.plugin import MUTANT, REPORT
from tests.mutants.push import PUSH
from tests.mutants.readings import READINGS
from tests.mutants.stamps import STAMPS
from tests.mutants.streams import CHANGE_STREAMS
from tests.mutants.two_way import TWO_WAY
from tests.mutants.writes import WRITES_TO_ROWS
from tests.simulation.kinds import KINDS
from tests.simulation.stage import Stage

ROOT = Path(__file__).parents[2]
MUTANTS: tuple[Mutant, ...] = (
    *PUSH,
    *TWO_WAY,
    *MERGING,
    *PAUSING,
    *DOUBTS,
    *MARKS,
    *STAMPS,
    *READINGS,
    *WRITES_TO_ROWS,
    *KEYS,
    *CHANGE_STREAMS,
)
BY_NAME = {mutant.name: mutant for mutant in MUTANTS}


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    with ExitStack() as stack:
        mutant.apply(stack)
        yield


def caught_by_seed(stage: Stage, mutant: Mutant, *, search: int) -> str | None:
    """Which seed notices first, and what it says: of the known ones, then of `search` others."""
    with applied(mutant):
        for seed in dict.fromkeys((*mutant.seeds, *range(search))):
            problems = KINDS[mutant.kind].run(stage, seed, unique=mutant.unique).problems
            if problems:
                return f"seed {seed}: {problems[0]}"
    return None


def caught_by_test(mutant: Mutant) -> str | None:
    """The directed test, and what it says when it fails under the patch; None: it passes.

    Raises RuntimeError when the test did not get to run."""
    with tempfile.TemporaryDirectory(prefix="syncbridge-mutant-") as folder:
        report = Path(folder) / "report"
        named = os.environ | {MUTANT: mutant.name, REPORT: str(report)}
        done = _pytest([str(mutant.directed)], "-p", "tests.mutants.plugin", environment=named)
        lines = report.read_text("utf-8").splitlines() if report.exists() else []
    phases = [json.loads(line) for line in lines]
    calls = [phase for phase in phases if phase["phase"] == "call"]
    if not calls or any(phase["outcome"] != "passed" for phase in phases if phase["phase"] == "setup"):
        raise RuntimeError(f"{mutant.directed} could not be run: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    failed = [phase for phase in calls if phase["outcome"] == "failed"]
    return f"{mutant.directed}: {_line(failed[0]['message'])}" if failed else None


def pass_unbroken(mutants: Sequence[Mutant]) -> bool:
    """Whether the directed tests pass without a mutant: else their failing says nothing."""
    directed = sorted({mutant.directed for mutant in mutants if mutant.directed is not None})
    if not directed:
        return True
    done = _pytest(directed, environment=dict(os.environ))
    if done.returncode != 0:
        print(done.stdout[-4000:], done.stderr[-2000:])
    return done.returncode == 0


def _pytest(tests: Sequence[str], *options: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *tests]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900)


def _line(message: str) -> str:
    first = next((line.strip() for line in message.splitlines() if line.strip()), "")
    return first if len(first) <= 140 else f"{first[:137]}..."
