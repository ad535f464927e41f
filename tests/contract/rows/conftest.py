"""The row writers that have to behave alike: the one in memory, and PostgreSQL behind a wire that loses answers."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import pytest

from shared.core.definition import SourceSpec
from shared.core.ids import Identity, InstanceId, identity_of
from shared.core.source import KeyStrategy, RelationKind, Row, SourceColumn, SourceKey, SourceType, TableRef
from shared.ports import RowWriter, SourceTables
from tests.fakes.source import FakeSource
from tests.fakes.writer import CommitFault, FakeWriter

TEXT = SourceType(name="text", declared="text")
KEY = SourceColumn(name="id", type=SourceType(name="int8", declared="bigint"), nullable=False, identity=True)
A, B = (SourceColumn(name=name, type=TEXT) for name in ("a", "b"))
SPEC = SourceSpec(
    instance_id=InstanceId(UUID(int=1)),
    table=TableRef(schema="public", name="t"),
    relation=RelationKind.TABLE,
    key=SourceKey(strategy=KeyStrategy.PRIMARY_KEY, columns=(KEY,)),
    columns=(KEY, A, B),
)


@dataclass(kw_only=True)
class Bench:
    """A table with a key of whole numbers and the texts a and b, its writer, and what others do meanwhile."""

    writer: RowWriter
    tables: SourceTables
    put: Callable[..., Identity]
    """put(key, a=…, b=…): a user's write, which waits for nobody here."""
    delete: Callable[[str], Identity]
    hold: Callable[[str], None]
    """Somebody locks the row and keeps it."""
    refuse: Callable[[str], None]
    """Writing this row breaks a rule of the table."""
    shout: Callable[[], None]
    """From now on a trigger writes a in capitals into b."""
    swallow: Callable[[str], None]
    """From now on a trigger keeps this row from being inserted or updated, and says nothing."""
    next_commit: Callable[[CommitFault], None]
    land_late: Callable[[], None]
    spec: SourceSpec = SPEC

    def row(self, key: str) -> Row | None:
        return self.tables.read_rows(self.spec, [identity_of([key])]).get(identity_of([key]))


def whole_number(text: str) -> str | None:
    try:
        return str(int(text))
    except ValueError:
        return None


def _fake() -> Bench:
    source = FakeSource()
    writer = FakeWriter(source, key_of=whole_number)

    def shout() -> None:
        writer.trigger = lambda _, values: {**values, "b": (values["a"] or "").upper() or None}

    def swallow(key: str) -> None:
        writer.trigger = lambda written, values: None if written == key else values

    def refuse(key: str) -> None:
        writer.refuse[key] = ("row_refused", "the table refuses it")

    return Bench(
        writer=writer,
        tables=source,
        put=source.put,
        delete=source.delete,
        hold=writer.locked.add,
        refuse=refuse,
        shout=shout,
        swallow=swallow,
        next_commit=writer.script.append,
        land_late=writer.land_late,
    )


@pytest.fixture(params=["memory"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return _fake()
