"""What a process brings along: its clock, its random ids, its own identity."""

import functools
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from shared.core.errors import ConfigurationError


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class RandomIds:
    """Random UUIDs."""

    def uuid(self) -> UUID:
        return uuid4()


def identity_token(audience: str) -> str:
    """A token of this process' own identity (managed identity, workload identity, or a developer's sign-in).

    Raises ConfigurationError when it has none."""
    from azure.core.exceptions import ClientAuthenticationError

    try:
        return str(own_credential().get_token(f"{audience}/.default").token)
    except ClientAuthenticationError:  # its message lists what was tried, addresses of the platform among it
        raise ConfigurationError(
            f"this process has no identity that gets a token for {audience}: give the app a managed identity, or choose "
            "PASSWORD",
            code="no_identity",
        ) from None


@functools.cache
def own_credential() -> Any:
    """One per process: it keeps the tokens that it was given until they run out."""
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()
