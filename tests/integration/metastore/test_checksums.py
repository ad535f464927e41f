"""Checksums before rows: what travels, what is found, and when every row is piped in after all."""

from random import Random
from types import SimpleNamespace
from uuid import uuid4

import pytest

from shared.adapters.metastore import scans as module
from shared.adapters.metastore.scans import ScanStore
from shared.core.backlog import Lane
from shared.core.ids import RunId
from shared.ports import ScanResult
from tests.integration.metastore.support import INSTANCE, Reading, identity


@pytest.fixture
def spec(definition):
    """Scans need a definition's id only."""
    return SimpleNamespace(id=definition, mapping_fingerprint=b"fingerprint")


@pytest.fixture
def agreed(sql, definition):
    """A function that puts entries into the ledger, as {n: stamp}; by SQL, which is quick for thousands."""

    def put(stamps, state="SETTLED"):
        sql.execute(
            "insert into syncbridge.sync_ledger (sync_def_id, source_identity_hash, source_identity, source_instance_id,"
            " state, sp_list_id, sp_item_id, stamp, field_digests, mapping_fingerprint)"
            " select %(definition)s, sha256(convert_to(i, 'UTF8')), i, %(instance)s, %(state)s, 'list', nextval('items'), s,"
            " case when %(state)s <> 'TOMBSTONE' then ''::bytea end, 'fingerprint'"
            " from unnest(%(identities)s::text[], %(stamps)s::bigint[]) as t (i, s)",
            {
                "definition": definition,
                "instance": INSTANCE,
                "state": state,
                "identities": [identity(n) for n in stamps],
                "stamps": list(stamps.values()),
            },
        )

    sql.execute("create temporary sequence items")
    return put


@pytest.fixture
def scan(store, sql, spec):
    """A function that scans rows, {n: stamp}: the comparison, what differs as {identity: kind}, and the passes."""

    def whole(rows, *, checksums_from=0, hashes_as=""):
        scans, run = ScanStore(store, checksums_from=checksums_from), RunId(uuid4())
        reading = Reading(sql, [(identity(n), stamp) for n, stamp in rows.items()], hashes_as=hashes_as)
        result = scans.compare(spec, run, scans.load(spec, run, reading))
        found = scans.differing(spec, run, after=None, limit=100_000)
        scans.drop(run)
        return result, {one: kind for _, one, kind in found}, reading.passes

    return whole


def sharing(sql, count):
    """`count` numbers whose identities fall into one bucket."""
    reading = Reading(sql, [(identity(n), 0) for n in range(5000)])
    by_bucket = {}
    for n, bucket in enumerate(reading.buckets()):
        by_bucket.setdefault(bucket, []).append(n)
    return next(numbers[:count] for numbers in by_bucket.values() if len(numbers) >= count)


def test_nothing_travels_but_checksums_when_nothing_differs(agreed, scan):
    rows = {n: -n for n in range(3000)}
    agreed(rows)

    result, found, passes = scan(rows)

    assert (result, found) == (ScanResult(scanned=3000, ledger=3000, new=0, changed=0, gone=0), {})
    assert passes == ["checksums"]


def test_one_changed_row_of_many_is_found_and_few_travel_with_it(agreed, scan, store, sql, spec):
    rows = {n: n for n in range(20_000)}
    agreed(rows)
    rows[777] = -777

    result, found, passes = scan(rows)

    assert (result, found) == (
        ScanResult(scanned=20_000, ledger=20_000, new=0, changed=1, gone=0),
        {identity(777): "CHANGED"},
    )
    assert passes == ["checksums", "some rows"]
    loaded = ScanStore(store, checksums_from=0).load(
        spec, RunId(uuid4()), Reading(sql, [(identity(n), stamp) for n, stamp in rows.items()])
    )
    assert loaded.rows < 10
    assert loaded.whole == 20_000


def test_rows_of_one_bucket_that_swap_their_contents_are_found(agreed, scan, sql):
    one, other = sharing(sql, 2)
    agreed({one: 1, other: 2})

    result, found, _ = scan({one: 2, other: 1})

    assert (result.changed, set(found)) == (2, {identity(one), identity(other)})


def test_a_row_that_takes_anothers_place_in_its_bucket_is_found(agreed, scan, sql):
    one, other, third = sharing(sql, 3)
    agreed({one: 1, other: 2})

    _, found, _ = scan({one: 1, third: 2})

    assert found == {identity(other): "GONE", identity(third): "NEW"}


def test_a_bucket_whose_rows_are_all_gone_is_found(agreed, scan, sql):
    gone = sharing(sql, 3)
    rows = {n: n for n in range(200)}
    agreed(rows | dict.fromkeys(gone, 5))

    result, found, _ = scan({n: stamp for n, stamp in rows.items() if n not in gone})

    assert found == {identity(n): "GONE" for n in gone}
    assert (result.gone, result.scanned, result.ledger) == (
        3,
        len(rows.keys() - set(gone)),
        len(rows.keys() | set(gone)),
    )


def test_an_empty_source_is_found_to_be_empty(agreed, scan):
    agreed({n: n for n in range(100)})

    result, found, _ = scan({})

    assert result == ScanResult(scanned=0, ledger=100, new=0, changed=0, gone=100)
    assert set(found.values()) == {"GONE"}


def test_an_empty_ledger_is_no_reason_for_checksums(scan):
    result, found, passes = scan({1: 1, 2: 2}, checksums_from=1)

    assert (result.new, len(found), passes) == (2, 2, ["all rows"])


def test_servers_that_hash_differently_are_compared_row_by_row(agreed, scan):
    agreed({n: n for n in range(50)})

    result, found, passes = scan({n: n for n in range(49)} | {49: 0}, hashes_as="UTF8/1/2")

    assert (result.changed, found, passes) == (1, {identity(49): "CHANGED"}, ["all rows"])


def test_every_row_is_piped_in_where_most_buckets_differ(scan):
    rows = {n: n for n in range(60_000)}

    result, _, passes = scan(rows)

    assert passes == ["checksums", "all rows"]
    assert (result.scanned, result.new) == (60_000, 60_000)


def test_other_definitions_entries_are_nobodys_business(agreed, scan, sql):
    agreed({1: 1})
    sql.execute("update syncbridge.sync_ledger set sync_def_id = gen_random_uuid()")
    agreed({2: 2})

    result, found, _ = scan({2: 2})

    assert (result.ledger, found) == (1, {})


def test_the_source_is_asked_before_the_ledger(agreed, store, sql, spec):
    """What settle confirms while the source reads then differs from the reading, which makes a mark too many."""
    agreed({1: 1})
    reading = Reading(sql, [(identity(1), 1)])
    checksums = reading.checksums

    def confirmed_meanwhile():
        yield from checksums()
        sql.execute("update syncbridge.sync_ledger set stamp = 2")

    reading.checksums = confirmed_meanwhile
    scans, run = ScanStore(store, checksums_from=0), RunId(uuid4())

    assert scans.compare(spec, run, scans.load(spec, run, reading)).changed == 1


def test_an_entry_that_was_confirmed_after_the_checksums_is_compared_as_it_is(agreed, store, sql, spec):
    agreed({1: 1})
    scans, run = ScanStore(store, checksums_from=0), RunId(uuid4())
    loaded = scans.load(spec, run, Reading(sql, [(identity(1), 2)]))
    sql.execute("update syncbridge.sync_ledger set stamp = 2")

    assert scans.compare(spec, run, loaded) == ScanResult(scanned=1, ledger=1, new=0, changed=0, gone=0)
    assert sum(scans.mark(spec, run, lane=Lane.PUSH, hold_deletes=False)) == 0


@pytest.mark.parametrize("seed", range(12))
def test_checksums_find_what_comparing_every_row_finds(agreed, scan, spec, seed, monkeypatch):
    """With 16 buckets, so that many rows share one."""
    monkeypatch.setattr(module, "BUCKETS", 16)
    monkeypatch.setattr(Reading, "last", 15)
    random = Random(seed)
    few = random.choice([0, 1, 3, 40])
    source = {n: random.randrange(-5, 5) for n in range(150)}
    known = {"SETTLED": dict(source), "TOMBSTONE": {}, "BOUND": {}, "CREATING": {}}
    for n in random.sample(range(150), k=few):
        state = random.choice(list(known))
        known[state][n] = random.choice([known["SETTLED"].pop(n), random.randrange(-5, 5)])
    for n in random.sample(range(150), k=few):
        stamp = source.pop(n)
        source[random.choice([n, 1000 + n])] = random.choice([stamp, random.randrange(-5, 5)])
    for state, stamps in known.items():
        agreed(stamps, state)

    plain, by_checksums = scan(source, checksums_from=10**6), scan(source)

    assert plain[2] == ["all rows"]
    assert by_checksums[2][0] == "checksums"
    assert by_checksums[:2] == plain[:2]
