"""Names that are hostile to SQL, and names that are equal where a server cuts them."""

import pytest

from shared.core.definition import FieldKind
from shared.core.draft import DraftField
from tests.scenarios.case import Maker
from tests.scenarios.staff import KEY

pytestmark = pytest.mark.slow

LONG = "a_very_long_column_name_that_goes_on_and_on_up_to_the_limit_of_"
FIRST, SECOND = f"{LONG[:62]}1", f"{LONG[:62]}2"


def text(name: str) -> DraftField:
    return DraftField(source_column_name=name, kind=FieldKind.TEXT)


def both_ways(new_case: Maker, *names: str) -> None:
    columns = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}" text' for name in names)
    case = new_case(f"create table public.staff (id integer primary key, {columns})", fields=(*map(text, names), KEY))
    listed = [case.column(name) for name in names]
    assert len({name.lower() for name in listed}) == len(names)
    assert all(len(name) <= 32 for name in listed)
    case.user_inserts(1, **{name: f"row {n}" for n, name in enumerate(names)})
    case.push()
    case.pull()
    assert case.agreed() == {"1": {name: f"row {n}" for n, name in enumerate(names)}}
    for n, name in enumerate(names):
        case.person_edits("1", **{name: f"typed {n}"})
        case.pull()
        assert case.rows()["1"][name] == f"typed {n}"
    assert case.agreed() == {"1": {name: f"typed {n}" for n, name in enumerate(names)}}
    case.quiet()
    case.golden()


def test_two_names_of_63_bytes_that_differ_in_the_last_one_are_two_columns_both_ways(new_case: Maker):
    assert len(FIRST) == len(SECOND) == 63
    both_ways(new_case, FIRST, SECOND)


def test_names_of_63_bytes_in_another_alphabet_are_written_to_exactly(new_case: Maker):
    both_ways(new_case, "\u00e9" * 31 + "a", "\u00e9" * 31 + "b")


@pytest.mark.parametrize(
    "name",
    ['"; drop table staff; --', "select", "Ab C", "%s", "a.b", "xmin_", "''", "\u202e"],
    ids=["drop", "keyword", "blank", "placeholder", "dot", "system", "quotes", "direction"],
)
def test_a_name_that_is_hostile_to_sql_is_written_to_exactly(new_case: Maker, name: str):
    both_ways(new_case, name, "plain")
