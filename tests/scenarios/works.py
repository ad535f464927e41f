"""The production generators of one definition, by name: for cases that stop them and for processes that kill themselves."""

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from shared.captures.delta import DeltaReport, delta_page
from shared.captures.enumeration import EnumerationReport, enumerate_list
from shared.captures.scan import ScanReport, scan
from shared.core.backlog import Lane, Observation
from shared.core.boundaries import Boundary
from shared.core.ids import DefinitionId, RunId
from shared.core.record import compiled
from shared.engine import Engine
from shared.settle.job import Job, PageResult, Tools
from shared.settle.page import settle_page

Steps = Generator[Boundary, None, Any]


class Works:
    def __init__(self, engine: Engine, definition: DefinitionId) -> None:
        self.engine, self.id = engine, definition

    def tools(self) -> Tools:
        record = self.engine.stores.definitions.get(self.id)
        client = self.engine.graphs.client(self.engine.connection_of(record), Lane.PEOPLE)
        return self.engine.tools(record, compiled(record), client)

    def settle(
        self, observations: Mapping[bytes, Observation] | None = None, **limits: Any
    ) -> Generator[Boundary, None, PageResult]:
        """One page of the backlog."""
        _, definition = self.engine.definition(self.id)
        limited = replace(self.engine.limits(), **limits)
        job = Job(definition=definition, run=None, limits=limited, observations=observations or {})
        return settle_page(job, self.tools())

    def scan(self) -> Generator[Boundary, None, ScanReport]:
        """The whole table."""
        record, definition = self.engine.definition(self.id)
        stores, run = self.engine.stores, RunId(self.engine.ids.uuid())
        tables = self.engine.sources.tables(self.engine.instance_of(record))
        return scan(definition, run, source=tables, scans=stores.scans, holds=stores.holds)

    def read(self) -> Generator[Boundary, None, DeltaReport]:
        """One page of the list's changes."""
        _, definition = self.engine.definition(self.id)
        stores = self.engine.stores
        return delta_page(
            definition,
            lists=self.tools().lists,
            cursors=stores.cursors,
            backlog=stores.backlog,
            ledger=stores.ledger,
        )

    def enumerate(self) -> Generator[Boundary, None, EnumerationReport]:
        """The whole list."""
        _, definition = self.engine.definition(self.id)
        stores = self.engine.stores
        return enumerate_list(
            definition,
            RunId(self.engine.ids.uuid()),
            lists=self.tools().lists,
            enumerations=stores.enumerations,
            cursors=stores.cursors,
            backlog=stores.backlog,
            holds=stores.holds,
        )


def until(steps: Steps, boundary: Boundary, nth: int = 1) -> None:
    """The worker goes on up to the nth time that it passes `boundary`, and stands still there."""
    for passed in steps:
        nth -= passed is boundary
        if nth == 0:
            return
    raise AssertionError(f"the worker never passed {boundary}")
