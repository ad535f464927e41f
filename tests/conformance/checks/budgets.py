"""Resource units, budgets and the signs of throttling."""

from typing import Any

from infra.simulator.probe.ask import code, expect, inner_codes, same, status
from infra.simulator.probe.rig import Rig
from tests.conformance.checks import checks
from tests.conformance.world import World


def _cost(world: World, method: str, path: str, body: Any = None) -> int:
    before = world.sim.last_request()
    answer = world.rig.call(method, path, body)
    expect(answer.status_code < 300, f"{method} {path} answered {answer.status_code}")
    return sum(entry["ru"] for entry in world.sim.requests(before))


@checks("RU-READ-ONE")
def read_one(world: World) -> None:
    item = world.rig.add(world.rig.every(), Title="a")["id"]
    same(_cost(world, "GET", f"{world.rig.every()}/items/{item}?$expand=fields"), 1, "RU of one item")


@checks("RU-READ-MANY")
def read_many(world: World) -> None:
    same(_cost(world, "GET", f"{world.rig.every()}/items?$expand=fields"), 2, "RU of a page of items")


@checks("RU-WRITE")
def write(world: World) -> None:
    path = world.rig.new_list()
    same(_cost(world, "POST", f"{path}/items", {"fields": {"Title": "a"}}), 2, "RU of a creation")
    same(_cost(world, "PATCH", f"{path}/items/1/fields", {"Title": "b"}), 2, "RU of a change")
    same(_cost(world, "DELETE", f"{path}/items/1"), 2, "RU of a deletion")


@checks("RU-DELTA-WITH-TOKEN")
def delta(world: World) -> None:
    path = world.rig.new_list()
    _, link = world.rig.delta(f"{path}/items/delta")
    same(_cost(world, "GET", f"{path}/items/delta"), 2, "RU of delta without a token")
    same(_cost(world, "GET", link), 1, "RU of delta with a token")


@checks("RU-PERMISSIONS")
def permissions(world: World) -> None:
    same(_cost(world, "GET", f"{world.rig.root}/permissions"), 5, "RU of permissions")


@checks("RU-BATCH-SUM")
def batch_sum(world: World) -> None:
    every = f"{world.rig.every()}/items"
    requests = [{"id": str(number), "method": "GET", "url": every} for number in range(7)]
    same(_cost(world, "POST", "/$batch", {"requests": requests}), 14, "RU of seven pages in a batch")


def _spend(rig: Rig, units: int) -> list[int]:
    """Spend `units` (even) by reading pages, and give the statuses."""
    statuses: list[int] = []
    for start in range(0, units, 40):
        count = min(40, units - start) // 2
        requests = [{"id": str(number), "method": "GET", "url": f"{rig.root}/lists"} for number in range(count)]
        answer = status(rig.batch(*requests), 200, 429)
        statuses += (
            [one["status"] for one in answer.json()["responses"]] if answer.status_code == 200 else [429] * count
        )
    return statuses


@checks("RU-MINUTE-BUDGET")
def minute_budget(world: World) -> None:
    rig = world.throttled()
    rig.site()
    statuses = _spend(rig, 1240)
    expect(429 not in statuses, "throttled within 1,241 units of a minute")
    statuses = _spend(rig, 60)
    expect(429 in statuses, "not throttled after 1,300 units of a minute")


@checks("RU-DAY-BUDGET")
def day_budget(world: World) -> None:
    rig = world.throttled(ru_per_minute=1_000_000, ru_per_day=400, ru_tenant=10_000_000)
    rig.site()
    expect(429 not in _spend(rig, 380), "throttled within the day's budget")
    expect(429 in _spend(rig, 40), "not throttled over the day's budget")
    world.sim.advance(3600)
    status(rig.get(rig.root), 429)
    world.sim.advance(24 * 3600)
    rig.token(fresh=True)
    status(rig.get(rig.root), 200)


@checks("RU-TIER")
def tier(world: World) -> None:
    rig = world.throttled(licences=1_001)
    rig.site()
    expect(429 not in _spend(rig, 2_480), "throttled within 2,480 units of a minute")
    expect(429 in _spend(rig, 60), "not throttled over 2,500 units of a minute")


@checks("RU-RETRY-AFTER")
def retry_after(world: World) -> None:
    rig = world.throttled(ru_per_minute=40)
    rig.site()
    _spend(rig, 60)
    answer = status(rig.get(rig.root), 429)
    after = answer.headers.get("Retry-After", "")
    expect(after.isdecimal() and 0 < int(after) <= 600, f"Retry-After {after!r}")
    world.sim.advance(int(after) + 1)
    status(rig.get(rig.root), 200)


@checks("RU-HEADERS-FROM-80")
def headers_from_80(world: World) -> None:
    rig = world.throttled(ru_per_minute=100)
    rig.site()
    seen = []
    for spent in range(2, 99):
        headers = status(rig.get(rig.root), 200).headers
        shown = {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"} & {
            name for name in ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset") if name in headers
        }
        seen.append((spent, len(shown)))
    expect(all(count == 0 for spent, count in seen if spent < 78), f"headers before 80 percent: {seen}")
    expect(all(count == 3 for spent, count in seen if spent > 82), f"headers after 80 percent: {seen}")


@checks("RU-HEADERS-ON-429")
def headers_on_429(world: World) -> None:
    rig = world.throttled(ru_per_minute=40)
    rig.site()
    _spend(rig, 60)
    same(status(rig.get(rig.root), 429).headers.get("RateLimit-Remaining"), "0", "RateLimit-Remaining")


@checks("RU-THROTTLED-CHARGED")
def throttled_charged(world: World) -> None:
    rig = world.throttled(ru_per_minute=100, ru_per_day=200)
    rig.site()
    _spend(rig, 120)
    _spend(rig, 120)
    world.sim.advance(600)
    status(rig.get(rig.root), 429)


@checks("RU-APPS-APART")
def apps_apart(world: World) -> None:
    rig = world.throttled(ru_per_minute=40)
    rig.site()
    other = world.app("Sites.FullControl.All", tenant_of=rig)
    _spend(rig, 60)
    status(rig.get(rig.root), 429)
    status(other.get(rig.root), 200)


@checks("RU-TENANT-BUDGET")
def tenant_budget(world: World) -> None:
    rig = world.throttled(ru_per_minute=100_000, ru_tenant=200)
    rig.site()
    other = world.app("Sites.FullControl.All", tenant_of=rig)
    expect(429 not in _spend(rig, 160), "throttled within the tenant's budget")
    other.site()
    expect(429 in _spend(other, 80), "not throttled over the tenant's budget")


@checks("RU-429-BODY")
def body_429(world: World) -> None:
    rig = world.throttled(ru_per_minute=40)
    rig.site()
    _spend(rig, 60)
    answer = status(rig.get(rig.root), 429)
    same(code(answer), "activityLimitReached", "error.code")
    expect("throttledRequest" in inner_codes(answer), f"inner codes {inner_codes(answer)}")


@checks("BATCH-INNER-429")
def inner_429(world: World) -> None:
    rig = world.throttled(ru_per_minute=20)
    rig.site()
    requests = [{"id": str(number), "method": "GET", "url": f"{rig.root}/lists"} for number in range(20)]
    responses = status(rig.batch(*requests), 200).json()["responses"]
    throttled = [one for one in responses if one["status"] == 429]
    expect(throttled and len(throttled) < 20, f"{len(throttled)} of 20 requests were throttled")
    for one in throttled:
        headers = {name.lower(): value for name, value in one["headers"].items()}
        expect(str(headers.get("retry-after", "")).isdecimal(), f"inner headers {headers}")
