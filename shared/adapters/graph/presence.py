"""Whether the list is there at all: without that, a 404 says nothing about an item."""

from collections.abc import Callable
from typing import TypeVar

from shared.adapters.graph import urls
from shared.adapters.graph.answers import member
from shared.adapters.graph.client import RU_MULTI_READ, RU_SINGLE_READ, GraphClient
from shared.adapters.graph.parsing import page_of
from shared.core.definition import TargetList
from shared.core.errors import ConfigurationError, SyncError, Transient
from shared.core.items import Stopped, Unread

_T = TypeVar("_T")


class Presence:
    """Asks once per call whether the list is there: a 404 on an item proves nothing while the list may be gone."""

    def __init__(self, client: GraphClient, target: TargetList) -> None:
        self._client = client
        self._target = target
        self._known: Unread | Stopped | None = None
        self._asked = False

    def require(self) -> None:
        """Raises ListGone, PermissionMissing, Transient unless Graph shows the list."""
        address = urls.list_of(self._target.site_id, self._target.list_id).query({"$select": "id"})
        self._client.get(address, action="graph.list", ru=RU_SINGLE_READ)

    def absent(self, conclusion: Callable[[], _T]) -> _T | Unread | Stopped:
        """The conclusion from a 404, if the list is there."""
        if not self._asked:
            self._asked = True
            self._known = _tried(self.require)
        return self._known if self._known is not None else conclusion()

    def key_indexed(self, conclusion: Callable[[], _T]) -> _T | Unread | Stopped:
        """The conclusion from a 429 that names no wait, if the key column is indexed: then it is no threshold."""

        def check() -> None:
            options = {"$select": "name,indexed,hidden"}
            body = self._client.get(
                urls.columns(self._target.site_id, self._target.list_id).query(options),
                action="graph.columns",
                ru=RU_MULTI_READ,
            )
            for element in page_of(body):
                if member(element, "name") == self._target.key_column and member(element, "indexed") is not True:
                    raise unindexed(self._target)

        failure = _tried(check)
        return failure if failure is not None else conclusion()


def _tried(check: Callable[[], None]) -> Unread | Stopped | None:
    try:
        check()
    except Transient as error:
        return Unread(retry_after=error.retry_after)
    except SyncError as error:
        return Stopped(error=error)
    return None


def unindexed(target: TargetList) -> ConfigurationError:
    return ConfigurationError(
        f"The column {target.key_column} has no index, and the list has grown over the list view threshold of 5,000:"
        " items cannot be found by their key. Run the provisioning again, or index the column in the list's settings.",
        code="key_not_indexed",
    )
