"""Looks after one source's publication and slot: what is published, what is watched, whether the slot can be trusted."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from shared.adapters.postgres.slots import SlotAdmin
from shared.core.changes import SlotIdentity
from shared.core.definition import SourceSpec
from shared.core.errors import ConfigurationError, Conflicting, NotFound, PermissionMissing, SyncError
from shared.core.gathering import Trouble, TroubleKind, Watch, Watches
from shared.core.ids import DefinitionId, InstanceId
from shared.core.needs import Needs
from shared.core.record import source_spec
from shared.core.slots import PLUGIN, Break, Published, SlotRecord, continuity
from shared.core.source import RelationKind, TableRef
from shared.engine import Engine
from shared.ports import HoldRequest
from shared.usecases.columns import BY_STREAM
from shared.usecases.stream_holds import broken, drifted, narrow, truncated

log = logging.getLogger("syncbridge.poller")


@dataclass(slots=True)
class Watching:
    """What is watched: by definition, and by table and key."""

    specs: Mapping[DefinitionId, SourceSpec] = field(default_factory=dict)
    memberships: Mapping[DefinitionId, str] = field(default_factory=dict)
    watches: Watches = field(default_factory=dict)
    wanted: frozenset[TableRef] = frozenset()
    """Also those that cannot be watched now."""
    problem: tuple[str, str] | None = None
    """Why some definition is not watched."""


class Care:
    """For one source and one thread."""

    def __init__(self, engine: Engine, instance: InstanceId) -> None:
        self._engine, self._instance = engine, instance
        self._streams, self._holds = engine.stores.streams, engine.stores.holds
        self._specs: dict[tuple[DefinitionId, int], SourceSpec] = {}

    @property
    def admin(self) -> SlotAdmin:
        return self._engine.sources.slots(self._engine.stores.instances.get(self._instance))

    # ---- what is watched

    def look(self) -> Watching:
        """The definitions that stream from here and whose tables are published whole; missing tables are published."""
        streamed = self._streams.streamed(self._instance)
        fresh, unreadable = {}, None
        for found in streamed:
            key = (found.definition, found.version)
            try:
                fresh[key] = self._specs.get(key) or source_spec(self._engine.stores.definitions.get(found.definition))
            except ConfigurationError as error:  # one definition's trouble is not the others'
                unreadable = (error.code, error.message)
        self._specs = fresh
        specs = {definition: spec for (definition, _), spec in fresh.items()}
        published, problem = self._publish({(spec.table, spec.relation) for spec in specs.values()})
        members = {} if published is None else {t: m.since for t, m in published.tables.items() if m.whole}
        if published is not None and not published.whole:
            members, problem = {}, ("publication_narrow", "the publication does not publish every operation")
        watched = {definition: spec for definition, spec in specs.items() if spec.table in members}
        watches: dict[TableRef, dict[Watch, None]] = {}
        for spec in watched.values():
            watches.setdefault(spec.table, {})[Watch(table=spec.table, key=spec.key.columns)] = None
        return Watching(
            specs=watched,
            memberships={definition: members[spec.table] for definition, spec in watched.items()},
            watches={table: tuple(keys) for table, keys in watches.items()},
            wanted=frozenset(spec.table for spec in specs.values()),
            problem=problem or unreadable,
        )

    def keep(self, watching: Watching) -> None:
        """Once the stream is read for these definitions: from now on it has every change of theirs."""
        for definition, membership in watching.memberships.items():
            if self._streams.watch(definition, self._instance, membership):
                log.info("a definition is watched", extra={"action": "watched", "definition": str(definition)})
        self._streams.unwatch(self._instance, watching.memberships.keys())

    def tidy(self, before: Watching, now: Watching) -> None:
        """Tables that nobody watches any more need not be decoded. Without the right to do that they stay published."""
        for spec in before.specs.values():
            if spec.table not in now.wanted:
                try:
                    self.admin.unpublish(spec.table, spec.relation)
                except SyncError as error:
                    log.info("a table stays published", extra={"action": "unpublish_failed", "code": error.code})

    def _publish(
        self, tables: Collection[tuple[TableRef, RelationKind]]
    ) -> tuple[Published | None, tuple[str, str] | None]:
        admin, problem = self.admin, None
        published = admin.published()
        missing = [pair for pair in tables if published is None or pair[0] not in published.tables]
        if missing:
            try:
                admin.publish(missing)
            except PermissionMissing as error:
                problem = (error.code, f"{error.message}: {error.remedy}")
            except ConfigurationError as error:
                problem = (error.code, error.message)
            published = admin.published()
        return published, problem

    # ---- the slot

    def make_slot(self, record: SlotRecord, epoch: int) -> None:
        """A new slot under our name, or under another one where that is another database's. The publication is there."""
        admin, name = self.admin, record.name
        found = admin.slot(name)
        if found is not None and (found.database, found.plugin) != (admin.database_name, PLUGIN):
            name = f"{record.name}_{self._instance.hex[:8]}"
            found = admin.slot(name)
        if found is not None:
            if record.identity is None and not record.making:
                raise Conflicting(
                    f"there is a slot {name} that this metastore does not know: if nobody else reads it, drop it (the API's "
                    "slots, drop, then create), or create one under another name",
                    code="slot_taken",
                )
            admin.drop(name)
        self._streams.make(self._instance, epoch, name)
        begins = admin.create(name)
        server = admin.server()
        self._streams.begin(
            self._instance,
            epoch,
            SlotIdentity(
                instance=self._instance, system=server.system, timeline=server.timeline, name=name, created=begins
            ),
        )
        log.info("a slot was made", extra={"action": "slot_made", "slot": name, "instance": str(self._instance)})

    def find_break(self, record: SlotRecord) -> Break | None:
        """Why the slot does not go on from our own mark; None: it does."""
        if record.identity is None:
            raise Conflicting("the slot was not made yet", code="slot_unknown")
        admin = self.admin
        return continuity(
            record.identity, record.queued, admin.server(), admin.slot(record.name), database=admin.database_name
        )

    def stop_for(self, found: Break, record: SlotRecord, epoch: int) -> None:
        """Holds first: a stream that is broken without one would be taken for one that a person has released."""
        for streamed in self._streams.streamed(self._instance):
            self._holds.open(streamed.definition, broken(found, record.name), None)
        self._streams.broke(self._instance, epoch, found)
        log.error("a stream broke", extra={"action": "stream_broke", "code": found.kind.value, "slot": record.name})

    # ---- what a stream stumbles over

    def attend(self, troubles: Sequence[Trouble], watching: Watching) -> None:
        """Everything here is on record before the position moves on."""
        for trouble in troubles:
            concerned = {d: spec for d, spec in watching.specs.items() if spec.table == trouble.table}
            match trouble.kind:
                case TroubleKind.TRUNCATED:
                    self._hold(concerned, lambda spec: truncated(spec.table))
                case TroubleKind.DESCRIBED:
                    self._compare(concerned, watching)
                case TroubleKind.IDENTITY_NARROW:
                    self._hold(concerned, self._narrow)
                    self._anew(concerned, watching)  # what it meanwhile did not tell, a scan finds
                case TroubleKind.KEY_UNKNOWN:
                    self._anew(concerned, watching)

    def _hold(
        self, concerned: Mapping[DefinitionId, SourceSpec], reason: Callable[[SourceSpec], HoldRequest | None]
    ) -> None:
        for definition, spec in concerned.items():
            request = reason(spec)
            if request is not None:
                self._open(definition, request)

    def _open(self, definition: DefinitionId, request: HoldRequest) -> None:
        self._holds.open(definition, request, None)
        log.warning(
            "a definition is held", extra={"action": "held", "kind": request.kind, "definition": str(definition)}
        )

    def _compare(self, concerned: Mapping[DefinitionId, SourceSpec], watching: Watching) -> None:
        """A description is a hint, and may be old: the catalog says what is. Fields pause before the changes go on their
        way; of those that go on again, a scan finds what changed meanwhile: it is wanted already, should this process die."""
        for definition, spec in concerned.items():
            record = self._engine.stores.definitions.get(definition)
            try:
                looked = self._engine.look_at_columns(record, seen_by=BY_STREAM)
            except NotFound:
                self._open(definition, drifted(spec.table, ("the table is gone, or has another name now",)))
                continue
            if looked.hold is not None:
                self._open(definition, looked.hold)
            if looked.resumed:
                self._anew({definition: spec}, watching)

    def _narrow(self, spec: SourceSpec) -> HoldRequest | None:
        """The same: perhaps it was mended since."""
        instance = self._engine.stores.instances.get(self._instance)
        problems = self._engine.sources.admin(instance).check(spec, Needs(stream=True))
        found = next((problem for problem in problems if problem.code == "replica_identity"), None)
        return None if found is None else narrow(spec.table, found)

    def _anew(self, concerned: Mapping[DefinitionId, SourceSpec], watching: Watching) -> None:
        """A scan has to find what the stream could not name."""
        for definition in concerned:
            self._streams.watch(definition, self._instance, watching.memberships[definition], anew=True)
