"""From the stream's events to batches of keys: coalesced, bounded, complete up to a position."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core import gathering
from shared.core.changes import ChangeMessage, Operation, SlotIdentity, pack
from shared.core.errors import StreamMalformed
from shared.core.gathering import Gatherer, TroubleKind, Watch, key_form
from shared.core.ids import InstanceId, identity_of
from shared.core.pgoutput import UNCHANGED, Decoder
from shared.core.replication import Lsn, micros
from shared.core.source import TableRef
from tests.unit.core import wire
from tests.unit.core.make import a_column, a_type

ORDERS = TableRef(schema="app", name="orders")
OID = 16385
WATCH = Watch(table=ORDERS, key=(a_column("id", "int8"),))
COLUMNS = [(True, "id", 20, -1), (False, "note", 25, -1)]
NEW, CHANGED, GONE = Operation.INSERT, Operation.UPDATE, Operation.DELETE


class Stream:
    """A gatherer that is fed bytes."""

    def __init__(self, *watches: Watch, columns=COLUMNS, identity: str = "d") -> None:
        by_table = {}
        for watch in watches or (WATCH,):
            by_table[watch.table] = (*by_table.get(watch.table, ()), watch)
        self.gatherer = Gatherer(watches=by_table, complete=Lsn(1))
        self.decoder = Decoder()
        self.relation = wire.relation(OID, "app", "orders", identity, columns)

    def transaction(self, *changes: bytes, commit: bool = True, lsn: int = 100, at: int = 0) -> None:
        self.feed(wire.begin(lsn, at), self.relation, *changes)
        if commit:
            self.feed(wire.commit(lsn, lsn + 8, at))

    def feed(self, *messages: bytes) -> None:
        for message in messages:
            self.gatherer.feed(self.decoder.decode(message))

    def keys(self) -> dict[str, Operation]:
        (table,) = self.gatherer.take().tables
        return dict(table.operations)

    def troubles(self) -> set[TroubleKind]:
        return {trouble.kind for trouble in self.gatherer.take().troubles} - {TroubleKind.DESCRIBED}


def test_each_kind_of_change_names_its_key():
    stream = Stream()
    stream.transaction(wire.insert(OID, ["1", "a"]), wire.update(OID, ["2", "b"]), wire.delete(OID, ["3", None]))
    assert stream.keys() == {'["1"]': NEW, '["2"]': CHANGED, '["3"]': GONE}


def test_many_changes_of_one_row_are_one_key_with_its_last_fate():
    stream = Stream()
    stream.transaction(*(wire.update(OID, ["1", str(n)]) for n in range(50)), wire.delete(OID, ["1", None]))
    batch = stream.gatherer.take()
    assert (batch.changes, dict(batch.tables[0].operations)) == (51, {'["1"]': GONE})


def test_a_changed_key_names_the_old_and_the_new_one():
    stream = Stream()
    stream.transaction(wire.update(OID, ["2", "b"], ["1", None]))
    assert stream.keys() == {'["1"]': GONE, '["2"]': NEW}


def test_keys_that_became_others_are_told_in_the_order_in_which_that_happened_last():
    stream = Stream()
    stream.transaction(
        wire.update(OID, ["2", "b"], ["1", None]),
        wire.update(OID, ["1", "b"], ["2", None]),
        wire.update(OID, ["2", "b"], ["1", None]),
        wire.update(OID, ["2", "c"], ["2", None]),
        wire.update(OID, ["3", "b"], ["2", None]),
    )
    (table,) = stream.gatherer.take().tables
    assert [(rename.former, rename.new) for rename in table.renames] == [
        ('["2"]', '["1"]'),
        ('["1"]', '["2"]'),
        ('["2"]', '["3"]'),
    ]
    stream.transaction(wire.update(OID, ["3", "d"]))
    assert stream.gatherer.take().tables[0].renames == ()


def test_a_key_that_no_message_can_hold_has_become_nothing_that_is_told():
    stream = Stream(Watch(table=ORDERS, key=(a_column("note"),)), columns=[(True, "note", 25, -1)])
    stream.transaction(wire.update(OID, ["x" * 8_000], ["short"]), wire.update(OID, ["short"], ["x" * 8_000]))
    (table,) = stream.gatherer.take().tables
    assert (dict(table.operations), table.renames) == ({'["short"]': NEW}, ())


def test_few_keys_that_become_one_another_without_end_fill_a_batch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gathering, "MOST_PENDING", 10)
    stream = Stream()
    for former in range(4):
        for new in range(4):
            if former != new:
                assert not stream.gatherer.full or len(stream.gatherer.take().tables[0].renames) == 10
                stream.transaction(wire.update(OID, [str(new), "b"], [str(former), None]))


def test_under_a_full_replica_identity_an_unchanged_key_is_one_key():
    stream = Stream(columns=[(True, "id", 20, -1), (True, "note", 25, -1)], identity="f")
    stream.transaction(
        wire.update(OID, ["1", "b"], ["1", "a"], b"O"),
        wire.update(OID, ["3", "b"], ["2", "a"], b"O"),
        wire.delete(OID, ["4", "a"], b"O"),
    )
    assert stream.keys() == {'["1"]': CHANGED, '["2"]': GONE, '["3"]': NEW, '["4"]': GONE}


def test_a_value_that_was_not_sent_stays_where_it_is_and_a_key_that_was_not_sent_is_the_old_one():
    stream = Stream(Watch(table=ORDERS, key=(a_column("id", "int8"), a_column("note"))))
    stream.relation = wire.relation(OID, "app", "orders", "i", [(True, "id", 20, -1), (True, "note", 25, -1)])
    stream.transaction(wire.update(OID, ["2", UNCHANGED], ["1", "long"]))
    assert stream.keys() == {'["1", "long"]': GONE, '["2", "long"]': NEW}


def test_a_key_that_is_nowhere_is_trouble_and_no_mark():
    stream = Stream(Watch(table=ORDERS, key=(a_column("note"),)))
    stream.relation = wire.relation(OID, "app", "orders", "i", [(False, "id", 20, -1), (True, "note", 25, -1)])
    stream.transaction(wire.update(OID, ["2", UNCHANGED]))
    batch = stream.gatherer.take()
    assert batch.tables == ()
    assert TroubleKind.KEY_UNKNOWN in {trouble.kind for trouble in batch.troubles}


def test_a_key_that_no_message_can_hold_is_trouble_and_every_other_fits():
    stream = Stream(Watch(table=ORDERS, key=(a_column("note"),)), columns=[(True, "note", 25, -1)])
    stream.transaction(wire.insert(OID, ["x" * 8_000]), wire.insert(OID, ["\N{MUSICAL SYMBOL G CLEF}" * 7_990]))
    batch = stream.gatherer.take()
    assert TroubleKind.KEY_UNKNOWN in {trouble.kind for trouble in batch.troubles}
    (table,) = batch.tables
    assert len(table.operations) == 1
    slot = SlotIdentity(instance=InstanceId(UUID(int=1)), system="1", timeline=1, name="s", created=Lsn(1))
    message = ChangeMessage(
        slot=slot,
        first=batch.first,
        last=batch.last,
        committed_at=datetime(2026, 1, 1, tzinfo=UTC),
        tables=batch.tables,
    )
    assert len(list(pack(message))) == 1


def test_a_key_beside_the_replica_identity_is_trouble():
    stream = Stream(Watch(table=ORDERS, key=(a_column("note"),)))
    stream.transaction(wire.delete(OID, ["1", None]))
    assert stream.troubles() == {TroubleKind.IDENTITY_NARROW, TroubleKind.KEY_UNKNOWN}


def test_a_key_column_that_is_gone_is_trouble():
    stream = Stream(Watch(table=ORDERS, key=(a_column("renamed"),)))
    stream.transaction(wire.insert(OID, ["1", "a"]))
    assert stream.troubles() == {TroubleKind.IDENTITY_NARROW, TroubleKind.KEY_UNKNOWN}


def test_a_truncate_is_trouble_for_the_tables_that_are_watched():
    stream = Stream()
    stream.transaction(wire.relation(2, "app", "other", "d", COLUMNS), wire.truncate([OID, 2]))
    troubles = stream.gatherer.take().troubles
    assert [(t.kind, t.table) for t in troubles if t.kind is TroubleKind.TRUNCATED] == [(TroubleKind.TRUNCATED, ORDERS)]


def test_a_description_of_a_watched_table_is_handed_on_and_others_are_not():
    stream = Stream()
    stream.transaction(wire.relation(2, "app", "other", "d", COLUMNS))
    assert [(t.kind, t.table) for t in stream.gatherer.take().troubles] == [(TroubleKind.DESCRIBED, ORDERS)]


def test_tables_that_nobody_watches_leave_nothing():
    stream = Stream(Watch(table=TableRef(schema="app", name="other"), key=WATCH.key))
    stream.transaction(wire.insert(OID, ["1", "a"]))
    batch = stream.gatherer.take()
    assert (batch.tables, batch.changes, batch.complete) == ((), 0, 108)


def test_a_table_that_becomes_watched_is_read_from_then_on():
    stream = Stream(Watch(table=TableRef(schema="app", name="other"), key=WATCH.key))
    stream.transaction(wire.insert(OID, ["1", "a"]))
    stream.gatherer.watch({ORDERS: (WATCH,)})
    stream.feed(wire.begin(200), wire.insert(OID, ["2", "b"]), wire.commit(200, 208))
    assert stream.keys() == {'["2"]': NEW}


def test_two_keys_of_one_table_are_told_apart():
    stream = Stream(
        WATCH,
        Watch(table=ORDERS, key=(a_column("note"),)),
        columns=[(True, "id", 20, -1), (True, "note", 25, -1)],
        identity="f",
    )
    stream.transaction(wire.insert(OID, ["1", "a"]))
    tables = stream.gatherer.take().tables
    assert [(table.key, dict(table.operations)) for table in tables] == [
        (("id",), {'["1"]': NEW}),
        (("note",), {'["a"]': NEW}),
    ]


def test_a_batch_is_complete_up_to_the_last_commit_and_no_further():
    stream = Stream()
    stream.transaction(wire.insert(OID, ["1", "a"]), lsn=100)
    stream.transaction(wire.insert(OID, ["2", "b"]), lsn=300, commit=False)
    batch = stream.gatherer.take()
    assert (batch.complete, batch.first, batch.last) == (108, 100, 300)
    stream.feed(wire.insert(OID, ["3", "c"]), wire.commit(300, 308))
    batch = stream.gatherer.take()
    assert (batch.complete, batch.first, batch.last) == (308, 300, 300)
    assert dict(batch.tables[0].operations) == {'["3"]': NEW}


def test_an_idle_server_moves_the_position_but_never_within_a_transaction():
    stream = Stream()
    stream.transaction(commit=False)
    stream.gatherer.idle(500)
    assert stream.gatherer.take().complete == 1
    stream.feed(wire.commit(100, 108))
    stream.gatherer.idle(500)
    stream.gatherer.idle(400)
    assert stream.gatherer.take().complete == 500


def test_a_batch_knows_when_its_oldest_transaction_committed():
    stream = Stream()
    first, second = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    stream.transaction(wire.insert(OID, ["1", "a"]), at=micros(first))
    stream.transaction(wire.insert(OID, ["2", "a"]), at=micros(second))
    assert stream.gatherer.take().committed_at == first
    assert stream.gatherer.take().committed_at is None


def test_a_transaction_of_any_size_can_be_taken_in_parts(monkeypatch):
    monkeypatch.setattr(gathering, "MOST_PENDING", 10)
    stream = Stream()
    stream.transaction(commit=False)
    seen = []
    for n in range(95):
        stream.feed(wire.insert(OID, [str(n), "x"]))
        if stream.gatherer.full:
            seen += stream.keys()
    stream.feed(wire.commit())
    seen += stream.keys()
    assert seen == [f'["{n}"]' for n in range(95)]


def test_a_row_outside_of_a_transaction_is_refused():
    stream = Stream()
    stream.feed(stream.relation)
    with pytest.raises(StreamMalformed, match="outside"):
        stream.feed(wire.insert(OID, ["1", "a"]))


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=3
    )
)
def test_identities_are_spelled_as_everywhere_else(texts):
    key = tuple(a_column(f"k{n}") for n in range(len(texts)))
    stream = Stream(Watch(table=ORDERS, key=key), columns=[(True, column.name, 25, -1) for column in key])
    stream.transaction(wire.insert(OID, texts))
    assert list(stream.keys()) == [identity_of(texts)]


@pytest.mark.parametrize(
    ("type_", "output", "text"),
    [
        ("bool", "t", "true"),
        ("bool", "f", "false"),
        ("numeric", "1.00", "1"),
        ("numeric", "1.10", "1.1"),
        ("numeric", "-0.0", "-0"),
        ("numeric", "100", "100"),
        ("numeric", "NaN", "NaN"),
        ("numeric", "-Infinity", "-Infinity"),
    ],
)
def test_outputs_become_the_texts_that_identities_hold(type_, output, text):
    form = key_form(a_type(type_))
    assert form is not None
    assert form(output) == text


def test_most_types_are_taken_as_they_are():
    assert key_form(a_type("int8")) is None
    assert key_form(a_type("timestamptz")) is None
