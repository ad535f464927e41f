"""A live definition's fields go to other list columns, and neither a row nor an item has changed."""

from dataclasses import replace

import pytest

from shared.core.definition import SyncMode
from shared.core.record import renumbered
from tests.scenarios.case import Case, Maker

pytestmark = pytest.mark.slow


def exchange(case: Case, one: str, other: str) -> None:
    """Each of these columns goes to the other one's list column."""
    record = case.record
    place = {one: case.column(other), other: case.column(one)}
    fields = tuple(replace(m, target_column_name=place.get(m.source.name, m.target_column_name)) for m in record.fields)
    changed = {mapping.no for mapping in record.fields if mapping.source.name in place}
    case.engine.stores.definitions.save(renumbered(replace(record, fields=fields), changed), actor="test")
    case.told(f"a person exchanges the list columns of {one} and {other}")


@pytest.mark.parametrize("mode", [SyncMode.ONE_WAY_PUSH, SyncMode.ONE_WAY_PULL, SyncMode.TWO_WAY])
def test_fields_that_exchange_their_list_columns_are_equal_again_after_the_next_run(new_case: Maker, mode: SyncMode):
    """What is in the columns already counts as nobody's: where both may win, that is a conflict, and it is logged."""
    case = new_case(mode=mode)
    pulls = mode is SyncMode.ONE_WAY_PULL
    if pulls:
        case.person_adds(id=1, name="Ann", city="Oslo", age=41)
        case.person_adds(id=2, name="Bob", city="Rome", age=52)
        case.pull()
    else:
        case.user_inserts(1, name="Ann", city="Oslo", age=41)
        case.user_inserts(2, name="Bob", city="Rome", age=52)
        case.push()
        case.pull()
    case.begins()
    rows = case.rows()
    exchange(case, "name", "city")
    run = case.pull if pulls else case.push
    if mode is not SyncMode.ONE_WAY_PUSH:
        assert run().status == "HELD"
        case.engine.plan(case.id, actor="test")
        case.release("POLICY_CHANGED")
    done = run()
    assert "2 rows are looked at again: their fields are others now." in done.notes
    if pulls:
        assert [(row["name"], row["city"]) for row in case.rows().values()] == [("Oslo", "Ann"), ("Rome", "Bob")]
    else:
        assert case.rows() == rows
        assert case.shown("name") == ["Ann", "Bob"]
    assert len(case.conflicts()) == (0 if mode is SyncMode.ONE_WAY_PUSH else 4)
    assert case.waiting() == []
    assert "looked at again" not in " ".join(run().notes)
    case.golden()
