"""Lets Microsoft's own worker library index a function app, and prints what it found as JSON.

    python worker_library.py WORKER_DIRECTORY APP_DIRECTORY

The real host does this through gRPC; ``protos`` is what the library gets injected in place of the protobuf classes. A
refusal is printed too: ``{"refused": "…"}``.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def main(worker: str, app: str) -> dict[str, Any]:
    sys.path[:0] = [app, worker]
    from azure_functions_runtime import handle_event
    from azure_functions_runtime.bindings.meta import load_binding_registry

    handle_event.protos = SimpleNamespace(
        BindingInfo=_BindingInfo, RpcFunctionMetadata=SimpleNamespace, RpcRetryOptions=SimpleNamespace
    )
    load_binding_registry()
    try:
        found = handle_event.index_functions(str(Path(app) / "function_app.py"), app)
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {error}"}
    return {one.name: sorted(json.loads(raw)["type"] for raw in one.raw_bindings) for one in found or []}


class _BindingInfo(SimpleNamespace):
    """Numbers as in FunctionRpc.proto; azure-functions' BindingDirection has the same."""

    out, inout, undefined = 1, 2, None


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
