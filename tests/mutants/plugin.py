"""A pytest plugin that runs a test under one mutant: -p tests.mutants.plugin, with both names in the environment.

What became of each phase of the test goes to a file, for an error before the test began is no test that has noticed."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

MUTANT = "MUTANT_OF_SYNC"
"""Names the mutant."""
REPORT = "MUTANT_REPORT"
"""Names the file."""


@pytest.fixture(autouse=True)
def _mutated() -> Iterator[None]:
    # Late: pytest has to have loaded its own plugins before anybody imports them, or it ends with an error.
    from tests.mutants.catch import BY_NAME, applied

    with applied(BY_NAME[os.environ[MUTANT]]):
        yield


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    crash = getattr(report.longrepr, "reprcrash", None)
    line = {"phase": report.when, "outcome": report.outcome, "message": crash.message if crash else ""}
    with Path(os.environ[REPORT]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
