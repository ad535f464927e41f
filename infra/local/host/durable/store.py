"""Rows behind durable orchestrations: instances, their histories, the messages on their way, activities to run."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from infra.local.host.clock import iso, parse_iso
from infra.local.host.durable.history import Event
from infra.local.host.state import StateFile

FINAL = ("Completed", "Failed", "Terminated", "Canceled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """Who waits for a sub-orchestration, and under which task id."""

    instance: str
    execution: str
    name: str
    task_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One row of instances. ``input``, ``output`` and ``custom`` are JSON texts or None."""

    id: str
    execution: str
    name: str
    status: str
    input: str | None
    output: str | None
    custom: str | None
    created: str
    updated: str
    parent: Parent | None
    version: str | None

    @property
    def final(self) -> bool:
        return self.status in FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    n: int
    execution: str | None
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityTask:
    n: int
    instance: str
    execution: str
    task_id: int
    name: str
    input: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A query over instances, as the management API takes it."""

    prefix: str = ""
    statuses: tuple[str, ...] = ()
    created_from: datetime | None = None
    created_to: datetime | None = None

    def takes(self, instance: Instance) -> bool:
        created = parse_iso(instance.created)
        return (
            instance.id.startswith(self.prefix)
            and (not self.statuses or instance.status in self.statuses)
            and (self.created_from is None or created >= self.created_from)
            and (self.created_to is None or created <= self.created_to)
        )


class DurableStore:
    """Plain reads and writes; the engine decides which of them share a transaction."""

    def __init__(self, state: StateFile) -> None:
        self.state = state
        self.transaction = state.transaction

    def instance(self, instance_id: str) -> Instance | None:
        row = self.state.execute("select * from instances where id = ?", instance_id).fetchone()
        return None if row is None else _instance(row)

    def instances(self, wanted: Filter) -> list[Instance]:
        rows = self.state.execute("select * from instances order by created, id")
        return [found for found in map(_instance, rows) if wanted.takes(found)]

    def insert(self, instance: Instance) -> None:
        """Puts a new instance in place of whatever had its id before."""
        self.delete(instance.id)
        parent = instance.parent
        self.state.execute(
            "insert into instances values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            instance.id,
            instance.execution,
            instance.name,
            instance.status,
            instance.input,
            instance.output,
            instance.custom,
            instance.created,
            instance.updated,
            None if parent is None else json.dumps([parent.instance, parent.execution, parent.name, parent.task_id]),
            instance.version,
        )

    def update(self, instance: Instance) -> None:
        self.state.execute(
            "update instances set execution = ?, status = ?, input = ?, output = ?, custom = ?, updated = ? "
            "where id = ?",
            instance.execution,
            instance.status,
            instance.input,
            instance.output,
            instance.custom,
            instance.updated,
            instance.id,
        )

    def delete(self, instance_id: str) -> None:
        self.state.execute("delete from instances where id = ?", instance_id)
        self.state.execute("delete from history where instance = ?", instance_id)
        self.state.execute("delete from messages where instance = ?", instance_id)
        self.state.execute("delete from tasks where instance = ?", instance_id)

    def history(self, instance_id: str) -> list[Event]:
        rows = self.state.execute("select event from history where instance = ? order by seq", instance_id)
        return [json.loads(row["event"]) for row in rows]

    def append(self, instance_id: str, at: int, events: Iterable[Event]) -> None:
        self.state.connection.executemany(
            "insert into history values (?, ?, ?)",
            [(instance_id, at + i, json.dumps(event)) for i, event in enumerate(events)],
        )

    def clear_history(self, instance_id: str) -> None:
        self.state.execute("delete from history where instance = ?", instance_id)

    def send(self, instance_id: str, execution: str | None, event: Event, visible: datetime) -> None:
        """``execution`` None: for whichever lap of the instance is running (external events and commands)."""
        self.state.execute(
            "insert into messages (instance, execution, visible, event) values (?, ?, ?, ?)",
            instance_id,
            execution,
            iso(visible),
            json.dumps(event),
        )

    def due_instances(self, now: datetime) -> list[str]:
        rows = self.state.execute(
            "select instance from messages where visible <= ? group by instance order by min(n)", iso(now)
        )
        return [row["instance"] for row in rows]

    def next_visible(self, now: datetime) -> datetime | None:
        row = self.state.execute("select min(visible) v from messages where visible > ?", iso(now)).fetchone()
        return None if row["v"] is None else parse_iso(row["v"])

    def due_messages(self, instance_id: str, now: datetime) -> list[Message]:
        rows = self.state.execute(
            "select n, execution, event from messages where instance = ? and visible <= ? order by visible, n",
            instance_id,
            iso(now),
        )
        return [Message(n=row["n"], execution=row["execution"], event=json.loads(row["event"])) for row in rows]

    def take(self, messages: Sequence[Message]) -> None:
        self.state.connection.executemany("delete from messages where n = ?", [(message.n,) for message in messages])

    def add_task(self, instance_id: str, execution: str, task_id: int, name: str, input_: str | None) -> int:
        cursor = self.state.execute(
            "insert into tasks (instance, execution, task_id, name, input) values (?, ?, ?, ?, ?)",
            instance_id,
            execution,
            task_id,
            name,
            input_,
        )
        return int(cursor.lastrowid or 0)

    def task(self, n: int) -> ActivityTask | None:
        row = self.state.execute("select * from tasks where n = ?", n).fetchone()
        return None if row is None else ActivityTask(**dict(row))

    def tasks(self) -> list[int]:
        return [row["n"] for row in self.state.execute("select n from tasks order by n")]

    def finish_task(self, n: int) -> bool:
        """False when the task is gone: its instance was purged or started anew meanwhile."""
        return self.state.execute("delete from tasks where n = ?", n).rowcount == 1


def _instance(row: sqlite3.Row) -> Instance:
    values = dict(row)
    parent = json.loads(values["parent"]) if values["parent"] else None
    values["parent"] = (
        None if parent is None else Parent(instance=parent[0], execution=parent[1], name=parent[2], task_id=parent[3])
    )
    return Instance(**values)
