"""Messages of changed keys: packed small, split where they must be, read back or refused with a reason."""

import base64
import json
import random
import zlib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.changes import (
    MOST_BYTES,
    MOST_KEYS,
    ChangeMessage,
    Operation,
    SlotIdentity,
    TableChanges,
    pack,
    unpack,
)
from shared.core.errors import MessageRejected
from shared.core.ids import InstanceId, identity_of
from shared.core.renames import KeyChange
from shared.core.replication import Lsn
from shared.core.source import TableRef

SLOT = SlotIdentity(
    instance=InstanceId(UUID(int=5)),
    system="7412345678901234567",
    timeline=1,
    name="arcore_slot",
    created=Lsn(0x16B3748),
)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


def message(*tables: TableChanges) -> ChangeMessage:
    return ChangeMessage(
        slot=SLOT, first=Lsn(100), last=Lsn(2**40), committed_at=datetime(2026, 5, 4, 3, 2, 1, 5, UTC), tables=tables
    )


def changes(*keys: list[str], operation: Operation = Operation.UPDATE, name: str = "orders") -> TableChanges:
    return TableChanges(
        table=TableRef(schema="app", name=name),
        key=tuple(f"k{n}" for n in range(len(keys[0]))),
        operations={identity_of(key): operation for key in keys},
    )


def keys_of(*messages: ChangeMessage) -> dict:
    return {
        (table.table, table.key, identity): operation
        for one in messages
        for table in one.tables
        for identity, operation in table.operations.items()
    }


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=30), st.sampled_from(Operation))
def test_a_message_reads_back_as_it_was_sent(keys, operation):
    sent = message(changes(*map(list, keys), operation=operation), changes(["1"], name="other"))
    (text,) = pack(sent)
    assert unpack(text) == sent


def renamed(*pairs: tuple[str, str], name: str = "orders") -> TableChanges:
    """Each pair: one key became the other."""
    told = changes(*([key] for pair in pairs for key in pair), name=name)
    renames = tuple(KeyChange(former=identity_of([one]), new=identity_of([other])) for one, other in pairs)
    return replace(told, renames=renames)


def test_which_key_became_which_reads_back_in_its_order():
    sent = message(renamed(("1", "2"), ("2", "3"), ("0", "2")), changes(["x"], name="other"))
    (text,) = pack(sent)
    assert json.loads(text)["tables"][0]["renames"] == [[["1"], ["2"]], [["2"], ["3"]], [["0"], ["2"]]]
    assert unpack(text) == sent


def test_a_message_without_renames_says_nothing_about_them():
    (text,) = pack(message(changes(["1"])))
    assert "renames" not in text


def test_renames_of_a_message_that_is_split_are_in_one_of_its_parts_with_a_mark_of_their_new_key():
    pairs = [(str(n), f"new {n}") for n in range(3_000)]
    parts = [unpack(text) for text in pack(message(renamed(*pairs)))]
    tables = [table for part in parts for table in part.tables]
    assert len(parts) > 1
    assert sorted(rename for table in tables for rename in map(str, table.renames)) == sorted(
        map(str, renamed(*pairs).renames)
    )
    assert keys_of(*parts) == keys_of(message(renamed(*pairs)))


def test_a_rename_that_no_message_can_hold_is_left_out_and_its_keys_are_told():
    chance = random.Random(3)
    long, longer = chance.randbytes(11_000).hex(), chance.randbytes(11_000).hex()
    parts = [unpack(text) for text in pack(message(renamed((long, longer))))]
    assert [part.renames for part in parts] == [0, 0]
    assert keys_of(*parts) == keys_of(message(renamed((long, longer))))


@pytest.mark.parametrize(
    "renames",
    [
        7,
        [7],
        [["1"]],
        [[["1"], ["2"], ["3"]]],
        [[["1"], ["2", "3"]]],
        [[["1"], [2]]],
        [[["1"], ["1"]]],
        [[["1"], ["9"]]],
        [[["9"], ["1"]]],
    ],
)
def test_renames_that_are_none_are_refused(renames):
    (text,) = pack(message(changes(["1"], ["2"])))
    document = json.loads(text)
    document["tables"][0]["renames"] = renames
    with pytest.raises(MessageRejected) as refused:
        unpack(json.dumps(document))
    assert refused.value.code == "not_changes"


def test_a_short_message_can_be_read_by_people_and_a_long_one_is_small():
    (short,) = pack(message(changes(["1"])))
    assert json.loads(short)["tables"][0]["changes"] == {"U": [["1"]]}
    (long,) = pack(message(changes(*([str(n)] for n in range(2000)))))
    assert len(long) < 12_000


def test_more_keys_than_a_call_should_take_are_several_messages():
    sent = message(changes(*([str(n)] for n in range(5_001))), changes(["x"], name="other"))
    texts = list(pack(sent))
    parts = [unpack(text) for text in texts]
    assert all(part.keys <= MOST_KEYS for part in parts)
    assert keys_of(*parts) == keys_of(sent)


def test_keys_that_do_not_compress_are_split_by_size():
    chance = random.Random(7)
    sent = message(changes(*([chance.randbytes(300).hex()] for _ in range(400))))
    texts = list(pack(sent))
    assert len(texts) > 1
    assert all(len(text.encode()) <= MOST_BYTES for text in texts)
    assert keys_of(*map(unpack, texts)) == keys_of(sent)


def test_keys_with_every_character_fit_as_bytes_too():
    sent = message(changes(*(["é€𝄞" * 20 + str(n)] for n in range(1000))))
    texts = list(pack(sent))
    assert all(len(text.encode()) <= MOST_BYTES for text in texts)
    assert keys_of(*map(unpack, texts)) == keys_of(sent)


def test_a_single_key_that_is_too_long_is_refused():
    with pytest.raises(MessageRejected, match="too long") as refused:
        list(pack(message(changes([random.Random(1).randbytes(100_000).hex()]))))
    assert refused.value.code == "key_too_long"


def test_it_says_which_slot_of_which_server_it_is_from():
    (text,) = pack(message(changes(["1"])))
    assert json.loads(text)["slot"] == {
        "instance": str(SLOT.instance),
        "system": SLOT.system,
        "timeline": 1,
        "name": "arcore_slot",
        "created": "0/16B3748",
    }


@given(st.one_of(st.text(max_size=60), st.binary(max_size=60).map(lambda raw: base64.b64encode(raw).decode())))
def test_any_text_is_a_message_or_refused(text):
    with pytest.raises(MessageRejected):
        unpack(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.data(), JSON)
def test_a_message_with_anything_in_the_place_of_a_part_is_refused_or_a_message(data, part):
    (text,) = pack(message(changes(["1"])))
    document = json.loads(text)
    where = data.draw(st.sampled_from(["document", "slot", "tables", "table", "changes", "keys"]))
    target = {
        "document": document,
        "slot": document["slot"],
        "tables": document["tables"],
        "table": document["tables"][0],
        "changes": document["tables"][0]["changes"],
        "keys": document["tables"][0]["changes"]["U"],
    }[where]
    place = data.draw(st.sampled_from(list(target))) if isinstance(target, dict) else 0
    target[place] = part
    with suppress(MessageRejected):
        assert unpack(json.dumps(document)).tables is not None


def test_a_message_of_another_release_is_refused_by_its_version():
    (text,) = pack(message(changes(["1"])))
    with pytest.raises(MessageRejected, match="another release") as refused:
        unpack(text.replace('"schema_version": 1', '"schema_version": 2'))
    assert refused.value.code == "schema_version"


def test_a_message_that_unpacks_without_end_is_refused():
    bomb = base64.b64encode(zlib.compress(bytes(40_000_000), 1)).decode()
    with pytest.raises(MessageRejected, match="more than a message can hold"):
        unpack(bomb)


def test_a_message_that_is_cut_is_refused():
    (text,) = pack(message(changes(*([str(n)] for n in range(2000)))))
    with pytest.raises(MessageRejected):
        unpack(text[: len(text) // 8 * 4])


def test_keys_are_not_shown():
    assert "secret" not in repr(message(changes(["secret"])))
    assert "secret" not in repr(replace(message(changes(["secret"])), first=Lsn(1)))
