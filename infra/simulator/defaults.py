"""What stands in a new data folder: the tenant contoso with sites, people and apps.

The secrets are no secrets: nothing real takes them.
"""

from infra.simulator.tenants import App, Grant, Tenant, stable_guid
from infra.simulator.world import World

TENANT_ID = "c0ffee00-0000-4000-8000-00000000c0de"
SYNC_APP = "5afe0000-0000-4000-8000-000000000001"
ADMIN_APP = "5afe0000-0000-4000-8000-00000000000a"
SELECTED_APP = "5afe0000-0000-4000-8000-00000000005e"
READ_APP = "5afe0000-0000-4000-8000-00000000004d"

# Client id, name, number as a lookup id, the word behind "simulator-" in its secret, roles.
_APPS: tuple[tuple[str, str, int, str, tuple[str, ...]], ...] = (
    (SYNC_APP, "SyncBridge", 20, "secret", ("Sites.ReadWrite.All", "Sites.Manage.All")),
    (ADMIN_APP, "Administrator", 21, "admin-secret", ("Sites.FullControl.All",)),
    (SELECTED_APP, "SyncBridge Selected", 22, "selected-secret", ("Sites.Selected",)),
    (READ_APP, "Reader", 23, "read-secret", ("Sites.Read.All",)),
)


def populate(world: World) -> None:
    """Make the default tenant."""
    apps = tuple(
        App(client_id=client_id, name=name, number=number, secret=f"simulator-{word}", roles=list(roles))
        for client_id, name, number, word, roles in _APPS
    )
    tenant = Tenant(
        id=TENANT_ID, name="contoso", hostname="contoso.sharepoint.com", apps={app.client_id: app for app in apps}
    )
    world.add_tenant(tenant)
    world.add_site(tenant=tenant, path="", title="Communication site")
    hr = world.add_site(tenant=tenant, path="/sites/hr", title="Human Resources")
    hr.grants.append(
        Grant(
            id=stable_guid("grant", SELECTED_APP), roles=["manage"], app_id=SELECTED_APP, app_name="SyncBridge Selected"
        )
    )
    world.save_site(hr)
    world.add_site(tenant=tenant, path="/sites/hr/onboarding", title="Onboarding", parent=hr)
    sales = world.add_site(tenant=tenant, path="/sites/sales", title="Sales", timezone="Europe/Berlin")
    world.add_list(sales, title="Documents", template="documentLibrary")
    world.add_site(tenant=tenant, path="/sites/field-team", title="Field Team", kind="team")
    world.add_site(tenant=tenant, path="/sites/field-team-planning", title="Field Team - Planning", kind="channel")
