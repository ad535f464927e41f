"""Breaks the production code on purpose, one rule at a time, and requires that somebody notices.

    python -m tests.mutants [NAME …] [--seeds N] [--jobs N]

Every mutant is a patch of a production module, in one process only. `seeds`: seeds that are known to notice; when none of
them does any more, further ones are searched. `directed`: a test that has to pass, and to fail under the patch. Which
rule each mutant takes out stands in rules.py.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.catch import BY_NAME, MUTANTS, caught_by_seed, caught_by_test, pass_unbroken
from tests.mutants.mutant import Mutant
from tests.simulation.stage import own_stage


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[mutant.name for mutant in MUTANTS])
    parser.add_argument("--seeds", type=int, default=300, help="how many seeds to search")
    parser.add_argument("--jobs", type=int, default=2, help="how many directed tests at a time")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    chosen = [BY_NAME[name] for name in options.names]
    directed = [mutant for mutant in chosen if mutant.directed is not None]
    survived: list[str] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        unbroken = pool.submit(pass_unbroken, directed)
        under_way = pool.map(caught_by_test, directed)
        # Meanwhile, in this process: the others are processes of their own, which its patches do not reach.
        survived += _by_seed([mutant for mutant in chosen if mutant.directed is None], options.seeds)
        for mutant, how in zip(directed, under_way, strict=True):
            survived += _told(mutant, how)
        sound = unbroken.result()
    if not sound:
        print("directed tests fail although nothing is broken: their failing says nothing")
    print(f"{len(chosen)} mutants in {time.monotonic() - began:.0f} s, {len(survived)} survived {survived or ''}")
    return 0 if sound and not survived else 1


def _by_seed(mutants: Sequence[Mutant], search: int) -> list[str]:
    survived: list[str] = []
    if mutants:
        with tempfile.TemporaryDirectory(prefix="syncbridge-mutants-") as folder, own_stage(Path(folder)) as stage:
            for mutant in mutants:
                survived += _told(mutant, caught_by_seed(stage, mutant, search=search))
    return survived


def _told(mutant: Mutant, how: str | None) -> list[str]:
    print(f"{mutant.name:34} {f'caught by {how}' if how else 'SURVIVED'}", flush=True)
    return [] if how else [mutant.name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
