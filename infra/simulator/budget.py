"""Resource units: what a call costs, what is left, and when to refuse.

Source: learn.microsoft.com, "Avoid getting throttled or blocked in SharePoint Online". Windows are fixed: the minute,
the five minutes and the day that the clock is in. Refused calls are charged too, as the page says.
"""

from dataclasses import dataclass

from infra.simulator.knobs import Knobs
from infra.simulator.switchboard import Switchboard
from infra.simulator.tenants import Tenant

MINUTE, FIVE_MINUTES, DAY = 60, 300, 86_400


def cost(method: str, path: list[str], options: dict[str, str]) -> int:
    """Units of one Graph call. `path` is decoded segments, `options` query options without `$`."""
    lowered = [part.lower() for part in path]
    if "permissions" in lowered or "permissions" in options.get("expand", "").lower():
        return 5
    if method != "GET":
        return 2
    last = lowered[-1] if lowered else ""
    if last.split("(")[0].endswith("delta"):
        return 1 if options.get("token", "latest" if "token=" in last else "") else 2
    collections = (
        "sites",
        "lists",
        "items",
        "columns",
        "versions",
        "subscriptions",
        "contenttypes",
        "getallsites",
        "getallsites()",
    )
    many = last in collections or "items" in options.get("expand", "").lower()
    return 2 if many else 1


@dataclass(slots=True)
class _Window:
    length: int
    number: int = 0
    used: int = 0

    def add(self, now: float, units: int) -> int:
        number = int(now // self.length)
        if number != self.number:
            self.number, self.used = number, 0
        self.used += units
        return self.used

    def reset_in(self, now: float) -> int:
        return max(1, int((int(now // self.length) + 1) * self.length - now + 0.999))


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What one call meant for the budget; `refused` names the limit that was passed, or is empty."""

    units: int
    refused: str = ""
    retry_after: int = 0
    limit: int = 0
    remaining: int = 0
    reset: int = 0
    near: bool = False


class Budget:
    def __init__(self, knobs: Knobs, rules: Switchboard) -> None:
        self._knobs = knobs
        self._rules = rules
        self._minutes: dict[tuple[str, str], _Window] = {}
        self._days: dict[tuple[str, str], _Window] = {}
        self._tenants: dict[str, _Window] = {}
        self.free = False  # nothing is charged while this is set

    def charge(self, tenant: Tenant, app: str, units: int, now: float) -> Charge:
        minute = self._minutes.setdefault((tenant.id, app), _Window(MINUTE))
        day = self._days.setdefault((tenant.id, app), _Window(DAY))
        whole = self._tenants.setdefault(tenant.id, _Window(FIVE_MINUTES))
        holds = self._rules.holds
        per_minute, per_day, per_tenant = tenant.limits(tiered=holds("RU-TIER"))
        if self.free:
            return Charge(units=0)
        used = minute.add(now, units)
        used_day, used_whole = day.add(now, units), whole.add(now, units)
        limit, remaining, reset = per_minute, max(0, per_minute - used), minute.reset_in(now)
        near = used >= per_minute * float(self._knobs["ratelimit_share"])
        refused, wait = "", 0
        if self._knobs["throttling"]:
            if used > per_minute and holds("RU-MINUTE-BUDGET"):
                refused, wait = "minute", reset
            elif used_day > per_day and holds("RU-DAY-BUDGET"):
                refused, wait = "day", day.reset_in(now)
            elif used_whole > per_tenant and holds("RU-TENANT-BUDGET"):
                refused, wait = "tenant", whole.reset_in(now)
        if refused and not holds("RU-THROTTLED-CHARGED"):
            for window in (minute, day, whole):
                window.used -= units
        return Charge(
            units=units, refused=refused, retry_after=wait, limit=limit, remaining=remaining, reset=reset, near=near
        )

    def state(self) -> list[dict[str, object]]:
        """Units used in the current windows, for people and tests."""
        return [
            {"tenant": tenant, "app": app, "minute": window.used, "day": self._days[tenant, app].used}
            for (tenant, app), window in self._minutes.items()
        ]

    def saved(self) -> list[list[object]]:
        """The daily counters: the one window long enough to matter over a restart."""
        return [[tenant, app, window.number, window.used] for (tenant, app), window in self._days.items()]

    def restore(self, rows: list[list[object]]) -> None:
        for tenant, app, number, used in rows:
            self._days[str(tenant), str(app)] = _Window(DAY, int(str(number)), int(str(used)))

    def clear(self) -> None:
        self._minutes.clear()
        self._days.clear()
        self._tenants.clear()
