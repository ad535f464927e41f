"""The request log: what was asked, what was answered, what it cost. Bounded; never holds bodies, tokens or values."""

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from infra.simulator.knobs import Knobs


@dataclass(slots=True, kw_only=True)
class Entry:
    seq: int
    time: str
    method: str
    path: str
    status: int = 0
    ru: int = 0
    app: str = ""
    user_agent: str = ""
    if_match: bool = False
    fault: str = ""

    duration_ms: float = 0.0
    inner: list[dict[str, Any]] = field(default_factory=list)


class Journal:
    def __init__(self, knobs: Knobs) -> None:
        self._knobs = knobs
        self._entries: deque[Entry] = deque()
        self._seq = 0

    def open(self, *, time: str, method: str, path: str) -> Entry:
        self._seq += 1
        return Entry(seq=self._seq, time=time, method=method, path=path)

    def close(self, entry: Entry) -> None:
        self._entries.append(entry)
        while len(self._entries) > int(self._knobs["request_log_size"]):
            self._entries.popleft()

    def since(self, seq: int, *, list_id: str = "", limit: int = 1000) -> list[dict[str, Any]]:
        """Entries after `seq`, oldest first; `list_id` keeps those whose path, or an inner path, names it."""
        found: list[dict[str, Any]] = []
        for entry in self._entries:
            if entry.seq <= seq or (list_id and not _names(entry, list_id)):
                continue
            found.append(asdict(entry))
            if len(found) == limit:
                break
        return found

    def last(self, count: int) -> list[Entry]:
        return list(self._entries)[-count:][::-1]

    @property
    def seq(self) -> int:
        return self._seq

    def clear(self) -> None:
        self._entries.clear()


def _names(entry: Entry, list_id: str) -> bool:
    return list_id in entry.path or any(list_id in inner["path"] for inner in entry.inner)
