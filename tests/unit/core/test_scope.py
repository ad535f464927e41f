from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.problems import Severity
from shared.core.scope import And, Between, Compare, IsNull, Like, Not, OneOf, Operator, Or, columns_of
from shared.core.scope import tests_of as parts_of
from shared.core.scope_check import check
from shared.core.scope_text import MAX_DEPTH, MAX_LENGTH, ScopeSyntaxError, parse, render_text
from tests.unit.core.make import a_column, a_type

names = st.one_of(
    st.sampled_from(["status", "amount", "and", "Order", 'odd "name"', "ünïcode", "with space", "_x", "1st"]),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=6),
)
words = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)
fractions = st.decimals(min_value=-1000, max_value=1000, places=3, allow_nan=False)
literals = st.one_of(words, st.integers(-(10**20), 10**20), fractions, st.booleans())
atoms = st.one_of(
    st.builds(Compare, column=names, operator=st.sampled_from(Operator), value=literals),
    st.builds(OneOf, column=names, values=st.lists(literals, min_size=1, max_size=3).map(tuple), negated=st.booleans()),
    st.builds(Between, column=names, low=literals, high=literals, negated=st.booleans()),
    st.builds(Like, column=names, pattern=words, ignore_case=st.booleans(), negated=st.booleans()),
    st.builds(IsNull, column=names, negated=st.booleans()),
)
scopes = st.recursive(
    atoms,
    lambda inner: st.one_of(
        inner.map(lambda part: Not(part=part)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: And(parts=tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: Or(parts=tuple(parts))),
    ),
    max_leaves=8,
)


@given(scopes)
@settings(max_examples=80)
def test_a_condition_comes_back_from_its_own_text(scope):
    assert parse(render_text(scope)) == scope
    assert render_text(parse(render_text(scope))) == render_text(scope)


@given(st.text(max_size=60) | st.text("abc'\"()=<>,.-+ 1andornotisnull", max_size=60))
@settings(max_examples=120)
def test_any_text_is_a_condition_or_a_syntax_error_with_a_position_within_it(text):
    try:
        parse(text)
    except ScopeSyntaxError as error:
        assert 1 <= error.context["position"] <= len(text) + 1  # noqa: PT017


def test_and_binds_tighter_than_or_and_parentheses_tighter_than_both():
    a, b, c = (Compare(column=name, operator=Operator.EQUAL, value=1) for name in "abc")
    assert parse("a = 1 or b = 1 and c = 1") == Or(parts=(a, And(parts=(b, c))))
    assert parse("(a = 1 or b = 1) and c = 1") == And(parts=(Or(parts=(a, b)), c))
    assert parse("not a = 1 and b = 1") == And(parts=(Not(part=a), b))


def test_a_whole_filter_is_read():
    scope = parse("Status = 'it''s' AND (amount >= -2.50 or Region not in ('EU', 'US')) and \"Closed At\" is not null")
    assert columns_of(scope) == ("status", "amount", "region", "Closed At")
    assert next(parts_of(scope)) == Compare(column="status", operator=Operator.EQUAL, value="it's")
    assert render_text(scope).startswith("status = 'it''s' and (amount >= -2.50 or region not in ('EU', 'US'))")
    assert parse("a != 1") == parse("a <> 1")
    assert parse("flag = TRUE") == Compare(column="flag", operator=Operator.EQUAL, value=True)
    assert parse("a not between 1 and 2.5") == Between(column="a", low=1, high=Decimal("2.5"), negated=True)


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("", 1, "expected a column, found the end"),
        ("a", 2, "expected a comparison"),
        ("a = null", 5, 'tested with "is null"'),
        ("a = b", 5, "found the column b"),
        ("a = 1 b", 7, '"and", "or" or the end'),
        ("a not = 1", 7, 'after "not"'),
        ("a like 3", 8, "a pattern in single quotes, found a number"),
        ("a is 'x'", 6, 'expected "null", found a text'),
        ("a in (1", 8, 'expected ")"'),
        ("a in ()", 7, 'found ")"'),
        ("a = 'x", 5, "this text has no closing quote"),
        ('"a = 1', 1, "this name has no closing quote"),
        ('"" = 1', 1, "cannot be empty"),
        ("a = 1e5", 5, "a number is written as"),
        ("a = 1; drop", 6, "means nothing here"),
        ("a = '\0'", 5, "no NUL"),
        ("a = " + "9" * 61, 5, "60 digits"),
        ("a = 1 -- b", 7, "a number is written as"),
    ],
)
def test_a_syntax_error_says_where_and_what_was_expected(text, position, said):
    with pytest.raises(ScopeSyntaxError) as caught:
        parse(text)
    assert caught.value.context["position"] == position
    assert said in caught.value.message


def test_a_syntax_error_never_shows_a_text_of_the_filter():
    with pytest.raises(ScopeSyntaxError) as caught:
        parse("a = 1 'secret'")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "text", ["(" * (MAX_DEPTH + 1) + "a = 1" + ")" * (MAX_DEPTH + 1), "not " * (MAX_DEPTH + 1) + "a = 1"]
)
def test_conditions_that_stand_too_deep_are_refused(text):
    with pytest.raises(ScopeSyntaxError, match="deep"):
        parse(text)


def test_conditions_at_the_limits_are_read_and_longer_ones_refused():
    assert parse("(" * MAX_DEPTH + "a = 1" + ")" * MAX_DEPTH) == parse("a = 1")
    values = ",".join("1" * (MAX_LENGTH // 2 - 4))
    assert parse(f"a in ({values})"[:MAX_LENGTH])
    with pytest.raises(ScopeSyntaxError, match="8000"):
        parse("a = 1" + " " * MAX_LENGTH)


COLUMNS = [
    a_column("status"),
    a_column("code", a_type("citext")),
    a_column("folded", a_type("text", deterministic_collation=False)),
    a_column("amount", "numeric"),
    a_column("count", "int4"),
    a_column("open", "bool"),
    a_column("ref", "uuid"),
    a_column("due", "date"),
    a_column("at", "timestamptz"),
    a_column("local", "timestamp"),
    a_column("mood", a_type("mood", is_enum=True, enum_labels=("sad", "ok"))),
    a_column("tags", a_type("text", is_array=True, declared="text[]")),
    a_column("doc", "jsonb"),
]


@pytest.mark.parametrize(
    "text",
    [
        "status = 'x' and code ilike 'a%' and folded in ('a') and status >= 'b'",
        "amount > 10 and count between 1 and 2.5 and amount in (1, 2.0)",
        "open = true and open in (true, false)",
        "ref = '0B5c1dd0-0000-4000-8000-000000000000'",
        "due >= '2026-02-28' and at < '2026-01-31T10:00:00Z' and at > '2026-01-31 10:00' and at > '2026-01-31'",
        "local = '2026-01-31 12:00:00.5'",
        "mood >= 'ok'",
        "tags is null and doc is not null",
        r"status like '100\\%'",
    ],
)
def test_a_filter_that_fits_its_columns_has_no_problem(text):
    assert check(parse(text), COLUMNS) == []


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("statuss = 'x'", "scope_unknown_column", "did you mean status?"),
        ("zzz = 1", "scope_unknown_column", "does not have"),
        ("status = 1", "scope_type", "a text in quotes"),
        ("amount = '1'", "scope_type", "a number without quotes"),
        ("count in (1, 'a')", "scope_type", "a number without quotes"),
        ("open = 'true'", "scope_type", "true or false"),
        ("open > false", "scope_type", "in order"),
        ("ref > '0b5c1dd0-0000-4000-8000-000000000000'", "scope_type", "in order"),
        ("ref = 'abc'", "scope_type", "a UUID"),
        ("due = '2026-02-29'", "scope_type", "a date"),
        ("due = 'today'", "scope_type", "a date"),
        ("local = '2026-01-31 12:00:00Z'", "scope_type", "a time"),
        ("mood = 'glad'", "scope_type", "labels"),
        ("tags = 'a'", "scope_type", "only is null"),
        ("doc = '{}'", "scope_type", "only is null"),
        ("amount like '1%'", "scope_type", "text columns only"),
        ("mood like 's%'", "scope_type", "text columns only"),
        ("folded like 'a%'", "scope_type", "nondeterministic"),
        (r"status like 'a\'", "scope_pattern", "backslash"),
    ],
)
def test_a_test_that_does_not_fit_its_column_is_named(text, code, said):
    (problem,) = check(parse(text), COLUMNS)
    assert problem.code == code
    assert said in problem.message
    assert problem.severity is Severity.ERROR
    assert "glad" not in problem.message


def test_all_problems_of_a_filter_come_at_once():
    assert len(check(parse("a = 1 and (b = 2 or not status = 3)"), COLUMNS)) == 3
