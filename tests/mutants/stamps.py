"""Stamps and keys taken for more than they are: types whose hash is blind or missing, equality that is not the text's."""

from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from shared.adapters.postgres import rows, statements
from shared.core import validation_key
from tests.mutants.mutant import Apply, Mutant
from tests.mutants.patches import put


def _typed(*names: str) -> Apply:
    return lambda stack: stack.enter_context(
        patch.object(statements, "_TYPED_STAMP", statements._TYPED_STAMP | {*names})
    )


def _stamped_as(**flags: bool) -> Apply:
    """Stamps are made as if the column's type had other flags."""

    def apply(stack: ExitStack) -> None:
        real = statements.stamped

        def stamped(column: Any) -> Any:
            if column.type.name in statements._TYPED_STAMP or column.type.is_enum:
                return real(replace(column, type=replace(column.type, **flags)))
            return real(column)

        stack.enter_context(patch.object(statements, "stamped", stamped))

    return apply


def _enums_typed(stack: ExitStack) -> None:
    real = statements.stamped

    def stamped(column: Any) -> Any:
        return statements.column(column.name) if column.type.is_enum else real(column)

    stack.enter_context(patch.object(statements, "stamped", stamped))


def _floats_typed(stack: ExitStack) -> None:
    real = statements.stamped

    def stamped(column: Any) -> Any:
        return statements.column(column.name) if column.type.name in {"float4", "float8"} else real(column)

    stack.enter_context(patch.object(statements, "stamped", stamped))


def _in_its_collation(stack: ExitStack) -> None:
    real = statements.stamped

    def stamped(column: Any) -> Any:
        return real(column) if column.type.deterministic_collation else statements.text_form(column)

    stack.enter_context(patch.object(statements, "stamped", stamped))


def _printed_is_not_compared(stack: ExitStack) -> None:
    """The row that the column's own equality finds is the one that was asked for."""
    real = rows.read_page

    def read_page(connection: Any, spec: Any, page: Any, found: Any) -> None:
        class Everything(dict[Any, Any]):
            def __contains__(self, identity: object) -> bool:
                return True

        seen: dict[Any, Any] = {}
        real(connection, spec, Everything(page), seen)
        left = [asked for asked in page if asked not in seen]
        for identity, row in seen.items():
            asked = identity if identity in page else left.pop(0)
            found[asked] = replace(row, identity=asked)

    stack.enter_context(patch.object(rows, "read_page", read_page))


def _citext_accepted(stack: ExitStack) -> None:
    real = validation_key._coarse

    def coarse(column: Any) -> Any:
        if column.type.name == "citext" or not column.type.deterministic_collation:
            return None
        return real(column)

    stack.enter_context(patch.object(validation_key, "_coarse", coarse))


VALUES = "tests/integration/postgres/test_stamps.py::test_any_two_values_and_null_have_stamps_of_their_own"
EXTENSIONS = "tests/integration/postgres/test_extensions.py::"
FOLDED = EXTENSIONS + "test_a_change_that_the_database_calls_none_is_seen_by_the_stamp_and_carried"
ROWS = "tests/integration/postgres/test_rows.py::"


def _blind(name: str, sentence: str, apply: Apply, directed: str) -> Mutant:
    return Mutant(f"stamp_of_{name}", sentence, apply, directed=directed)


STAMPS = (
    _blind("json", "jsonb is hashed as it is: blind to how documents nest", _typed("jsonb"), f"{VALUES}[jsonb]"),
    _blind(
        "numbers",
        "numeric is hashed as it is: blind to zeros, NaN and infinity",
        _typed("numeric"),
        f"{VALUES}[numeric]",
    ),
    _blind(
        "domains",
        "A domain over numeric is hashed as it is, as its base would be",
        _typed("numeric"),
        f"{VALUES}[amount]",
    ),
    _blind("intervals", "interval is hashed as it is: a month is 30 days", _typed("interval"), f"{VALUES}[interval]"),
    _blind("zoned_times", "timetz is hashed as it is: midnight is null", _typed("timetz"), f"{VALUES}[timetz]"),
    _blind(
        "arrays",
        "Arrays are hashed as they are: blind to their shape",
        _stamped_as(is_array=False),
        f"{VALUES}[int4[]]",
    ),
    _blind("floats", "Floats are hashed as they are: 0, -0 and null are one", _floats_typed, f"{VALUES}[float8]"),
    _blind(
        "enums",
        "Enums are hashed as they are: a renamed label is no change",
        _enums_typed,
        "tests/integration/postgres/test_stamps.py::test_a_renamed_enum_label_is_a_change",
    ),
    _blind(
        "folded_text",
        "Text with a collation that calls different texts equal is hashed as it is",
        _stamped_as(deterministic_collation=True),
        FOLDED,
    ),
    _blind(
        "collated_text",
        "Text whose collation calls different texts equal is hashed as text of that collation",
        _in_its_collation,
        FOLDED,
    ),
    _blind("citext", "citext is hashed as it is: blind to case", _typed("citext"), FOLDED),
    _blind("hashless_json", "json, which has no hash, is hashed as it is", _typed("json"), f"{VALUES}[json]"),
    _blind("hashless_shapes", "point, which has no hash, is hashed as it is", _typed("point"), f"{VALUES}[point]"),
    _blind("hashless_money", "money, which has no hash, is hashed as it is", _typed("money"), f"{VALUES}[money]"),
    Mutant(
        "key_by_equality",
        "A row that the key's own equality finds is the row, whatever text its key prints",
        _printed_is_not_compared,
        directed=ROWS
        + 'test_an_identity_is_compared_as_text_and_not_by_the_type_s_own_equality[numeric-1.00-["1.0"]-False]',
    ),
    Mutant(
        "key_with_zeros",
        "A numeric key keeps its trailing zeros, so that 1.0 and 1.00 are two rows",
        put(statements, "key_text", statements.text_form),
        directed=ROWS + "test_identities_built_by_hand_are_those_that_json_would_build",
    ),
    Mutant(
        "coarse_keys",
        "A key whose equality is coarser than its text is accepted",
        _citext_accepted,
        directed=EXTENSIONS + "test_a_key_that_calls_different_texts_equal_is_refused",
    ),
)
