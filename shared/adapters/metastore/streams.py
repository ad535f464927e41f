"""Streams: replication slots under a lease with an epoch, our own mark in each, and the messages that were set aside.

Every write of a reader names its epoch. One that was overtaken writes nothing, is told so (Superseded), and confirms nothing
to the server, because it confirms only what is written here first.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow

from shared.adapters.metastore.audit import record as audit
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.statements import load
from shared.core.catalog import AuditEntry
from shared.core.changes import SlotIdentity
from shared.core.errors import Conflicting, NotFound, Superseded
from shared.core.ids import DefinitionId, InstanceId
from shared.core.replication import NO_LSN, Lsn, lsn_text, parse_lsn
from shared.core.slots import (
    Break,
    BudgetAction,
    Measured,
    ParkedMessage,
    Phase,
    Progress,
    SlotRecord,
    Streamed,
)

SQL = load("streams")


class StreamStore:
    """What pollers, queue triggers and the schedule tick share about streams."""

    def __init__(self, metastore: Metastore) -> None:
        self._metastore = metastore

    # ---- slots

    def slots(self) -> Sequence[SlotRecord]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["columns"] + SQL["all"]).fetchall()
        return [_slot(row) for row in rows]

    def slot(self, instance: InstanceId) -> SlotRecord | None:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["columns"] + SQL["by_instance"], {"instance": instance}).fetchall()
        return _slot(rows[0]) if rows else None

    def want(self, instance: InstanceId, name: str, *, again: bool = False) -> None:
        """A slot is to be made for this source; `again`: also where it was dropped or broke."""
        self._changed("want", instance, slot=name, again=again)

    def acquire(self, instance: InstanceId, *, holder: str, lease: timedelta) -> int | None:
        """The epoch of our lease; None: somebody else has one, or the slot is to be left alone."""
        with self._metastore.connection() as connection:
            values = {"instance": instance, "holder": holder, "lease": lease}
            rows = connection.execute(SQL["acquire"], values).fetchall()
        return rows[0][0] if rows else None

    def renew(self, instance: InstanceId, epoch: int, *, lease: timedelta, streaming: bool | None) -> SlotRecord:
        """Raises Superseded."""
        self._held("renew", instance, epoch, lease=lease, streaming=streaming)
        found = self.slot(instance)
        if found is None or found.epoch != epoch:
            raise _overtaken(instance)
        return found

    def release(self, instance: InstanceId, epoch: int) -> None:
        self._changed("release", instance, epoch=epoch)

    def progress(self, instance: InstanceId, epoch: int, done: Progress, *, lease: timedelta) -> None:
        """Raises Superseded: then nothing may be confirmed to the server."""
        self._held(
            "progress",
            instance,
            epoch,
            lease=lease,
            queued=lsn_text(done.queued),
            changes=done.changes,
            keys=done.keys,
            messages=done.messages,
        )

    def measure(self, instance: InstanceId, epoch: int | None, seen: Measured) -> None:
        self._changed(
            "measure",
            instance,
            epoch=epoch,
            retained=seen.retained,
            behind=seen.behind,
            caught_up=seen.caught_up,
        )

    def make(self, instance: InstanceId, epoch: int, name: str) -> None:
        """A slot of this name is about to be made. Raises Superseded."""
        self._held("make", instance, epoch, slot=name)

    def begin(self, instance: InstanceId, epoch: int, identity: SlotIdentity) -> None:
        """A new slot. All definitions of the source are watched from now on, and have to be scanned after it."""

        def work(connection: psycopg.Connection[TupleRow]) -> None:
            values = {
                "instance": instance,
                "epoch": epoch,
                "slot": identity.name,
                "system": identity.system,
                "timeline": identity.timeline,
                "created": lsn_text(identity.created),
            }
            if connection.execute(SQL["begin"], values).rowcount != 1:
                raise _overtaken(instance)
            connection.execute(SQL["renew_watches"], {"instance": instance})

        self._metastore.transact(work)

    def trouble(self, instance: InstanceId, epoch: int, problem: tuple[str, str] | None) -> None:
        code, text = problem or (None, None)
        self._changed("trouble", instance, epoch=epoch, code=code, text=text)

    def broke(self, instance: InstanceId, epoch: int | None, found: Break) -> bool:
        """False: somebody was faster."""
        return self._phase(instance, Phase.BROKEN, (Phase.STREAMING,), (found.kind.value, found.explanation), epoch)

    def start_anew(self, instance: InstanceId, *, code: str, reason: str, epoch: int | None = None) -> bool:
        """The slot was dropped by us and is to be made anew, without a person. False: it does not stream."""
        return self._phase(instance, Phase.WANTED, (Phase.STREAMING,), (code, reason), epoch)

    def resume_released(self, instance: InstanceId) -> bool:
        """A broken slot is wanted again once every hold for it was released."""
        return self._changed("resume_released", instance) == 1

    def forget(self, instance: InstanceId) -> None:
        self._changed("forget", instance)

    # ---- people

    def create_again(self, instance: InstanceId, name: str, *, reason: str, actor: str) -> SlotRecord:
        return self._decided("slot wanted", instance, "want", actor, reason, slot=name, again=True)

    def dropped(self, instance: InstanceId, *, reason: str, actor: str) -> SlotRecord:
        return self._decided(
            "slot dropped",
            instance,
            "set_phase",
            actor,
            reason,
            phase=Phase.DROPPED.value,
            was=[phase.value for phase in Phase],
            code="dropped",
            text=reason,
            epoch=None,
        )

    def moved(self, instance: InstanceId, to: Lsn, *, reason: str, actor: str) -> SlotRecord:
        """Raises Conflicting unless it streams."""
        return self._decided(
            "slot moved", instance, "move", actor, reason, {"to": lsn_text(to)}, watches=True, queued=lsn_text(to)
        )

    def set_controls(
        self,
        instance: InstanceId,
        *,
        reason: str,
        actor: str,
        action: str,
        pause: bool | None = None,
        throttle: tuple[int | None] | None = None,
        budget: int | None = None,
        budget_action: BudgetAction | None = None,
    ) -> SlotRecord:
        """`throttle`: a new limit, or no limit, in a tuple; None leaves it as it is."""
        after = {
            "most_per_second": None if throttle is None else throttle[0],
            "budget_bytes": budget,
            "budget_action": None if budget_action is None else budget_action.value,
        }
        return self._decided(
            action,
            instance,
            "settings",
            actor,
            reason,
            {name: value for name, value in after.items() if value is not None},
            pause=pause is not None,
            paused_reason=reason if pause else None,
            throttle=throttle is not None,
            most_per_second=None if throttle is None else throttle[0],
            budget=budget,
            budget_action=None if budget_action is None else budget_action.value,
        )

    # ---- definitions

    def streamed(self, instance: InstanceId | None = None) -> Sequence[Streamed]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["streamed"], {"instance": instance}).fetchall()
        return [
            Streamed(definition=DefinitionId(found), instance=InstanceId(of), version=version, membership=membership)
            for found, of, version, membership in rows
        ]

    def watch(self, definition: DefinitionId, instance: InstanceId, membership: str, *, anew: bool = False) -> bool:
        """From now on the stream has every change of it. False: it had before."""
        with self._metastore.connection() as connection:
            values = {"definition": definition, "instance": instance, "membership": membership, "anew": anew}
            return connection.execute(SQL["watch"], values).rowcount == 1

    def unwatch(self, instance: InstanceId, still: Collection[DefinitionId]) -> None:
        self._changed("unwatch", instance, definitions=list(still))

    def unscanned(self) -> Sequence[DefinitionId]:
        """Definitions that need a scan after the beginning of their stream, and have none under way."""
        with self._metastore.connection() as connection:
            return [DefinitionId(found) for (found,) in connection.execute(SQL["unscanned"]).fetchall()]

    def pressed(self) -> frozenset[InstanceId]:
        """Sources whose slot is beyond its budget: others' scheduled runs wait."""
        with self._metastore.connection() as connection:
            return frozenset(InstanceId(found) for (found,) in connection.execute(SQL["pressed"]).fetchall())

    # ---- messages

    def park(self, queue: str, body: str, *, code: str, reason: str) -> UUID:
        """Kept once, however often it comes, with the reason that was given last. Its id."""
        digest = hashlib.sha256(body.encode(errors="surrogatepass")).digest()
        values = {"queue": queue, "body": _storable(body), "digest": digest, "code": code, "reason": reason}
        with self._metastore.connection() as connection:
            (found,) = connection.execute(SQL["park"], values).fetchall()
        return UUID(str(found[0]))

    def parked(self, *, decided: bool = False, limit: int = 100) -> Sequence[ParkedMessage]:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["parked"], {"decided": decided, "limit": limit}).fetchall()
        return [_message(row) for row in rows]

    def set_aside(self, queue: str, *, age: timedelta) -> tuple[int, int]:
        """Messages of a queue that are parked, and hints that were dropped not longer ago than `age`."""
        with self._metastore.connection() as connection:
            ((parked, dropped),) = connection.execute(SQL["set_aside"], {"queue": queue, "age": age}).fetchall()
        return parked, dropped

    def parked_message(self, message: UUID) -> ParkedMessage:
        with self._metastore.connection() as connection:
            rows = connection.execute(SQL["parked_one"], {"id": message}).fetchall()
        if not rows:
            raise NotFound(f"there is no parked message {message}")
        return _message(rows[0])

    def decide(self, message: UUID, state: str, *, reason: str, actor: str) -> None:
        """REPLAYED or DISCARDED. Raises Conflicting when that was decided before."""

        def work(connection: psycopg.Connection[TupleRow]) -> None:
            values = {"id": message, "state": state, "reason": reason, "actor": actor}
            if connection.execute(SQL["decide"], values).rowcount != 1:
                raise Conflicting("this message was decided about before")
            audit(
                connection,
                AuditEntry(
                    actor=actor,
                    action=f"message {state.lower()}",
                    subject_kind="parked_message",
                    subject_id=str(message),
                    after={"reason": reason},
                ),
            )

        self._metastore.transact(work)

    # ---- inside

    def _changed(self, name: str, instance: InstanceId, **values: Any) -> int:
        with self._metastore.connection() as connection:
            return connection.execute(SQL[name], {"instance": instance, **values}).rowcount

    def _held(self, name: str, instance: InstanceId, epoch: int, **values: Any) -> None:
        if self._changed(name, instance, epoch=epoch, **values) != 1:
            raise _overtaken(instance)

    def _phase(
        self, instance: InstanceId, phase: Phase, was: Sequence[Phase], problem: tuple[str, str], epoch: int | None
    ) -> bool:
        code, text = problem
        values = {"phase": phase.value, "was": [p.value for p in was], "code": code, "text": text, "epoch": epoch}
        return self._changed("set_phase", instance, **values) == 1

    def _decided(
        self,
        action: str,
        instance: InstanceId,
        statement: str,
        actor: str,
        reason: str,
        after: Mapping[str, Any] | None = None,
        *,
        watches: bool = False,
        **values: Any,
    ) -> SlotRecord:
        """A person's decision and its audit, in one transaction."""

        def work(connection: psycopg.Connection[TupleRow]) -> None:
            if connection.execute(SQL[statement], {"instance": instance, **values}).rowcount != 1:
                raise Conflicting("the slot is not in a state in which this can be done: look at it again")
            if watches:
                connection.execute(SQL["renew_watches"], {"instance": instance})
            audit(
                connection,
                AuditEntry(
                    actor=actor,
                    action=action,
                    subject_kind="slot",
                    subject_id=str(instance),
                    after={"reason": reason, **(after or {})},
                ),
            )

        self._metastore.transact(work)
        found = self.slot(instance)
        if found is None:
            raise NotFound(f"there is no slot for the database instance {instance}")
        return found


def _overtaken(instance: InstanceId) -> Superseded:
    return Superseded(f"another poller reads the slot of the database instance {instance} now")


def _slot(row: TupleRow) -> SlotRecord:
    instance, system = InstanceId(row[0]), row[3]
    identity = None
    if system is not None:
        identity = SlotIdentity(
            instance=instance, system=system, timeline=row[4], name=row[1], created=parse_lsn(row[5])
        )
    return SlotRecord(
        instance=instance,
        name=row[1],
        phase=Phase(row[2]),
        identity=identity,
        queued=NO_LSN if row[6] is None else parse_lsn(row[6]),
        epoch=row[7],
        holder=row[8],
        alive=row[9],
        heartbeat_at=row[10],
        silent=row[11],
        streaming=row[12],
        paused_reason=row[13],
        most_per_second=row[14],
        making=row[15],
        budget=row[16],
        action=BudgetAction(row[17]),
        retained=row[18],
        behind=row[19],
        measured_at=row[20],
        over_budget=row[21],
        lag=row[22],
        problem_code=row[23],
        problem_text=row[24],
        changes=row[25],
        keys=row[26],
        messages=row[27],
    )


def _message(row: TupleRow) -> ParkedMessage:
    return ParkedMessage(
        id=row[0], queue=row[1], body=row[2], code=row[3], reason=row[4], parked_at=row[5], state=row[6]
    )


def _storable(body: str) -> str:
    """What PostgreSQL's text can hold of it."""
    return body.replace("\0", "\N{SYMBOL FOR NULL}").encode(errors="replace").decode()
