"""Subscriptions and change notifications."""

from typing import Any

from infra.simulator.probe.ask import expect, same, status
from tests.conformance.checks import checks
from tests.conformance.world import World

MINUTE, HOUR = 60, 3600


def _wish(world: World, path: str, **changes: Any) -> dict[str, Any]:
    return {
        "changeType": "updated",
        "notificationUrl": world.listener.url,
        "resource": path.removeprefix("/"),
        "expirationDateTime": world.sim.time(30 * MINUTE * 60),
        "clientState": "shared secret",
        **changes,
    }


def _subscribe(world: World, path: str, **changes: Any) -> dict[str, Any]:
    return status(world.rig.post("/subscriptions", _wish(world, path, **changes)), 200, 201).json()


def _refused(world: World, **changes: Any) -> None:
    status(world.rig.post("/subscriptions", _wish(world, world.rig.new_list(), **changes)), 400)
    same(status(world.rig.get("/subscriptions"), 200).json()["value"], [], "subscriptions after a refusal")


def _change(world: World, path: str) -> str:
    return world.rig.add(path, Title="a")["id"]


@checks("SUB-CREATE")
def create(world: World) -> None:
    path = world.rig.new_list()
    wish = _wish(world, path)
    made = status(world.rig.post("/subscriptions", wish), 201).json()
    for member in ("changeType", "notificationUrl"):
        same(made[member], wish[member], member)
    expect(made["id"] and made["resource"].strip("/") == wish["resource"], f"resource {made['resource']}")
    expect(made["expirationDateTime"][:16] == wish["expirationDateTime"][:16], made["expirationDateTime"])


@checks("SUB-HANDSHAKE")
def handshake(world: World) -> None:
    _subscribe(world, world.rig.new_list())
    same(len(world.listener.handshakes), 1, "number of handshakes")
    seen = world.listener.handshakes[0]
    expect(seen.content_type.startswith("text/plain"), f"Content-Type {seen.content_type}")
    same(seen.body, b"", "body")
    same(world.listener.posts, [], "posts before any change")


@checks("SUB-HANDSHAKE-FAILS")
def handshake_fails(world: World) -> None:
    wrong_answers = ((200, "something else"), (500, ""), (404, "not here"))
    for answer in wrong_answers:
        world.listener.handshake = lambda _token, answer=answer: answer
        _refused(world)


@checks("SUB-HANDSHAKE-KEEPS-QUERY")
def keeps_query(world: World) -> None:
    _subscribe(world, world.rig.new_list(), notificationUrl=f"{world.listener.url}?code=abc%20d")
    same(world.listener.handshakes[0].query.get("code"), ["abc d"], "query of the notification URL")


@checks("SUB-CHANGE-TYPE")
def change_type(world: World) -> None:
    for kind in ("created", "deleted", "created,updated"):
        _refused(world, changeType=kind)


@checks("SUB-MAX-LIFE")
def max_life(world: World) -> None:
    _subscribe(world, world.rig.new_list(), expirationDateTime=world.sim.time(42_290 * MINUTE))
    answer = world.rig.post(
        "/subscriptions", _wish(world, world.rig.new_list(), expirationDateTime=world.sim.time(42_310 * MINUTE))
    )
    status(answer, 400)


@checks("SUB-PAST-EXPIRY")
def past_expiry(world: World) -> None:
    _refused(world, expirationDateTime=world.sim.time(-10 * MINUTE))


@checks("SUB-RELATIVE-RESOURCE")
def relative_resource(world: World) -> None:
    path = world.rig.new_list()
    _refused(world, resource=f"https://graph.microsoft.com/v1.0{path}")


@checks("SUB-UNKNOWN-LIST")
def unknown_list(world: World) -> None:
    resource = f"{world.rig.root}/lists/00000000-0000-4000-8000-000000004711".removeprefix("/")
    status(world.rig.post("/subscriptions", _wish(world, "", resource=resource)), 404)


@checks("SUB-CLIENT-STATE-LENGTH")
def client_state_length(world: World) -> None:
    _subscribe(world, world.rig.new_list(), clientState="x" * 128)
    status(world.rig.post("/subscriptions", _wish(world, world.rig.new_list(), clientState="x" * 129)), 400)


@checks("SUB-HTTPS")
def https(world: World) -> None:
    world.sim.knobs(allow_loopback_http=False)
    _refused(world)


@checks("SUB-NOTICE")
def notice(world: World) -> None:
    path = world.rig.new_list()
    made = _subscribe(world, path)
    _change(world, path)
    world.sim.advance(5 * MINUTE)
    world.sim.settle()
    posts = world.listener.posts
    expect(posts, "no notice within 5 minutes")
    seen = posts[0].notices[0]
    same([seen["subscriptionId"], seen["changeType"]], [made["id"], "updated"], "subscriptionId and changeType")
    expect({"subscriptionExpirationDateTime", "resource", "tenantId"} <= set(seen), f"members {sorted(seen)}")
    expect(
        path.removeprefix("/").lower() in seen["resource"].lower().replace("%2c", ","), f"resource {seen['resource']}"
    )


def _first_notice(world: World) -> tuple[dict[str, Any], str]:
    path = world.rig.new_list()
    _subscribe(world, path)
    item = _change(world, path)
    world.sim.advance(5 * MINUTE)
    world.sim.settle()
    posts = world.listener.posts
    expect(posts, "no notice within 5 minutes")
    return posts[0].notices[0], item


@checks("SUB-NOTICE-CLIENT-STATE")
def notice_client_state(world: World) -> None:
    same(_first_notice(world)[0].get("clientState"), "shared secret", "clientState")


@checks("SUB-NOTICE-NO-ITEM")
def notice_no_item(world: World) -> None:
    seen, _ = _first_notice(world)
    same(set(seen.get("resourceData") or {}) - {"@odata.type"}, set(), "members of resourceData")
    expect("/items/" not in seen["resource"], f"resource {seen['resource']}")


@checks("SUB-NOTICE-OWN-WRITES")
def own_writes(world: World) -> None:
    path = world.rig.new_list()
    _subscribe(world, path)
    _change(world, path)
    world.sim.advance(5 * MINUTE)
    world.sim.settle()
    expect(world.listener.posts, "the app's own write was not notified")


@checks("SUB-RETRY")
def retry(world: World) -> None:
    path = world.rig.new_list()
    world.listener.status = 500
    _subscribe(world, path)
    _change(world, path)
    world.sim.advance(5 * MINUTE)
    world.sim.settle()
    expect(world.listener.posts, "no notice")
    world.listener.status = 202
    for _ in range(12):
        world.sim.advance(10 * MINUTE)
        world.sim.settle()
        if len(world.listener.posts) >= 2:
            return
    expect(False, "a notice that was answered with 500 was not sent again within two hours")


@checks("SUB-RETRY-ENDS")
def retry_ends(world: World) -> None:
    path = world.rig.new_list()
    world.listener.status = 500
    _subscribe(world, path, expirationDateTime=world.sim.time(20_000 * MINUTE))
    _change(world, path)
    for _ in range(30):
        world.sim.advance(10 * MINUTE)
        world.sim.settle()
    tries = len(world.listener.posts)
    expect(tries >= 2, f"{tries} tries in five hours")
    for _ in range(30):
        world.sim.advance(HOUR)
        world.sim.settle()
    same(len(world.listener.posts), tries, "number of tries thirty hours later")


@checks("SUB-RENEW")
def renew(world: World) -> None:
    made = _subscribe(world, world.rig.new_list())
    later = world.sim.time(40_000 * MINUTE)
    body = status(world.rig.patch(f"/subscriptions/{made['id']}", {"expirationDateTime": later}), 200).json()
    same(body["expirationDateTime"][:16], later[:16], "expirationDateTime of the answer")
    read = status(world.rig.get(f"/subscriptions/{made['id']}"), 200).json()
    same(read["expirationDateTime"][:16], later[:16], "expirationDateTime of a read")


@checks("SUB-RENEW-MAX-LIFE")
def renew_max_life(world: World) -> None:
    made = _subscribe(world, world.rig.new_list())
    later = world.sim.time(42_310 * MINUTE)
    status(world.rig.patch(f"/subscriptions/{made['id']}", {"expirationDateTime": later}), 400)


@checks("SUB-EXPIRES")
def expires(world: World) -> None:
    path = world.rig.new_list()
    made = _subscribe(world, path, expirationDateTime=world.sim.time(30 * MINUTE))
    world.sim.advance(31 * MINUTE)
    status(world.rig.get(f"/subscriptions/{made['id']}"), 404)
    _change(world, path)
    world.sim.advance(10 * MINUTE)
    world.sim.settle()
    same(world.listener.posts, [], "posts after the end")


@checks("SUB-LIST-OWN")
def list_own(world: World) -> None:
    made = _subscribe(world, world.rig.new_list())
    same([one["id"] for one in status(world.rig.get("/subscriptions"), 200).json()["value"]], [made["id"]], "own")
    other = world.app("Sites.FullControl.All")
    same(status(other.get("/subscriptions"), 200).json()["value"], [], "subscriptions that another app sees")


@checks("SUB-DELETE")
def delete(world: World) -> None:
    path = world.rig.new_list()
    made = _subscribe(world, path)
    status(world.rig.delete(f"/subscriptions/{made['id']}"), 204)
    status(world.rig.get(f"/subscriptions/{made['id']}"), 404)
    _change(world, path)
    world.sim.advance(10 * MINUTE)
    world.sim.settle()
    same(world.listener.posts, [], "posts after the deletion")


@checks("SUB-LIFECYCLE-HANDSHAKE")
def lifecycle_handshake(world: World) -> None:
    lifecycle = world.listener.url.replace("/notices", "/lifecycle")
    _subscribe(world, world.rig.new_list(), lifecycleNotificationUrl=lifecycle)
    same(sorted(one.path for one in world.listener.handshakes), ["/lifecycle", "/notices"], "validated paths")


@checks("SUB-LIFECYCLE-AT-CREATION")
def lifecycle_at_creation(world: World) -> None:
    made = _subscribe(world, world.rig.new_list())
    body = {"expirationDateTime": made["expirationDateTime"], "lifecycleNotificationUrl": world.listener.url}
    world.rig.patch(f"/subscriptions/{made['id']}", body)
    read = status(world.rig.get(f"/subscriptions/{made['id']}"), 200).json()
    expect(not read.get("lifecycleNotificationUrl"), "lifecycleNotificationUrl was set by a PATCH")


@checks("SUB-REAUTHORIZE")
def reauthorize(world: World) -> None:
    made = _subscribe(world, world.rig.new_list())
    answer = status(world.rig.post(f"/subscriptions/{made['id']}/reauthorize"), 200, 202, 204)
    same(answer.content, b"", "body")
