"""When what a person asked for is done: at once, if it may be."""

from typing import Any

from functions.hints import hint
from shared.core.ids import DefinitionId
from shared.engine import Engine


def at_once(engine: Engine, definition: DefinitionId, *, push: bool = False) -> dict[str, Any]:
    """Asks for the run that settles what people wait for; `push`: for the scheduled run, as well. NOW: it begins, or one is
    under way and another follows it. NEXT_TICK: the queue is away, the schedule tick starts it. WAITS: the definition does
    not run now."""
    refusal = engine.wanted(definition, push=push)
    if refusal is not None:
        return {"starts": "WAITS", "why": refusal.message}
    if hint(engine, definition, push=push):
        return {"starts": "NOW", "why": None}
    return {"starts": "NEXT_TICK", "why": "the queue of notices is away: the next schedule tick starts it"}
