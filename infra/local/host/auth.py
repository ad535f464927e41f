"""Keys of the host: who may call a function, the admin API and the durable management API.

The real host enforces keys in Azure and not under ``func start``. This one enforces them, so that what is tested here
is what runs there.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from infra.local.host.state import StateFile

Level = Literal["anonymous", "function", "admin", "system"]
DROPPED_HEADERS = "x-ms-client-principal"  # a prefix; only Easy Auth may set these, and here there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """``function`` opens all functions, ``system`` the durable endpoints, ``master`` everything."""

    master: str = field(repr=False)
    function: str = field(repr=False)
    system: str = field(repr=False)
    enforced: bool = True

    def allows(self, level: Level, presented: str | None) -> bool:
        if level == "anonymous" or not self.enforced:
            return True
        good = {"function": (self.master, self.function), "system": (self.master, self.system), "admin": (self.master,)}
        given = (presented or "").encode()
        return any(hmac.compare_digest(given, key.encode()) for key in good[level])


def load_keys(state: StateFile, environment: Mapping[str, str], *, enforced: bool) -> Keys:
    """Keys from LOCAL_HOST_MASTER_KEY, LOCAL_HOST_FUNCTION_KEY and LOCAL_HOST_SYSTEM_KEY, else random and kept."""

    def key(name: str) -> str:
        return environment.get(f"LOCAL_HOST_{name.upper()}_KEY") or state.secret(name)

    return Keys(master=key("master"), function=key("function"), system=key("system"), enforced=enforced)


def level_of(text: object) -> Level:
    """``authLevel`` of an HTTP trigger; without one it is function, as in the real host."""
    match str(text or "function").lower():
        case "anonymous":
            return "anonymous"
        case "admin" | "system":
            return "admin"
        case _:
            return "function"
