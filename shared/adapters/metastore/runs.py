"""Runs: one under way per definition and kind, with their counts, notes and failures."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import TupleRow

from shared.adapters.metastore.codec import dumps
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.backlog import SubjectState
from shared.core.errors import NotFound
from shared.core.ids import DefinitionId, RunId
from shared.core.runs import ActiveRun, RunCounts, RunRecord, RunStatus, RunType
from shared.core.untold import Untold

SQL = load("runs")
_COUNTS = (
    "items_processed created updated deleted rows_inserted rows_updated rows_deleted unchanged adopted conflicts items_failed"
    " delayed awaiting_approval untold ru requests"
).split()


class RunStore:
    """Satisfies the port Runs, and shows runs to people."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    def start(
        self, definition: DefinitionId, run_type: RunType, *, trigger: str, requested_by: str, run_id: RunId
    ) -> tuple[ActiveRun, bool]:
        """The new run, or the one of this definition and kind that is under way (False)."""
        values = {
            "run": run_id,
            "definition": definition,
            "type": run_type.value,
            "trigger": trigger,
            "requested_by": requested_by,
        }
        while True:
            with self._metastore.connection() as connection:
                created = connection.execute(SQL["start"], values).rowcount == 1
                rows = connection.execute(SQL["active"], values).fetchall()
            if rows:  # else the other one has just ended: try again
                return _active(rows[0]), created

    def start_due(
        self,
        definition: DefinitionId,
        *,
        was: datetime | None,
        wanted: bool,
        next_run: datetime,
        trigger: str,
        requested_by: str,
        run_id: RunId,
    ) -> ActiveRun | None:
        """The scheduled run of an active definition that is due, or wanted: its next one is due at `next_run`. `was`,
        `wanted`: as they were read. None: somebody else has moved it, or wants one meanwhile, or one is under way; then it
        stays wanted."""
        values = {
            "run": run_id,
            "definition": definition,
            "was": was,
            "wanted": wanted,
            "next_run": next_run,
            "trigger": trigger,
            "requested_by": requested_by,
        }
        return self._started("start_due", RunType.PUSH, values)

    def start_noticed(
        self, definition: DefinitionId, run_type: RunType, *, trigger: str, requested_by: str, run_id: RunId
    ) -> ActiveRun | None:
        """A new run, if a notice waits that no run has taken in and none is under way."""
        values = {
            "run": run_id,
            "definition": definition,
            "type": run_type.value,
            "trigger": trigger,
            "requested_by": requested_by,
        }
        return self._started("start_noticed", run_type, values)

    def _started(self, name: str, run_type: RunType, values: Mapping[str, Any]) -> ActiveRun | None:
        with self._metastore.connection() as connection:
            if connection.execute(SQL[name], values).rowcount != 1:
                return None
        run, definition = values["run"], values["definition"]
        return ActiveRun(id=run, definition=definition, type=run_type, queued=True, orchestration_id=None)

    def begin(self, run: RunId, *, orchestration: str) -> bool:
        """False: the run has ended, or there is none."""
        return self._execute("begin", run, orchestration=orchestration) == 1

    def goes_on(self, run: RunId, *, version: int) -> bool:
        """Whether a run that read its definition at this version may settle another page."""
        with self._metastore.connection() as connection:
            return connection.execute(SQL["goes_on"], {"run": run, "version": version}).fetchone() == (True,)

    def since_scan(self, definition: DefinitionId, run: RunId) -> timedelta | None:
        """How long ago the last scan before this run began, or the first run where none was a scan; None: no run."""
        with self._metastore.connection() as connection:
            ((age,),) = connection.execute(SQL["since_scan"], {"definition": definition, "run": run}).fetchall()
        found: timedelta | None = age
        return found

    def set_captured(self, run: RunId, capture: str, numbers: Mapping[str, int | float], notes: Sequence[str]) -> None:
        self._execute("set_captured", run, capture=capture, numbers=dumps(numbers), notes=list(notes))

    def add_captured(self, run: RunId, capture: str, numbers: Mapping[str, int | float], notes: Sequence[str]) -> None:
        """One more step of a capture: its numbers are added to those of earlier steps."""
        self._execute("add_captured", run, capture=capture, numbers=dumps(numbers), notes=list(notes))

    def add_counts(self, run: RunId, counts: RunCounts) -> None:
        self._execute("add_counts", run, **{name: getattr(counts, name) for name in _COUNTS})

    def note(self, run: RunId, note: str) -> None:
        self._execute("add_note", run, note=note)

    def finish(self, run: RunId, status: RunStatus, *, code: str | None, message: str | None) -> bool:
        """False: it had ended already."""
        return self._execute("finish", run, status=status.value, code=code, message=message) == 1

    def unfinished(self) -> Sequence[ActiveRun]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["active"], {"definition": None, "type": None}).fetchall()
        return [_active(row) for row in rows]

    def failed_items(self, run: RunId) -> bool:
        with self._metastore.connection() as connection:
            return connection.execute(SQL["failed_items"], {"run": run}).fetchone() == (True,)

    def get(self, run: RunId) -> RunRecord:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["record_columns"] + SQL["by_id"], {"run": run}).fetchall()
        if not rows:
            raise NotFound(f"there is no run {run}")
        return _record(rows[0])

    def list(self, definition: DefinitionId | None, *, status: str | None, limit: int) -> Sequence[RunRecord]:
        values = {"definition": definition, "status": status, "limit": limit}
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["record_columns"] + SQL["recent"], values).fetchall()
        return [_record(row) for row in rows]

    def untold(self, definition: DefinitionId, *, age: timedelta) -> Untold:
        """What the runs that are not older than `age` have seen."""
        with self._metastore.connection() as connection:
            ((rows, seen),) = connection.execute(SQL["untold"], {"definition": definition, "age": age}).fetchall()
        return Untold(rows=rows, seen=seen)

    def failures(self, run: RunId, *, limit: int) -> Sequence[Mapping[str, Any]]:
        """Each with the subject and the reason."""
        self.get(run)
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["failures"], {"run": run, "limit": limit}).fetchall()
        names = ("kind", "key", "list_id", "item_id", "code", "reason", "at")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def subjects(self, definition: DefinitionId, state: SubjectState, *, limit: int) -> Sequence[Mapping[str, Any]]:
        values = {"definition": definition, "state": state.value, "limit": limit}
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["subjects"], values).fetchall()
        names = ("kind", "key", "list_id", "item_id", "code", "reason", "attempts", "next_try_at", "since")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _execute(self, name: str, run: RunId, **values: Any) -> int:
        with self._metastore.connection() as connection:
            return connection.execute(SQL[name], {"run": run, **values}).rowcount


def _active(row: TupleRow) -> ActiveRun:
    return ActiveRun(
        id=RunId(row[0]),
        definition=DefinitionId(row[1]),
        type=RunType(row[2]),
        queued=row[3] == RunStatus.QUEUED,
        orchestration_id=row[4],
    )


def _record(row: TupleRow) -> RunRecord:
    counts, (captured, notes, error_code, error_message) = row[11:-4], row[-4:]
    return RunRecord(
        id=RunId(row[0]),
        definition=DefinitionId(row[1]),
        type=RunType(row[2]),
        status=RunStatus(row[3]),
        trigger=row[4],
        requested_by=row[5],
        orchestration_id=row[6],
        capture=row[7],
        queued_at=row[8],
        start_time=row[9],
        end_time=row[10],
        counts=RunCounts(**dict(zip(_COUNTS, counts, strict=True))),
        captured=captured,
        notes=tuple(notes),
        error_code=error_code,
        error_message=error_message,
    )
