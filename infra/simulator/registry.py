"""Tenants as the control surface takes and shows them."""

from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from infra.simulator.auth import GRANT_LEVELS
from infra.simulator.errors import Unfit
from infra.simulator.tenants import App, Grant, Site, Tenant, User, stable_guid
from infra.simulator.world import World

_TENANT_MEMBERS = frozenset(
    {
        "id",
        "name",
        "hostname",
        "licences",
        "ru_per_minute",
        "ru_per_day",
        "ru_tenant",
        "multiplier",
        "blocked",
        "apps",
        "sites",
    }
)
_APP_MEMBERS = frozenset({"client_id", "secret", "name", "roles", "thumbprints", "certificates", "federated"})
_SITE_MEMBERS = frozenset(
    {"path", "title", "timezone", "grants", "users", "read_only", "gone", "description", "kind", "parent"}
)


class Registry:
    def __init__(self, world: World) -> None:
        self._world = world

    def all(self) -> list[dict[str, Any]]:
        return [self._shown(tenant) for tenant in self._world.tenants.values()]

    def put(self, body: dict[str, Any]) -> dict[str, Any]:
        """Create a tenant or change what the body names. Raises ValueError and changes nothing."""
        _known("a tenant", body, _TENANT_MEMBERS)
        for app in body.get("apps", []):
            _known("an app", app, _APP_MEMBERS)
            if not isinstance(app.get("client_id"), str):
                raise Unfit("an app needs a client_id")
        for site in body.get("sites", []):
            self._check_site(site)
        tenant = self._tenant(body)
        for name in (
            "name",
            "hostname",
            "licences",
            "ru_per_minute",
            "ru_per_day",
            "ru_tenant",
            "multiplier",
            "blocked",
        ):
            if name in body:
                setattr(tenant, name, _checked(name, body[name]))
        for app in body.get("apps", []):
            self._put_app(tenant, app)
        self._world.add_tenant(tenant)
        for site in body.get("sites", []):
            self._put_site(tenant, site)
        return self._shown(tenant)

    def _tenant(self, body: dict[str, Any]) -> Tenant:
        tenant_id, name = body.get("id"), body.get("name")
        found = self._world.tenants.get(str(tenant_id).lower()) or next(
            (t for t in self._world.tenants.values() if t.name == name), None
        )
        if found is not None:
            return found
        if not isinstance(name, str) or not name:
            raise Unfit("a new tenant needs a name")
        tenant = Tenant(
            id=str(tenant_id or stable_guid("tenant", name)).lower(), name=name, hostname=f"{name}.sharepoint.com"
        )
        self._world.add_tenant(tenant)
        self._world.add_site(tenant=tenant, path="", title=f"{name} root")
        return tenant

    @staticmethod
    def _put_app(tenant: Tenant, body: dict[str, Any]) -> None:
        client_id = body["client_id"].lower()
        app = tenant.apps.get(client_id) or App(client_id=client_id, name=client_id, number=20 + len(tenant.apps))
        for name in _APP_MEMBERS - {"client_id"}:
            if name in body:
                setattr(app, name, body[name])
        tenant.apps[client_id] = app

    def _check_site(self, body: dict[str, Any]) -> None:
        _known("a site", body, _SITE_MEMBERS)
        if not isinstance(body.get("path"), str) or (body["path"] and not body["path"].startswith("/")):
            raise Unfit('a site needs a path such as "/sites/hr"; "" is the root site')
        if "timezone" in body:
            try:
                ZoneInfo(str(body["timezone"]))
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise Unfit(f"{body['timezone']} is no time zone") from None
        for grant in body.get("grants", []):
            if (
                not isinstance(grant, dict)
                or not isinstance(grant.get("client_id"), str)
                or not set(grant.get("roles", [])) <= set(GRANT_LEVELS)
            ):
                raise Unfit(f"a grant needs a client_id and roles out of {', '.join(GRANT_LEVELS)}")

    def _put_site(self, tenant: Tenant, body: dict[str, Any]) -> None:
        world = self._world
        path = body["path"].rstrip("/")
        found = next(
            (site for site in world.sites.values() if site.tenant == tenant.id and site.path.lower() == path.lower()),
            None,
        )
        if found is None:
            parent = world.site_by_path(tenant, body["parent"]) if "parent" in body else None
            found = world.add_site(
                tenant=tenant,
                path=path,
                title=str(body.get("title", path or tenant.name)),
                timezone=body.get("timezone"),
                parent=parent,
            )
        for name in ("title", "timezone", "read_only", "gone", "description", "kind"):
            if name in body:
                setattr(found, name, body[name])
        for lst in world.lists_of(found):
            lst.plan = None
        if "grants" in body:
            found.grants = [
                Grant(
                    id=stable_guid(found.web, n, grant["client_id"]),
                    roles=list(grant["roles"]),
                    app_id=grant["client_id"].lower(),
                    app_name=str(grant.get("name", "")),
                )
                for n, grant in enumerate(body["grants"])
            ]
        for user in body.get("users", []):
            known = {entry.id for entry in found.users}
            person = User(
                id=int(user.get("id") or max(known, default=0) + 1),
                name=str(user["name"]),
                email=str(user.get("email", "")),
            )
            if person.id not in known:
                found.users.append(person)
                world.add_user(found, person)
        world.save_site(found)

    def _shown(self, tenant: Tenant) -> dict[str, Any]:
        minute, day, whole = tenant.limits()
        doc = {name: value for name, value in asdict(tenant).items() if name != "apps"}
        doc["apps"] = [asdict(app) for app in tenant.apps.values()]
        doc["limits"] = {"ru_per_minute": minute, "ru_per_day": day, "ru_tenant_5_minutes": whole}
        sites = [site for site in self._world.sites.values() if site.tenant == tenant.id]
        doc["sites"] = [self._site(site) for site in sites]
        return doc

    def _site(self, site: Site) -> dict[str, Any]:
        return {
            "id": self._world.site_id(site),
            "path": site.path,
            "title": site.title,
            "timezone": site.timezone,
            "kind": site.kind,
            "read_only": site.read_only,
            "gone": site.gone,
            "web_url": self._world.site_url(site),
            "grants": [asdict(grant) for grant in site.grants],
            "users": [asdict(user) for user in site.users],
        }


def _known(what: str, body: Any, members: frozenset[str]) -> None:
    if not isinstance(body, dict):
        raise Unfit(f"{what} is an object")
    unknown = set(body) - members
    if unknown:
        raise Unfit(f"{what} has no {', '.join(sorted(unknown))}; it knows {', '.join(sorted(members))}")


def _checked(name: str, value: Any) -> Any:
    if name in ("name", "hostname"):
        fits = isinstance(value, str) and bool(value)
    elif name == "blocked":
        fits = isinstance(value, bool)
    else:
        fits = (value is None and name.startswith("ru_")) or (
            isinstance(value, int | float) and not isinstance(value, bool) and value > 0
        )
    if not fits:
        raise Unfit(f"{name} has a value that does not fit")
    return value
