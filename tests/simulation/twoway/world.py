"""The two-way world of one seed: both sides with their people, and the production workers between them."""

import json
from collections.abc import Callable, Generator
from random import Random
from typing import Any

from shared.adapters.graph.items import columns_to_read
from shared.adapters.metastore.cursors import CursorStore
from shared.adapters.metastore.enumerations import EnumerationStore
from shared.adapters.metastore.holds import HoldStore
from shared.adapters.postgres.writing import PostgresWriter
from shared.captures.delta import DeltaReport, DeltaState, delta_page
from shared.captures.enumeration import EnumerationReport, enumerate_list
from shared.core.backlog import Lane, SubjectState
from shared.core.boundaries import Boundary
from shared.core.ids import DefinitionId, RunId
from shared.settle.job import Tools
from tests.simulation.ground import PatientPerson, identity
from tests.simulation.stage import Stage
from tests.simulation.twoway.faulty_rows import WRITE_LIMITS, FaultyRows
from tests.simulation.twoway.setup import definition_of, list_columns, open_questions, terms_of
from tests.simulation.twoway.sides import Sides
from tests.simulation.twoway.terms import Mode, Side, Terms
from tests.simulation.twoway.witness import Witness, WitnessedLedger, WitnessedLists, WitnessedSource

ByDice = Callable[[Terms, Random], Terms]


class TwoWayWorld(Sides):
    def __init__(self, stage: Stage, seed: int, *, unique: bool = True, terms: ByDice | None = None) -> None:
        """`terms`: what this kind of seeds makes of the terms that any two-way seed has."""
        super().__init__(stage, seed)
        dice = Random(f"{seed}/terms")
        self.terms = terms_of(dice)
        if terms is not None:
            self.terms = terms(self.terms, Random(f"{seed}/asks"))
        self.system = dice.choice(("", "", "modified", "editor"))
        if self.terms.mode is Mode.PUSH:
            self.system = ""
        debounce = dice.choice((0, 0, 0, 30))
        self.table = "numbered_rows" if self.terms.reserved else "typed_rows"
        self.problems: list[str] = []
        """What the workers' witnesses have to say."""
        self.listened = -1
        """The moment up to which a complete capture has told everything of the list."""
        stage.slow_rows.rollback()
        stage.clear()
        knobs = open_questions(dice)
        self.lags = knobs["delta_lag_seconds"] > 0
        stage.ask("PUT", "knobs", knobs)
        self.list_id = self.make_list(list_columns(unique=unique), versions=self.terms.versions)
        self.definition = definition_of(
            self.terms,
            known_as=DefinitionId(self.ids.uuid()),
            table=self.table,
            columns=stage.columns_of(self.table),
            site=stage.site,
            list_id=self.list_id,
            system=self.system,
            debounce=debounce,
        )
        self.columns = columns_to_read(self.definition.fields)
        self.register(self.definition.id, self.table)
        self.cursors = CursorStore(stage.metastore)
        self.enumerations = EnumerationStore(stage.metastore, chunk=2)
        real = PostgresWriter(
            stage.writing, flusher=stage.database, clock=stage.clock, ids=self.ids, limits=WRITE_LIMITS
        )
        self.writer = FaultyRows(real, Random(f"{seed}/commits"), stage.clock.monotonic, stage.rows)

    def close(self) -> None:
        """Nothing stays open that could be in the next seed's way."""
        self.stage.slow_rows.rollback()
        self.writer.close()

    # ---- a person who is asked

    def asked(self) -> dict[str, Side]:
        """Which rows a person is asked about, and about which side of them."""
        found = self.stage.sql.execute(
            "select source_identity, 'ITEM_GONE' = any(reasons) and not 'ROW_GONE' = any(reasons) from syncbridge.sync_backlog"
            " where state = 'AWAITING_APPROVAL' order by subject_hash"
        ).fetchall()
        return {json.loads(who)[0]: Side.ROW if of_row else Side.ITEM for who, of_row in found}

    def person_answers(self, key: str, *, yes: bool) -> None:
        holds, chosen = HoldStore(self.stage.metastore), [identity(key)]
        if yes:
            holds.release_subjects(
                self.definition.id, SubjectState.AWAITING_APPROVAL, chosen, approve=True, actor="person"
            )
        else:
            if self.asked()[key] is Side.ROW:
                self.agreed_on.pop(key, None)  # the row stays without an item: what comes back is merged as new
            holds.reject_subjects(self.definition.id, chosen, actor="person")
        (self.model.approved if yes else self.model.rejected).add(key)

    # ---- workers

    def tools(self) -> Tools:
        """A worker's tools, with somebody who looks over its shoulder."""
        witness = Witness(self.model, self.terms, self.agreed_on, self.problems, self.row_time)
        return Tools(
            source=WitnessedSource(self.stage.source, witness),
            rows=self.writer,
            lists=WitnessedLists(self.lists(Lane.PEOPLE), witness),
            backlog=self.backlog,
            ledger=WitnessedLedger(self.ledger, witness),
            holds=PatientPerson(),
            clock=self.stage.clock,
            ids=self.ids,
            jitter=lambda: 0.5,
            renames=self.renames,
        )

    def pull(self, *, page: int, confirm_every: int, settles: bool) -> Generator[Boundary, None, Any]:
        """What an ingress activity does: a page of changes, or the whole list; then a page of the backlog."""
        tools = self.tools()
        report = yield from self._page(tools)
        if report.state is DeltaState.ENUMERATE:
            return (yield from self.enumerator(tools))
        if not settles or not report.marked:
            return report
        self.notable["observations"] += len(report.observations)
        return (
            yield from self.settler(
                page=page, confirm_every=confirm_every, observations=report.observations, tools=tools
            )
        )

    def pull_all(self) -> Generator[Boundary, None, Any]:
        """Everything that the list has to tell."""
        tools = self.tools()
        for _ in range(50):
            report = yield from self._page(tools)
            if report.state is DeltaState.COMPLETE:
                return report
            if report.state is DeltaState.ENUMERATE:
                yield from self.enumerator(tools)
        raise AssertionError("the list's changes do not end")

    def _page(self, tools: Tools) -> Generator[Boundary, None, DeltaReport]:
        since = self.model.tick()
        report = yield from delta_page(
            self.definition, lists=tools.lists, cursors=self.cursors, backlog=tools.backlog, ledger=tools.ledger
        )
        self.notable[f"delta {report.state}"] += 1
        if report.state is DeltaState.COMPLETE and not self.lags:
            self.listened = max(self.listened, since)
        return report

    def enumerator(self, tools: Tools | None = None) -> Generator[Boundary, None, EnumerationReport]:
        tools, since = tools or self.tools(), self.model.tick()
        report = yield from enumerate_list(
            self.definition,
            RunId(self.ids.uuid()),
            lists=tools.lists,
            enumerations=self.enumerations,
            cursors=self.cursors,
            backlog=tools.backlog,
            holds=PatientPerson(),
        )
        if report.finished:
            self.notable["enumerations"] += 1
            self.listened = max(self.listened, since)
        return report
