"""Storage queues, as the senders of durable hints and changes see them.

Messages go out as base64, which Functions' queue triggers expect (host.json, messageEncoding) and without which one
control character makes a page of messages unreadable. They never run out.
Limits: https://learn.microsoft.com/en-us/rest/api/storageservices/put-message (64 KiB of text as sent, so 48 KiB before base64).
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from shared.core.errors import ConfigurationError, InvariantViolated, PermissionMissing, QueueUnavailable

MAX_BYTES = 49_152
"""Of a message before base64."""
# The newest version that Azurite 3.35 knows: by default the SDK asks for one that it refuses
# (github.com/Azure/Azurite/issues/2651). Azure keeps serving old versions.
API_VERSION = "2025-11-05"
# A sender that holds something has to know in time that a queue is away; a webhook answers before this is over.
_CONNECT_SECONDS, _READ_SECONDS = 2.0, 3.0
_NEVER = -1
_DEVELOPMENT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"  # Azurite's, public
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)


class StorageQueues:
    """Satisfies the port Queue. For many threads; nothing is connected before the first message.

    `connection`: a storage connection string, or UseDevelopmentStorage=true. `service`: the queue service's https URL;
    with it `credential` is asked for the process' own identity, and `connection` is not looked at. The SDK loads at
    first use."""

    def __init__(self, connection: str, *, service: str = "", credential: Callable[[], Any] | None = None) -> None:
        self._connection, self._service, self._credential = connection, service, credential
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def put(self, name: str, message: str, *, delay: float = 0.0) -> None:
        """Raises QueueUnavailable (it may be in the queue all the same), ConfigurationError, PermissionMissing."""
        from azure.core.exceptions import ResourceNotFoundError

        size = len(message.encode())
        if size > MAX_BYTES:
            raise InvariantViolated(f"a message of {size:,} bytes for queue {name}: it has at most {MAX_BYTES:,}")
        client = self._client(name)
        with _translated(name, "took no message"):
            try:
                client.send_message(message, time_to_live=_NEVER, visibility_timeout=math.ceil(delay))
            except ResourceNotFoundError:  # nobody has sent anything to it yet
                _create(client)
                client.send_message(message, time_to_live=_NEVER, visibility_timeout=math.ceil(delay))

    def depth(self, name: str) -> int:
        """About how many messages wait; a queue that nobody has sent to has none. Raises as `put` does."""
        from azure.core.exceptions import ResourceNotFoundError

        client = self._client(name)
        with _translated(name, "did not say how long it is"):
            try:
                return int(client.get_queue_properties().approximate_message_count or 0)
            except ResourceNotFoundError:
                return 0

    def close(self) -> None:
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _client(self, name: str) -> Any:
        with self._lock:
            client = self._clients.get(name)
            if client is None:
                client = self._clients[name] = self._made(name)
            return client

    def _made(self, name: str) -> Any:
        from azure.storage.queue import QueueClient, TextBase64EncodePolicy

        options: dict[str, Any] = {
            "api_version": API_VERSION,
            "message_encode_policy": TextBase64EncodePolicy(),
            "retry_total": 0,  # whoever sends knows how often it is worth another try
            "connection_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
        }
        if self._service:
            assert self._credential is not None, "an identity comes with the service's URL"  # noqa: S101
            return QueueClient(self._service, name, self._credential(), **options)
        text = self._connection
        if text.strip().rstrip(";").lower() == "usedevelopmentstorage=true":
            text = _DEVELOPMENT
        try:
            return QueueClient.from_connection_string(text, name, **options)
        except ValueError:  # its text may hold the key
            raise ConfigurationError(
                "SYNCBRIDGE_QUEUE_CONNECTION is no storage connection string: it looks like "
                "DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…, or UseDevelopmentStorage=true",
                code="queue_connection",
            ) from None


@contextmanager
def _translated(name: str, what: str) -> Iterator[None]:
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

    try:
        yield
    except ClientAuthenticationError:
        raise PermissionMissing(
            f"the queue service refused this application at queue {name}",
            code="queue_refused",
            remedy="give its identity the role Storage Queue Data Contributor on the account, or correct the key in "
            "SYNCBRIDGE_QUEUE_CONNECTION",
        ) from None
    except HttpResponseError as error:
        if error.status_code == 403:
            raise PermissionMissing(
                f"this application may not use queue {name}",
                code="queue_refused",
                remedy="give its identity the role Storage Queue Data Contributor on the account",
            ) from None
        raise QueueUnavailable(f"queue {name} {what}: HTTP {error.status_code}") from None
    except AzureError as error:  # its text holds addresses
        raise QueueUnavailable(f"queue {name} {what}: {type(error).__name__}") from None


def _create(client: Any) -> None:
    from azure.core.exceptions import ResourceExistsError

    try:
        client.create_queue()
    except ResourceExistsError:  # another sender was first
        return
