"""Runs seeds once more and tells what happened: python -m tests.simulation.replay [--steps N] SEED [SEED …]"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.simulation.run import Run, run_seed
from tests.simulation.schedule import STEPS
from tests.simulation.stage import own_stage


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="+", metavar="SEED")
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args(arguments)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="syncbridge-replay-") as folder, own_stage(Path(folder)) as stage:
        for seed in options.seeds:

            def tell(run: Run) -> None:
                for line in run.world.history:
                    print("  ", line)
                for row in run.world.agreements():
                    print("   ledger", row[:5], row[6])

            outcome = run_seed(stage, seed, steps=options.steps, watch=tell)
            print(f"seed {seed}: {outcome.problems or 'sound'} hash {outcome.hash}")
            failed += bool(outcome.problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
