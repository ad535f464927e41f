"""Any number of seeds: python -m tests.simulation.soak [--seeds N] [--first N] [--steps N]; also SEEDS, FIRST, STEPS."""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.simulation.run import run_seed
from tests.simulation.schedule import STEPS
from tests.simulation.stage import own_stage


def work(
    first: int, last: int, stride: int, steps: int, results: "multiprocessing.Queue[tuple[int, list[str], int, int]]"
) -> None:
    with tempfile.TemporaryDirectory(prefix="syncbridge-soak-") as folder, own_stage(Path(folder)) as stage:
        for seed in range(first, last, stride):
            outcome = run_seed(stage, seed, steps=steps)
            results.put((seed, outcome.problems, sum(outcome.crashes.values()), outcome.conflicts))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=int(os.environ.get("SEEDS", "2000")))
    parser.add_argument("--first", type=int, default=int(os.environ.get("FIRST", "0")))
    parser.add_argument("--steps", type=int, default=int(os.environ.get("STEPS", str(STEPS))))
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    last = options.first + options.seeds
    workers = [
        context.Process(
            target=work, args=(options.first + n, last, options.processes, options.steps, results), daemon=False
        )
        for n in range(options.processes)
    ]
    began = time.monotonic()
    for worker in workers:
        worker.start()
    failing, kinds, crashes, conflicts, done = [], Counter[str](), 0, 0, 0
    while done < options.seeds:
        try:
            seed, problems, died, logged = results.get(timeout=5)
        except Exception:  # the queue's Empty: see whether somebody is still at work
            if not any(worker.is_alive() for worker in workers):
                print(f"the workers ended after {done} of {options.seeds} seeds")
                return 2
            continue
        done, crashes, conflicts = done + 1, crashes + died, conflicts + logged
        if problems:
            failing.append(seed)
            kinds.update({problem.split(":")[0] for problem in problems})
            print(
                f"seed {seed}: {problems[0]}    python -m tests.simulation.replay --steps {options.steps} {seed}",
                flush=True,
            )
    for worker in workers:
        worker.join()
    took = time.monotonic() - began
    print(
        f"{done} seeds in {took:.0f} s, {crashes} crashes, {conflicts} conflicts, {len(failing)} failing {dict(kinds)}"
    )
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
