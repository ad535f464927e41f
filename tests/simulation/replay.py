"""Runs seeds once more and tells what happened: python -m tests.simulation.replay [--kind two-way] [--steps N] SEED …"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.simulation.kinds import KINDS, tell
from tests.simulation.stage import own_stage


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="+", metavar="SEED")
    parser.add_argument("--kind", choices=tuple(KINDS), default="push")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--quiet", action="store_true", help="only whether it is sound")
    options = parser.parse_args(arguments)
    kind, failed = KINDS[options.kind], 0
    with tempfile.TemporaryDirectory(prefix="syncbridge-replay-") as folder, own_stage(Path(folder)) as stage:
        for seed in options.seeds:
            watch = None if options.quiet else tell
            outcome = kind.run(stage, seed, steps=options.steps or kind.steps, watch=watch)
            print(f"seed {seed}: {outcome.problems or 'sound'} hash {outcome.hash}")
            failed += bool(outcome.problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
