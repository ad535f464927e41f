"""What a definition and a run may become next, as tables."""

from collections.abc import Mapping

from shared.core.definition import DefinitionState
from shared.core.errors import ConfigurationError, InvariantViolated
from shared.core.runs import RunStatus

DEFINITION_MOVES: Mapping[DefinitionState, frozenset[DefinitionState]] = {
    # A draft becomes active once it is validated and its list is provisioned.
    DefinitionState.DRAFT: frozenset({DefinitionState.ACTIVE, DefinitionState.DELETED}),
    # Both keep ledger, cursors and marks, and no run starts: a pause is meant to end, only from deactivation is it deleted.
    DefinitionState.ACTIVE: frozenset({DefinitionState.PAUSED, DefinitionState.DEACTIVATED}),
    DefinitionState.PAUSED: frozenset({DefinitionState.ACTIVE, DefinitionState.DEACTIVATED}),
    # Coming back goes on where it stopped: the next capture finds what happened meanwhile.
    DefinitionState.DEACTIVATED: frozenset({DefinitionState.ACTIVE, DefinitionState.DELETED}),
    DefinitionState.DELETED: frozenset(),
}

RUN_MOVES: Mapping[RunStatus, frozenset[RunStatus]] = {
    RunStatus.QUEUED: frozenset({RunStatus.RUNNING, RunStatus.FAILED, RunStatus.CANCELLED}),
    RunStatus.RUNNING: frozenset(
        {
            RunStatus.COMPLETED,
            RunStatus.COMPLETED_WITH_ERRORS,
            RunStatus.HELD,
            RunStatus.FAILED,
            RunStatus.CANCELLED,
        }
    ),
    RunStatus.COMPLETED: frozenset(),
    RunStatus.COMPLETED_WITH_ERRORS: frozenset(),
    RunStatus.HELD: frozenset(),
    RunStatus.FAILED: frozenset(),
    RunStatus.CANCELLED: frozenset(),
}

RUNNABLE = frozenset({DefinitionState.ACTIVE})
"""States in which runs start."""

EDITABLE = frozenset(
    {DefinitionState.DRAFT, DefinitionState.ACTIVE, DefinitionState.PAUSED, DefinitionState.DEACTIVATED}
)

FINISHED = frozenset(status for status, moves in RUN_MOVES.items() if not moves)


def check_definition_move(name: str, current: DefinitionState, wanted: DefinitionState) -> None:
    """Raises ConfigurationError naming what the definition can become. Staying as it is is fine: calls are repeated."""
    if wanted is current or wanted in DEFINITION_MOVES[current]:
        return
    possible = " or ".join(sorted(DEFINITION_MOVES[current])) or "nothing any more"
    raise ConfigurationError(
        f"{name} is {current} and cannot become {wanted}: it can become {possible}", code="definition_state"
    )


def check_run_move(current: RunStatus, wanted: RunStatus) -> None:
    """Raises InvariantViolated: runs are moved by the engine alone."""
    if wanted is not current and wanted not in RUN_MOVES[current]:
        raise InvariantViolated(f"a run that is {current} cannot become {wanted}")
