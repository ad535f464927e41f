"""The operations that start runs, for the API's document: functions of their own, for starting takes the durable client."""

from typing import Any

_RUN = {
    "run_id": {"type": "string", "format": "uuid"},
    "run_type": {"type": "string", "enum": ["PUSH", "INGRESS"]},
    "already_running": {"type": "boolean"},
    "status_url": {"type": "string"},
    "orchestration": {
        "type": ["object", "null"],
        "description": "null: the host did not start it; the schedule tick will.",
        "properties": {
            "id": {"type": "string"},
            "status_url": {"type": "string"},
            "terminate_url": {"type": "string"},
        },
    },
}
_DEFINITION = {"name": "definition_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
_DIRECTION = {
    "name": "direction",
    "in": "query",
    "required": False,
    "description": "push: from the table; ingress: from the list; both: a run of each, side by side.",
    "schema": {"type": "string", "enum": ["push", "ingress", "both"], "default": "both"},
}
_STARTED = {
    "202": {
        "description": "Each run is queued, or was under way. The members at the top, and Location, are the first run's.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["definition_id", "runs", *_RUN],
                    "properties": {
                        "definition_id": {"type": "string", "format": "uuid"},
                        **_RUN,
                        "runs": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "object", "required": list(_RUN), "properties": _RUN},
                        },
                    },
                }
            }
        },
    }
}


def _operation(summary: str, description: str, name: str, *parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "post": {
            "tags": ["runs"],
            "summary": summary,
            "description": description,
            "operationId": name,
            "parameters": [_DEFINITION, *parameters],
            "responses": _STARTED,
        }
    }


MANUAL_RUNS: dict[str, Any] = {
    "/api/v1/ops/sync/{definition_id}": _operation(
        "Start runs",
        "Starts a push, an ingress, or both of one definition now. While one is under way it answers with that one.",
        "start_run",
        _DIRECTION,
    ),
    "/api/v1/ops/ingress/{definition_id}": _operation(
        "Read the list now",
        "Reads the list's changes now. A table that is only pushed is not written to: what people changed is written back.",
        "start_ingress",
    ),
}
