"""Connections to the queue service: which setting names one, and a client that Azurite understands."""

from collections.abc import Mapping

from azure.core.exceptions import AzureError
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from infra.local.host.errors import HostError

# azure-storage-queue 12.18 speaks 2026-10-06 by default, which Azurite up to 3.36 refuses with 400 unless it is started
# with --skipApiVersionCheck (github.com/Azure/Azurite/issues/2651); this version both know.
API_VERSION = "2025-11-05"
_DEVELOPMENT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"  # Azurite's
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)


class Connections:
    """``connection`` properties of bindings -> connection strings, out of the environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str) -> str:
        """``AzureWebJobs<name>`` counts too. HostError when there is none, or only an identity-based one."""
        for candidate in (f"AzureWebJobs{name}", name):
            value = self._environment.get(candidate)
            if value:
                return _DEVELOPMENT if value.strip().rstrip(";") == "UseDevelopmentStorage=true" else value
        if any(key.startswith((f"{name}__", f"AzureWebJobs{name}__")) for key in self._environment):
            raise HostError(
                f"The connection {name} is identity-based: the local host needs a connection string, "
                "for Azurite UseDevelopmentStorage=true or its full text."
            )
        raise HostError(
            f"The setting {name} holds no storage connection string: add it to Values in local.settings.json."
        )

    def queue(self, connection: str, name: str) -> QueueClient:
        return QueueClient.from_connection_string(self.text(connection), name, api_version=API_VERSION, retry_total=0)

    async def check(self, connection: str) -> None:
        """HostError, one sentence, when the queue service of a connection does not answer."""
        try:
            service = QueueServiceClient.from_connection_string(
                self.text(connection), api_version=API_VERSION, retry_total=0, connection_timeout=5, read_timeout=10
            )
        except ValueError:
            raise HostError(f"The setting {connection} is not a storage connection string.") from None
        try:
            async with service:
                async for _ in service.list_queues(results_per_page=1):
                    break
        except AzureError as error:
            raise HostError(
                f"The queue service of the connection {connection} does not answer ({type(error).__name__}): "
                "start Azurite, or correct the setting."
            ) from None
