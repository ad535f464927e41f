"""`make bench`: a table of figures, each beside a raw limit or a rival, and one JSON object as the last line.

python -m tests.bench [--small] [--only ru --only rate …]
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from tests.bench import changes, coldstart, ingress, notices, push, race, scan, settling, simulator
from tests.bench.figures import Figure, closing_line, heading
from tests.bench.stand import Stand, stand


@dataclass(slots=True, kw_only=True)
class _Lab:
    """What the benches share; the stand is started by the first that needs it."""

    small: bool
    stack: ExitStack
    _stand: Stand | None = field(default=None)

    @property
    def rows(self) -> int:
        """In the source table."""
        return 200 if self.small else 3_000

    def stand(self) -> Stand:
        if self._stand is None:
            self._stand = self.stack.enter_context(stand(self.rows))
        return self._stand


def _ru(lab: _Lab) -> list[Figure]:
    return push.costs(lab.stand(), rows=lab.rows, changed=lab.rows // 4)


def _rate(lab: _Lab) -> list[Figure]:
    concurrency, rounds = ((2,), 1) if lab.small else ((1, 2, 3, 4), 3)
    return push.rates(lab.stand(), rows=lab.rows, concurrency=concurrency, rounds=rounds)


def _settling(lab: _Lab) -> list[Figure]:
    return settling.claim_and_confirm(lab.stand(), pages=5 if lab.small else 60)


def _race(lab: _Lab) -> list[Figure]:
    whole = (race.MAIN, race.SERIAL, race.NO_LATENCY)
    seconds, conditions = (6.0, (race.NO_LATENCY,)) if lab.small else (60.0, whole)
    return race.race(lab.stand(), rows=lab.rows, seconds=seconds, conditions=conditions)


def _cold(lab: _Lab) -> list[Figure]:
    return coldstart.cold_start(rounds=1 if lab.small else 5)


def _scan(lab: _Lab) -> list[Figure]:
    return scan.measure(scan.SMALL_SIZES if lab.small else scan.SIZES)


def _notices(lab: _Lab) -> list[Figure]:
    return notices.answers(count=100 if lab.small else 1_000)


def _ingress(lab: _Lab) -> list[Figure]:
    return ingress.latencies(count=20 if lab.small else 300)


def _simulator(lab: _Lab) -> list[Figure]:
    return simulator.measure(simulator.SMALL_SIZES if lab.small else simulator.SIZES)


def _changes(lab: _Lab) -> list[Figure]:
    if lab.small:
        return changes.measure(changes=4_000, rounds=1, rows=20_000)
    return changes.measure(changes=200_000, rounds=3, rows=1_000_000)


BENCHES: Mapping[str, Callable[[_Lab], list[Figure]]] = {
    "ru": _ru,
    "rate": _rate,
    "settling": _settling,
    "race": _race,
    "coldstart": _cold,
    "scan": _scan,
    "notices": _notices,
    "ingress": _ingress,
    "simulator": _simulator,
    "changes": _changes,
}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=BENCHES, help="this bench, and others that are named too")
    parser.add_argument("--small", action="store_true", help="sizes that show that it runs, not how fast")
    options = parser.parse_args(arguments)
    show = partial(print, flush=True)
    figures: list[Figure] = []
    show(heading())
    with ExitStack() as stack:
        lab = _Lab(small=options.small, stack=stack)
        for name, bench in BENCHES.items():
            if options.only and name not in options.only:
                continue
            began = time.perf_counter()
            for figure in bench(lab):
                figures.append(figure)
                show(figure.line())
            show(f"  ({name}: {time.perf_counter() - began:.0f} s)")
    show(closing_line(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
