"""What time, people and size do to a list."""

from infra.simulator.probe.ask import code, expect, inner_codes, same, status
from infra.simulator.probe.rig import PREFER, text
from tests.conformance.checks import checks
from tests.conformance.world import World

DAY = 86_400


@checks("ITEM-MODIFIED-MOVES")
def modified_moves(world: World) -> None:
    item = world.rig.add(world.rig.every(), Title="a")
    path = f"{world.rig.every()}/items/{item['id']}"
    world.sim.advance(90)
    status(world.rig.patch(f"{path}/fields", {"Title": "b"}), 200)
    after = status(world.rig.get(path), 200).json()
    same(after["createdDateTime"], item["createdDateTime"], "createdDateTime")
    expect(after["lastModifiedDateTime"] > item["lastModifiedDateTime"], "lastModifiedDateTime did not move")


@checks("FILTER-THRESHOLD")
def threshold(world: World) -> None:
    same(world.sim.knob("threshold"), 5000, "threshold by default")
    world.sim.knobs(threshold=10)
    path = world.rig.new_list(text("Plain"))
    query = f"{path}/items?$filter=fields/Plain eq 'x'"
    for _ in range(10):
        world.rig.add(path, Plain="x")
    status(world.rig.get(query, headers=PREFER), 200)
    world.rig.add(path, Plain="x")
    for _ in range(2):
        answer = status(world.rig.get(query, headers=PREFER), 429)
        same(code(answer), "activityLimitReached", "error.code")
        expect("throttledRequest" in inner_codes(answer), f"inner codes {inner_codes(answer)}")
        world.sim.advance(600)


def _old_link(world: World) -> str:
    path = world.rig.new_list()
    world.rig.add(path, Title="a")
    _, link = world.rig.delta(f"{path}/items/delta")
    world.sim.advance(59 * DAY)
    world.rig.token(fresh=True)
    status(world.rig.get(link), 200)
    world.sim.advance(2 * DAY)
    world.rig.token(fresh=True)
    return link


@checks("DELTA-EXPIRES")
def delta_expires(world: World) -> None:
    status(world.rig.get(_old_link(world)), 410)


@checks("DELTA-410-CODE")
def delta_410_code(world: World) -> None:
    answer = status(world.rig.get(_old_link(world)), 410)
    wanted = {"resyncChangesApplyDifferences", "resyncChangesUploadDifferences"}
    expect(wanted & {code(answer), *inner_codes(answer)}, f"codes {code(answer)} {inner_codes(answer)}")


@checks("DELTA-410-LOCATION")
def delta_410_location(world: World) -> None:
    answer = status(world.rig.get(_old_link(world)), 410)
    entries, _ = world.rig.delta(answer.headers.get("Location", "/no-location"))
    same([one["id"] for one in entries], ["1"], "ids of the new enumeration")


@checks("DELTA-RESTORED")
def delta_restored(world: World) -> None:
    path = world.rig.new_list()
    item = world.rig.add(path, Title="a")["id"]
    _, link = world.rig.delta(f"{path}/items/delta")
    status(world.rig.delete(f"{path}/items/{item}"), 204)
    entries, link = world.rig.delta(link)
    expect([one["id"] for one in entries] == [item] and "deleted" in entries[0], f"entries after the delete: {entries}")
    world.sim.restore(path, item)
    entries, _ = world.rig.delta(link)
    expect([one["id"] for one in entries] == [item] and "deleted" not in entries[0], f"after the restore: {entries}")


@checks("VER-RECYCLED-LEAVES")
def recycled(world: World) -> None:
    path = world.rig.new_list()
    item = world.rig.add(path, Title="a")["id"]
    status(world.rig.delete(f"{path}/items/{item}"), 204)
    same(status(world.rig.get(f"{path}/items"), 200).json()["value"], [], "items after the delete")
    world.sim.restore(path, item)
    same(len(status(world.rig.get(f"{path}/items"), 200).json()["value"]), 1, "items after the restore")


@checks("VER-RESTORE-SAME-ID")
def restore_same_id(world: World) -> None:
    path = world.rig.new_list()
    item = world.rig.add(path, Title="kept")["id"]
    world.rig.add(path, Title="other")
    status(world.rig.delete(f"{path}/items/{item}"), 204)
    world.sim.restore(path, item)
    same(world.rig.read(path, item)["Title"], "kept", "Title")
