"""What the engine relies on of every SourceTables."""

from shared.core.checksums import BUCKETS, bitmap
from shared.core.ids import identity_of
from tests.contract.source.conftest import Bench
from tests.integration.postgres import stamps
from tests.integration.postgres.stamps import decode, decode_checksums


def scan(bench: Bench) -> dict[str, int]:
    return stamps.scan(bench.tables, bench.spec)


def checksums(bench: Bench) -> dict[int, tuple[int, int]]:
    with bench.tables.copy_stamps(bench.spec) as reading:
        return decode_checksums(reading.checksums())


def test_a_scan_gives_every_row_in_scope_once_with_the_stamp_that_a_look_gives(bench):
    keys = ["1", "é", 'quo"te', "back\\slash", "tab\t", "\U0001f600", ""]
    asked = [bench.put(key, a=key) for key in keys]
    stamps = scan(bench)
    assert set(stamps) == set(asked)
    rows = bench.tables.read_rows(bench.spec, asked)
    assert {identity: row.stamp for identity, row in rows.items()} == stamps
    assert {row.identity for row in rows.values()} == set(asked)


def test_an_empty_table_is_a_whole_scan_of_nothing(bench):
    assert scan(bench) == {}
    assert bench.tables.select_identities(bench.spec, 5, None) == ()


def test_a_change_moves_stamp_and_version_and_a_second_look_moves_neither(bench):
    identity = bench.put("1", a="x")
    before = bench.tables.read_rows(bench.spec, [identity])[identity]
    again = bench.tables.read_rows(bench.spec, [identity])[identity]
    assert (again.stamp, again.version) == (before.stamp, before.version)
    bench.put("1", a="y")
    after = bench.tables.read_rows(bench.spec, [identity])[identity]
    assert after.stamp != before.stamp
    assert after.version != before.version
    assert (before.values["a"], after.values["a"]) == ("x", "y")


def test_a_null_is_not_an_empty_text(bench):
    bench.put("1", a=None, b="")
    bench.put("2", a="", b=None)
    rows = bench.tables.read_rows(bench.spec, [identity_of(["1"]), identity_of(["2"])])
    one, two = rows[identity_of(["1"])], rows[identity_of(["2"])]
    assert (one.values["a"], one.values["b"], two.values["a"], two.values["b"]) == (None, "", "", None)
    assert one.stamp != two.stamp


def test_a_row_that_is_not_there_is_absent_and_one_out_of_scope_is_not(bench):
    here, left = bench.put("here"), bench.put("left")
    gone = bench.put("gone")
    bench.delete("gone")
    bench.leave_scope("left")
    rows = bench.tables.read_rows(bench.spec, [here, left, gone])
    assert {identity: row.in_scope for identity, row in rows.items()} == {here: True, left: False}
    assert set(scan(bench)) == {here}
    assert bench.tables.select_identities(bench.spec, 5, None) == (here,)


def test_a_soft_deleted_row_says_so_and_is_out_of_scope(bench):
    identity = bench.put("1")
    before = bench.tables.read_rows(bench.spec, [identity])[identity]
    bench.soft_delete("1")
    after = bench.tables.read_rows(bench.spec, [identity])[identity]
    assert (before.in_scope, before.soft_deleted) == (True, False)
    assert (after.in_scope, after.soft_deleted) == (False, True)
    assert after.stamp != before.stamp
    assert scan(bench) == {}


def test_a_look_finds_what_was_asked_for_and_nothing_else(bench):
    bench.put("a")
    other = [identity_of(["A"]), identity_of(["a "]), identity_of(["a", "a"]), '["\\u0061"]', "nonsense", ""]
    assert bench.tables.read_rows(bench.spec, other) == {}
    assert bench.tables.read_rows(bench.spec, []) == {}


def test_identities_come_in_order_and_in_pages(bench):
    expected = sorted(bench.put(f"{number:03}") for number in range(25))
    found, after = [], None
    while page := bench.tables.select_identities(bench.spec, 10, after):
        assert len(page) <= 10
        found += page
        after = page[-1]
    assert found == expected


def test_the_estimate_is_a_number_of_rows(bench):
    for number in range(20):
        bench.put(str(number))
    estimate = bench.tables.estimated_rows(bench.spec)
    assert isinstance(estimate, int)
    assert estimate >= 0


def test_a_scan_may_be_left_before_its_end(bench):
    for number in range(50):
        bench.put(str(number))
    with bench.tables.copy_stamps(bench.spec) as reading:
        next(reading.rows())
    assert len(scan(bench)) == 50


def test_the_rows_of_a_bucket_are_those_that_its_checksum_counts(bench):
    for number in range(40):
        bench.put(str(number))
    bench.leave_scope("7")
    everything = scan(bench)
    with bench.tables.copy_stamps(bench.spec) as reading:
        counted = decode_checksums(reading.checksums())
        found = [dict(decode(reading.rows(bitmap([bucket])))) for bucket in counted]
        rest = decode(reading.rows(bitmap(set(range(BUCKETS)) - counted.keys())))
    assert [len(rows) for rows in found] == [rows for rows, _ in counted.values()]
    assert {identity: stamp for rows in found for identity, stamp in rows.items()} == everything
    assert len(everything) == 39
    assert rest == []


def test_a_change_moves_the_checksum_of_its_bucket_alone(bench):
    for number in range(40):
        bench.put(str(number), a="x")
    before = checksums(bench)
    bench.put("3", a="y")
    after = checksums(bench)
    (moved,) = before.items() - after.items()
    assert before.keys() == after.keys()
    assert after[moved[0]][0] == moved[1][0]


def test_rows_that_swap_their_contents_are_no_equal_checksums(bench):
    bench.put("1", a="x")
    bench.put("2", a="y")
    before = checksums(bench)
    bench.put("1", a="y")
    bench.put("2", a="x")
    assert not before.items() & checksums(bench).items()


def test_a_source_hashes_as_it_did_before(bench):
    with bench.tables.copy_stamps(bench.spec) as one, bench.tables.copy_stamps(bench.spec) as other:
        assert one.hashing() == other.hashing()
