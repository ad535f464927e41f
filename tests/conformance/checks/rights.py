"""Tokens, roles and grants."""

from infra.simulator.probe.ask import code, expect, same, status
from tests.conformance.checks import checks
from tests.conformance.world import World

READ, WRITE, MANAGE = "Sites.Read.All", "Sites.ReadWrite.All", "Sites.Manage.All"


def _denied(answer) -> None:
    same(code(status(answer, 403)), "accessDenied", "error.code")


@checks("AUTH-TOKEN-EXPIRES")
def token_expires(world: World) -> None:
    token = world.rig.token()
    status(world.rig.get("/sites/root", token=token), 200)
    world.sim.advance(5401)
    same(code(status(world.rig.get("/sites/root", token=token), 401)), "InvalidAuthenticationToken", "error.code")


@checks("AUTH-ROLE-READ-ONLY")
def read_only(world: World) -> None:
    items = f"{world.rig.every()}/items"
    reader = world.app(READ)
    status(reader.get(items), 200)
    _denied(reader.post(items, {"fields": {"Title": "a"}}))


@checks("AUTH-ROLE-MANAGE-LISTS")
def manage_lists(world: World) -> None:
    path = world.rig.new_list()
    writer = world.app(WRITE)
    status(writer.post(f"{path}/items", {"fields": {"Title": "a"}}), 201)
    _denied(writer.post(f"{world.rig.root}/lists", {"displayName": "not for a writer"}))
    _denied(writer.post(f"{path}/columns", {"name": "Extra", "text": {}}))
    status(world.app(MANAGE).post(f"{path}/columns", {"name": "Extra", "text": {}}), 201)


@checks("AUTH-SELECTED-NEEDS-GRANT")
def needs_grant(world: World) -> None:
    selected = world.app("Sites.Selected")
    _denied(selected.get(f"{world.rig.every()}/items"))
    world.grant(selected, world.rig.root, "read")
    status(selected.get(f"{world.rig.every()}/items"), 200)


@checks("AUTH-SELECTED-READ-GRANT")
def read_grant(world: World) -> None:
    selected, items = world.app("Sites.Selected"), f"{world.rig.every()}/items"
    world.grant(selected, world.rig.root, "read")
    _denied(selected.post(items, {"fields": {"Title": "a"}}))
    world.grant(selected, world.rig.root, "write")
    status(selected.post(items, {"fields": {"Title": "a"}}), 201)


@checks("AUTH-SELECTED-ONE-SITE")
def one_site(world: World) -> None:
    selected = world.app("Sites.Selected")
    world.grant(selected, world.rig.root, "read")
    status(selected.get(f"{world.rig.root}/lists"), 200)
    _denied(selected.get(f"/sites/{world.other_site()}/lists"))


@checks("AUTH-SELECTED-NO-SEARCH")
def no_search(world: World) -> None:
    selected = world.app("Sites.Selected")
    world.grant(selected, world.rig.root, "read")
    _denied(selected.get("/sites?search=a"))
    _denied(selected.get("/sites/getAllSites"))


@checks("AUTH-GRANT-REVOKED")
def grant_revoked(world: World) -> None:
    selected = world.app("Sites.Selected")
    grant = world.grant(selected, world.rig.root, "read")
    status(selected.get(f"{world.rig.root}/lists"), 200)
    status(world.rig.delete(f"{world.rig.root}/permissions/{grant}"), 204)
    _denied(selected.get(f"{world.rig.root}/lists"))


@checks("AUTH-ROLES-IN-TOKEN")
def roles_in_token(world: World) -> None:
    rig = world.app(READ)
    items = f"{world.rig.every()}/items"
    status(rig.get(items), 200)
    world.set_roles(rig, WRITE)
    _denied(rig.post(items, {"fields": {"Title": "a"}}))
    rig.token(fresh=True)
    status(rig.post(items, {"fields": {"Title": "a"}}), 201)


@checks("SITE-SUBSITE-GRANT-REFUSED")
def subsite_grant(world: World) -> None:
    body = {
        "roles": ["write"],
        "grantedToIdentities": [{"application": {"id": world.rig.login.client_id, "displayName": "app"}}],
    }
    answer = world.rig.post(f"/sites/{world.subsite()}/permissions", body)
    expect(answer.status_code >= 400, f"answered {answer.status_code}")
    same(code(answer), "notSupported", "error.code")
