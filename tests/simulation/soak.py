"""Any number of seeds: python -m tests.simulation.soak [--kind KIND] [--seeds N] [--first N] [--steps N]

Also SEEDS, FIRST, STEPS, KIND in the environment. Without a kind all are run, the same seeds of each.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.simulation.kinds import KINDS
from tests.simulation.schedule import Outcome
from tests.simulation.stage import own_stage


def work(kind: str, first: int, last: int, stride: int, steps: int, results: "multiprocessing.Queue[Outcome]") -> None:
    with tempfile.TemporaryDirectory(prefix="syncbridge-soak-") as folder, own_stage(Path(folder)) as stage:
        for seed in range(first, last, stride):
            results.put(KINDS[kind].run(stage, seed, steps=steps))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=tuple(KINDS), default=os.environ.get("KIND"))
    parser.add_argument("--seeds", type=int, default=int(os.environ.get("SEEDS", "2000")))
    parser.add_argument("--first", type=int, default=int(os.environ.get("FIRST", "0")))
    parser.add_argument("--steps", type=int, default=int(os.environ.get("STEPS", "0")))
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    codes = [soak(kind, options) for kind in ([options.kind] if options.kind else KINDS)]
    return max(codes)


def soak(name: str, options: argparse.Namespace) -> int:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    kind, last = KINDS[name], options.first + options.seeds
    steps = options.steps or kind.steps
    workers = [
        context.Process(target=work, args=(name, options.first + n, last, options.processes, steps, results))
        for n in range(options.processes)
    ]
    began = time.monotonic()
    for worker in workers:
        worker.start()
    outcomes: list[Outcome] = []
    while len(outcomes) < options.seeds:
        try:
            outcome = results.get(timeout=5)
        except Exception:  # the queue's Empty: see whether somebody is still at work
            if not any(worker.is_alive() for worker in workers):
                print(f"the workers ended after {len(outcomes)} of {options.seeds} seeds")
                return 2
            continue
        outcomes.append(outcome)
        if outcome.problems:
            print(f"seed {outcome.seed}: {outcome.problems[0]}    {kind.again(outcome.seed, steps)}", flush=True)
    for worker in workers:
        worker.join()
    took = time.monotonic() - began
    return summary(name, steps, outcomes, took)


def summary(name: str, steps: int, outcomes: list[Outcome], took: float) -> int:
    failing = [outcome for outcome in outcomes if outcome.problems]
    kinds = Counter(outcome.problems[0].split(":")[0] for outcome in failing)
    crashes = sum(sum(outcome.crashes.values()) for outcome in outcomes)
    conflicts = sum(outcome.conflicts for outcome in outcomes)
    takeovers = sum(outcome.takeovers for outcome in outcomes)
    faults: Counter[str] = sum((outcome.faults + outcome.notable for outcome in outcomes), Counter())
    print(
        f"{name}: {len(outcomes)} seeds x {steps} steps in {took:.0f} s, {crashes} crashes, {takeovers} takeovers,"
        f" {conflicts} conflicts, {len(failing)} failing {dict(kinds)}"
    )
    print("  " + ", ".join(f"{event} {count}" for event, count in sorted(faults.items())))
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
