"""One way to run a function for every trigger: invoke it, then deliver its output bindings."""

from collections.abc import Mapping
from typing import Protocol

from azure.functions import meta

from infra.local.host.indexing import Binding, Function
from infra.local.host.invocation import Invoker, Outcome


class Outputs(Protocol):
    """Where queue outputs go."""

    async def send(self, binding: Binding, datum: meta.Datum) -> None: ...


class Dispatcher:
    def __init__(self, invoker: Invoker, outputs: Outputs) -> None:
        self._invoker, self._outputs = invoker, outputs

    async def run(
        self, function: Function, trigger: meta.Datum, metadata: Mapping[str, meta.Datum] | None = None
    ) -> Outcome:
        """InvocationFailed from user code; whatever the queue service raises when an output cannot be sent."""
        outcome = await self._invoker.invoke(function, trigger, metadata)
        for binding in function.outputs:
            if binding.type == "queue" and binding.name in outcome.outputs:
                await self._outputs.send(binding, outcome.outputs[binding.name])
        returned = function.returned
        if returned is not None and returned.type == "queue" and outcome.value is not None:
            await self._outputs.send(returned, outcome.value)
        return outcome
