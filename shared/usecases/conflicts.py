"""Whether a value that lost can be brought back."""

from collections.abc import Mapping
from typing import Any

from shared.core.definition import DefinitionState
from shared.core.errors import Conflicting
from shared.core.flows import Flow, flows_of
from shared.core.ids import FieldNo
from shared.core.record import DefinitionRecord


def reversible(conflict: Mapping[str, Any], record: DefinitionRecord) -> tuple[FieldNo, ...]:
    """The fields that come back: the conflict's own, and those of its group, which are one value. Raises Conflicting with
    the reason; whether the conflict's state allows it the store knows."""
    column = conflict["column"]
    if record.state in (DefinitionState.DEACTIVATED, DefinitionState.DELETED):
        raise Conflicting(f"definition {record.name!r} is {record.state}: nothing is written", code="definition_state")
    if conflict["losing_value"] is None:
        raise Conflicting(
            "what lost here was a delete, or a value that was not known: there is no value to bring back",
            code="no_value",
        )
    mapping = next((m for m in record.fields if m.no == conflict["field_no"]), None)
    if mapping is None:
        raise Conflicting(
            f"definition {record.name!r} has no field of {column} as it was any more: its value is in the log, write it by hand",
            code="field_gone",
        )
    if mapping.paused is not None:
        raise Conflicting(f"{column} is paused: {mapping.paused.reason}", code="field_paused")
    if flows_of(record.fields, record.draft.mode, record.key).get(mapping.no) is not Flow.BOTH:
        raise Conflicting(
            f"{column} flows one way only, so that one side would undo it: write the value where the field flows from",
            code="one_way_field",
        )
    if mapping.group is None:
        return (mapping.no,)
    return tuple(m.no for m in record.fields if m.group == mapping.group)
