"""The production engine in a case: its runs, messages of the stream, and its generators step by step."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.adapters.graph.client import GraphClient
from shared.captures.stream import stream
from shared.core.backlog import Lane, Reason
from shared.core.changes import ChangeMessage, Operation, SlotIdentity, TableChanges
from shared.core.errors import Transient
from shared.core.ids import RunId, identity_of
from shared.core.renames import KeyChange
from shared.core.replication import Lsn
from shared.core.runs import ActiveRun, RunCounts, RunRecord, RunStatus, RunType
from shared.usecases.steps import drive
from tests.scenarios.sight import Sight
from tests.scenarios.theatre import CONNECTION, LEASE
from tests.scenarios.works import Works

_LAPS = 50


class Drives(Sight):
    def push(self, *, patient: bool = True) -> RunRecord:
        """A whole run, as the orchestration drives it, its waits included. Not `patient`: writes in doubt are left."""
        return self._run(RunType.PUSH, patient)

    def pull(self, *, patient: bool = True) -> RunRecord:
        return self._run(RunType.INGRESS, patient)

    def _run(self, kind: RunType, patient: bool) -> RunRecord:
        run, _ = self.engine.start_run(self.id, trigger="SCHEDULE", requested_by="test", run_type=kind)
        return self.drive(run, patient=patient)

    def drive(self, run: ActiveRun, *, patient: bool = True) -> RunRecord:
        """A run that somebody has started."""
        engine, kind = self.engine, run.type
        if engine.begin_run(self.id, run.id) is not None:
            held = self._captured(kind, run.id)
            for _ in range(_LAPS):
                if held:
                    break
                settled = engine.settle(self.id, run.id)
                held = settled.hold is not None
                if settled.wait is not None:
                    self.passes(settled.wait)
                elif not settled.more:
                    wait = engine.finish_run(self.id, run.id, held=held, error=None, patient=patient)
                    if wait is None:
                        break
                    self.passes(wait)
            else:
                raise AssertionError("the run does not end")
            if held:
                engine.finish_run(self.id, run.id, held=True, error=None)
        done = engine.stores.runs.get(run.id)
        self._tells(f"{'push' if kind is RunType.PUSH else 'pull'}: {_told(done)}")
        self._tell()
        return done

    def _captured(self, kind: RunType, run: RunId) -> bool:
        """Whether the definition was stopped."""
        if kind is RunType.PUSH:
            return self.engine.capture(self.id, run).held
        for _ in range(_LAPS):
            try:
                read = self.engine.capture_list(self.id, run, workers=1)
            except Transient as error:
                self.passes(error.retry_after or 60.0)
                continue
            if read.held or not read.more:
                return read.held
            self.passes(read.wait or 0.0)
        raise AssertionError("the list's changes do not end")

    def stream_tells(self, *renames: tuple[int, int], settle: bool = True) -> None:
        """A message of the change stream: which key became which. `settle`: at once, as the queue's trigger does."""
        pairs = [KeyChange(former=identity_of([str(key)]), new=identity_of([str(new)])) for key, new in renames]
        spec = self.definition.source
        changes = TableChanges(
            table=spec.table,
            key=tuple(column.name for column in spec.key.columns),
            operations={pair.former: Operation.DELETE for pair in pairs}
            | {pair.new: Operation.INSERT for pair in pairs},
            renames=tuple(pairs),
        )
        slot = SlotIdentity(instance=spec.instance_id, system="1", timeline=1, name="slot", created=Lsn(1))
        message = ChangeMessage(
            slot=slot, first=Lsn(2), last=Lsn(3), committed_at=self.theatre.clock.now(), tables=(changes,)
        )
        self._tells(f"the stream tells: {', '.join(f'{key} became {new}' for key, new in renames)}")
        drive(stream(message, [self.definition], backlog=self.engine.stores.backlog))
        if settle:
            self.settles()

    def settles(self) -> None:
        """Whatever is due now."""
        while drive(self.works.settle()).claimed:
            pass
        self._tells("settled")
        self._tell()

    def client(self, lane: Lane = Lane.PEOPLE) -> GraphClient:
        return self.engine.graphs.client(self.engine.stores.connections.get(CONNECTION), lane)

    def quiet(self, *, parked: int = 0) -> None:
        """Another push and pull write nothing to either side, and nothing is left to do."""
        versions = self.versions()
        number = self._number()
        self.push()
        self.pull()
        self.passes(3 * LEASE)
        self.push()
        assert self.writes_since(number) == []
        assert versions == self.versions(), "a row was written without need"
        assert len(self.waiting()) == parked, self.waiting()

    def release(self, kind: str) -> None:
        [(hold,)] = self.stage.sql.execute(
            "select id from syncbridge.holds where released_at is null and kind = %s", [kind]
        ).fetchall()
        self._tells(f"a person releases the hold {kind}")
        self.engine.release_hold(hold, reason="looked at", actor="test")

    def look_at_everything(self) -> None:
        """A person asks for a comparison of all rows with their items."""
        self._tells("a person asks for a look at everything")
        identities = [identity_of([key]) for key in self.rows()]
        self.engine.mark_keys(self.id, identities, reason=Reason.DRIFT)

    def agree_to_scope(self) -> None:
        """A person has looked at the changed filter."""
        assert self.push().status == "HELD"
        self.release("SCOPE_CHANGED")

    # ---- step by step

    @property
    def works(self) -> Works:
        """Its production generators, to be stopped wherever a test likes."""
        return Works(self.engine, self.id)

    def for_a_process(self, work: Sequence[str], end: Mapping[str, Any]) -> dict[str, Any]:
        """The document of a worker process; see both_ways_worker."""
        return {
            "addresses": {**self.stage.addresses, "role": self.theatre.role},
            "definition": str(self.id),
            "seed": f"{self.name} worker",
            "work": work,
            "end": end,
        }

    def settled_by_the_server(self) -> None:
        """The source's server has ended the transactions of a process that is gone."""
        while self.sql(
            "select 1 from pg_stat_activity where datname = current_database() and usename = %s"
            " and xact_start is not null",
            self.theatre.role,
        ):
            pass

    def token(self) -> str:
        """Of the list's changes, as it is kept."""
        [(found,)] = self.stage.sql.execute(
            "select cursor_value from syncbridge.sync_cursors where cursor_type = 'DELTA_TOKEN'"
        ).fetchall()
        return str(found)

    def set_token(self, token: str) -> None:
        self.stage.sql.execute(
            "update syncbridge.sync_cursors set cursor_value = %s where cursor_type = 'DELTA_TOKEN'", [token]
        )


_COUNTED: Mapping[str, str] = {
    "created": "created",
    "updated": "updated",
    "deleted": "deleted",
    "rows_inserted": "rows inserted",
    "rows_updated": "rows updated",
    "rows_deleted": "rows deleted",
    "conflicts": "conflicts",
    "items_failed": "set aside",
    "awaiting_approval": "waiting for approval",
    "untold": "untold by the cursor column",
}


def _told(run: RunRecord) -> str:
    counts: RunCounts = run.counts
    numbers = [f"{getattr(counts, name)} {word}" for name, word in _COUNTED.items() if getattr(counts, name)]
    status = run.status.value if run.status is not RunStatus.HELD else f"HELD ({run.error_code})"
    return ", ".join([status, *numbers])
