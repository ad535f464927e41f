"""The JSON that a ``durableClient`` parameter gets, and the management addresses that answers carry.

Shape: HttpManagementPayload and BindingHelper.cs of the Durable extension.
"""

import json
from dataclasses import dataclass, field
from urllib.parse import quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where durable endpoints are: ``base`` for people (needs the key), ``rpc`` for the client in user code."""

    base: str
    rpc: str
    hub: str
    key: str = field(repr=False)

    def links(self, instance_id: str, origin: str | None = None) -> dict[str, str]:
        """The management payload of one instance."""
        quoted = quote(instance_id, safe="")
        path = f"{origin or self.base}/runtime/webhooks/durabletask/instances/{quoted}"
        code = f"taskHub={self.hub}&connection=Storage&code={self.key}"
        return {
            "id": instance_id,
            "statusQueryGetUri": f"{path}?{code}",
            "sendEventPostUri": f"{path}/raiseEvent/{{eventName}}?{code}",
            "terminatePostUri": f"{path}/terminate?reason={{text}}&{code}",
            "rewindPostUri": f"{path}/rewind?reason={{text}}&{code}",
            "purgeHistoryDeleteUri": f"{path}?{code}",
            "restartPostUri": f"{path}/restart?{code}",
            "suspendPostUri": f"{path}/suspend?reason={{text}}&{code}",
            "resumePostUri": f"{path}/resume?reason={{text}}&{code}",
        }

    def client_json(self) -> str:
        base = f"{self.base}/runtime/webhooks/durabletask"
        create = f"{base}/orchestrators/{{functionName}}[/{{instanceId}}]"
        return json.dumps(
            {
                "taskHubName": self.hub,
                "creationUrls": {
                    "createNewInstancePostUri": f"{create}?code={self.key}",
                    "createAndWaitOnNewInstancePostUri": (
                        f"{create}?timeout={{timeoutInSeconds}}&pollingInterval={{intervalInSeconds}}&code={self.key}"
                    ),
                },
                "managementUrls": self.links("INSTANCEID"),
                "baseUrl": base,
                "httpBaseUrl": base,
                "rpcBaseUrl": self.rpc,
                "requiredQueryStringParameters": f"code={self.key}",
            }
        )
