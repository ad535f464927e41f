"""The decoder of logical replication: every message, and nothing but one typed error for everything else."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import StreamMalformed
from shared.core.pgoutput import (
    UNCHANGED,
    Begin,
    Column,
    Commit,
    Decoder,
    Delete,
    Insert,
    Message,
    Origin,
    Relation,
    RowData,
    Truncate,
    Type,
    Update,
)
from shared.core.replication import (
    PAYLOAD,
    Keepalive,
    Lsn,
    XLogData,
    decode_frame,
    lsn_text,
    micros,
    moment,
    parse_lsn,
    standby_status,
)
from tests.unit.core import wire

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
OIDS = st.integers(0, 2**32 - 1)
LSNS = st.integers(0, 2**64 - 1)
TIMES = st.integers(-(2**63), 2**63 - 1)
VALUES = st.one_of(
    st.none(),
    st.just(UNCHANGED),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.binary(max_size=30),
)
ROWS = st.lists(VALUES, min_size=1, max_size=6)
COLUMNS = st.lists(st.builds(Column, st.booleans(), NAMES, OIDS, st.integers(-1, 2**31 - 1)), min_size=1, max_size=6)
TABLE = Relation(16385, "app", "orders", "d", (Column(True, "id", 20, -1), Column(False, "note", 25, -1)))


def decoder() -> Decoder:
    made = Decoder()
    made.decode(wire.relation(*TABLE))
    return made


@given(LSNS, TIMES, OIDS)
def test_a_begin_says_where_its_transaction_commits_and_when(lsn, at, xid):
    assert Decoder().decode(wire.begin(lsn, at, xid)) == Begin(lsn, at, xid)


@given(LSNS, LSNS, TIMES)
def test_a_commit_says_where_it_ends(lsn, end, at):
    assert Decoder().decode(wire.commit(lsn, end, at)) == Commit(lsn, end, at)


@given(OIDS, NAMES, NAMES, st.sampled_from("dnfi"), COLUMNS)
def test_a_relation_is_remembered_for_the_rows_after_it(oid, schema, table, identity, columns):
    stream = Decoder()
    relation = stream.decode(wire.relation(oid, schema, table, identity, columns))
    assert relation == Relation(oid, schema, table, identity, tuple(columns))
    inserted = stream.decode(wire.insert(oid, ["1"] * len(columns)))
    assert isinstance(inserted, Insert)
    assert inserted.relation == relation


def test_an_empty_schema_name_is_that_of_the_system_catalog():
    assert Decoder().decode(wire.relation(1, "", "pg_class", "n", [])).schema == "pg_catalog"
    assert Decoder().decode(wire.type_(23, "", "int4")) == Type(23, "pg_catalog", "int4")


def test_a_relation_that_is_sent_again_replaces_the_one_before():
    stream = decoder()
    stream.decode(wire.relation(TABLE.oid, "app", "orders", "f", [(True, "id", 20, -1)]))
    assert stream.decode(wire.insert(TABLE.oid, ["1"])).relation.replica_identity == "f"


@given(ROWS)
def test_an_insert_holds_its_row(values):
    assert decoder().decode(wire.insert(TABLE.oid, values)).new.values() == values


@given(ROWS)
def test_an_update_without_old_values_says_that_the_key_is_the_same(values):
    update = decoder().decode(wire.update(TABLE.oid, values))
    assert isinstance(update, Update)
    assert (update.old, update.old_is_key, update.new.values()) == (None, False, values)


@given(ROWS, ROWS, st.sampled_from([b"K", b"O"]))
def test_an_update_with_old_values_holds_both_rows(old, new, marker):
    update = decoder().decode(wire.update(TABLE.oid, new, old, marker))
    assert isinstance(update, Update)
    assert update.old is not None
    assert (update.old.values(), update.old_is_key, update.new.values()) == (old, marker == b"K", new)


@given(ROWS, st.sampled_from([b"K", b"O"]))
def test_a_delete_holds_the_key_or_the_whole_row(old, marker):
    deleted = decoder().decode(wire.delete(TABLE.oid, old, marker))
    assert isinstance(deleted, Delete)
    assert (deleted.old.values(), deleted.old_is_key) == (old, marker == b"K")


def test_a_value_that_was_not_sent_is_not_null():
    unchanged, null = decoder().decode(wire.update(TABLE.oid, [UNCHANGED, None])).new.values()
    assert unchanged is UNCHANGED
    assert null is None


@given(ROWS, st.data())
def test_picked_columns_are_those_of_the_whole_row(values, data):
    places = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=4))
    new = decoder().decode(wire.insert(TABLE.oid, values)).new
    assert new.pick(places) == [values[place] for place in places]
    assert new.first() == values[0]


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_first_column_that_is_cut_is_refused(cut):
    new = decoder().decode(wire.insert(TABLE.oid, ["some text"])[: 6 + cut]).new
    with pytest.raises(StreamMalformed):
        new.first()


def test_what_lies_behind_the_last_picked_column_is_not_read():
    broken = wire.insert(TABLE.oid, ["7", "note"])[:-2]
    new = decoder().decode(broken).new
    assert new.pick([0]) == ["7"]
    with pytest.raises(StreamMalformed):
        new.values()


def test_a_column_beyond_the_row_is_refused():
    with pytest.raises(StreamMalformed, match="fewer columns"):
        decoder().decode(wire.insert(TABLE.oid, ["7"])).new.pick([1])


@given(st.integers(0, 3))
def test_a_truncate_names_its_relations_and_what_went_with_them(options):
    truncated = decoder().decode(wire.truncate([TABLE.oid, TABLE.oid], options))
    assert truncated == Truncate((TABLE, TABLE), bool(options & 1), bool(options & 2))


@given(OIDS, NAMES, NAMES)
def test_a_type_has_its_name(oid, schema, name):
    assert Decoder().decode(wire.type_(oid, schema, name)) == Type(oid, schema, name)


@given(LSNS, NAMES)
def test_an_origin_has_its_name(lsn, name):
    assert Decoder().decode(wire.origin(lsn, name)) == Origin(lsn, name)


@given(LSNS, NAMES, st.binary(max_size=50), st.integers(0, 1))
def test_a_logical_message_keeps_its_bytes(lsn, prefix, content, flags):
    assert Decoder().decode(wire.message(lsn, prefix, content, flags)) == Message(bool(flags), lsn, prefix, content)


def test_a_row_of_an_unknown_relation_is_refused():
    with pytest.raises(StreamMalformed, match="not described"):
        Decoder().decode(wire.insert(1, ["1"]))


@pytest.mark.parametrize("kind", [b"S", b"E", b"c", b"A", b"b", b"P", b"K", b"r", b"p"])
def test_messages_of_later_protocol_versions_are_refused(kind):
    with pytest.raises(StreamMalformed, match="protocol version 1"):
        decoder().decode(kind + bytes(40))


def test_text_that_is_not_utf_8_is_refused():
    spoiled = wire.insert(TABLE.oid, ["é", "x"]).replace("é".encode(), b"\xff\xfe")
    with pytest.raises(StreamMalformed, match="UTF-8"):
        decoder().decode(spoiled).new.values()
    with pytest.raises(StreamMalformed, match="UTF-8"):
        Decoder().decode(wire.type_(1, "s", "é").replace("é".encode(), b"\xff\xfe"))


VALID = [
    wire.begin(),
    wire.commit(),
    wire.relation(*TABLE),
    wire.insert(TABLE.oid, ["1", "note"]),
    wire.update(TABLE.oid, ["2", UNCHANGED], ["1", None]),
    wire.update(TABLE.oid, ["2", "b"], ["1", "a"], b"O"),
    wire.delete(TABLE.oid, ["1", None]),
    wire.truncate([TABLE.oid, TABLE.oid], 3),
    wire.type_(99999, "app", "mood"),
    wire.origin(5, "elsewhere"),
    wire.message(5, "mark", b"\x00\x01"),
]


def understood(stream: Decoder, message: bytes) -> None:
    """Whatever is read of it, nothing but the typed error comes out."""
    with contextlib.suppress(StreamMalformed):
        for part in stream.decode(message):
            if isinstance(part, RowData):
                part.values()
                part.pick([0])
                assert part.first() == part.values()[0]


@given(st.sampled_from(VALID), st.data())
def test_a_spoiled_message_raises_the_typed_error_or_none(message, data):
    spoiled = bytearray(message)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(spoiled) - 1))
        spoiled[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(spoiled)))
    understood(decoder(), bytes(spoiled[:cut]))


@given(st.binary(max_size=80), st.sampled_from(b"BCORYIUDTM"))
def test_any_bytes_raise_the_typed_error_or_none(tail, kind):
    understood(decoder(), bytes([kind]) + tail)
    understood(decoder(), tail)


def test_a_row_is_never_shown():
    assert "note" not in repr(decoder().decode(wire.insert(TABLE.oid, ["1", "note"])).new)


# ---------------------------------------------------------------- frames and positions


@given(LSNS, LSNS, TIMES, st.binary(max_size=40))
def test_a_frame_with_a_message_holds_it_at_a_fixed_place(lsn, end, at, payload):
    frame = wire.xlog(payload, lsn, end, at)
    assert decode_frame(frame) == XLogData(lsn, end, at)
    assert frame[PAYLOAD:] == payload


@given(LSNS, TIMES, st.booleans())
def test_a_keepalive_says_how_far_the_server_is(end, at, reply):
    assert decode_frame(wire.keepalive(end, reply, at)) == Keepalive(end, at, reply)


@given(st.binary(max_size=40))
def test_any_frame_is_understood_or_refused(frame):
    with contextlib.suppress(StreamMalformed):
        decode_frame(frame)


def test_a_status_is_as_the_protocol_wants_it():
    status = standby_status(Lsn(0x16B3748), Lsn(0x16B3700), datetime(2000, 1, 1, 0, 0, 1, tzinfo=UTC))
    assert status.hex() == "72" + "00000000016b3748" + "00000000016b3700" * 2 + "00000000000f4240" + "00"


@given(LSNS)
def test_a_position_reads_back_as_it_is_printed(lsn):
    assert parse_lsn(lsn_text(lsn)) == lsn


@pytest.mark.parametrize("text", ["", "0", "0/", "/0", "0/G", "0/123456789", " 0/1", "0/1\n", "٠/١"])
def test_what_is_no_position_is_refused(text):
    with pytest.raises(ValueError, match="0/16B3748"):
        parse_lsn(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_reads_back_as_it_is_counted(when):
    assert moment(micros(when)) == when


def test_a_moment_beyond_the_calendar_is_refused():
    with pytest.raises(StreamMalformed):
        moment(2**63 - 1)
