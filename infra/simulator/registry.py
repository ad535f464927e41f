"""Tenants as the control surface takes and shows them."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cryptography.x509 import load_pem_x509_certificate

from infra.simulator.auth import GRANT_LEVELS
from infra.simulator.errors import Unfit
from infra.simulator.tenants import App, Grant, Site, Tenant, User, stable_guid
from infra.simulator.world import World

Fits = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _limit(value: Any) -> bool:
    return value is None or _whole(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _zone(value: Any) -> bool:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        return False
    return True


def _path(value: Any) -> bool:
    return value == "" or (isinstance(value, str) and value.startswith("/") and value.isprintable())


def _roles(value: Any) -> bool:
    return _texts(value) and bool(value) and set(value) <= set(GRANT_LEVELS)


def _certificates(value: Any) -> bool:
    try:
        return _texts(value) and all(load_pem_x509_certificate(pem.encode()) is not None for pem in value)
    except ValueError:
        return False


_TENANT: dict[str, Fits] = {
    "id": _text,
    "name": lambda value: _text(value) and bool(value),
    "hostname": lambda value: _text(value) and bool(value),
    "licences": _whole,
    "ru_per_minute": _limit,
    "ru_per_day": _limit,
    "ru_tenant": _limit,
    "multiplier": _positive,
    "blocked": _flag,
    "apps": _objects,
    "sites": _objects,
}
_APP: dict[str, Fits] = {
    "client_id": _text,
    "secret": _text,
    "name": _text,
    "roles": _texts,
    "thumbprints": _texts,
    "certificates": _certificates,
    "federated": _objects,
}
_SITE: dict[str, Fits] = {
    "path": _path,
    "title": _text,
    "timezone": _zone,
    "grants": _objects,
    "users": _objects,
    "read_only": _flag,
    "gone": _flag,
    "description": _text,
    "kind": lambda value: value in ("site", "team", "channel"),
    "parent": _path,
}
_GRANT: dict[str, Fits] = {"client_id": _text, "roles": _roles, "name": _text}
_USER: dict[str, Fits] = {"id": _whole, "name": _text, "email": _text}


class Registry:
    def __init__(self, world: World) -> None:
        self._world = world

    def all(self) -> list[dict[str, Any]]:
        return [self._shown(tenant) for tenant in self._world.tenants.values()]

    def put(self, body: dict[str, Any]) -> dict[str, Any]:
        """Create a tenant or change what the body names. Raises ValueError and changes nothing."""
        _check("a tenant", body, _TENANT)
        for app in body.get("apps", []):
            _check("an app", app, _APP, "client_id")
        for site in body.get("sites", []):
            _check("a site", site, _SITE, "path")
            for grant in site.get("grants", []):
                _check("a grant", grant, _GRANT, "client_id", "roles")
            for user in site.get("users", []):
                _check("a user", user, _USER, "name")
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
                setattr(tenant, name, body[name])
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
        for name in _APP.keys() - {"client_id"}:
            if name in body:
                setattr(app, name, body[name])
        tenant.apps[client_id] = app

    def _put_site(self, tenant: Tenant, body: dict[str, Any]) -> None:
        world = self._world
        path = body["path"].rstrip("/")
        found = next(
            (site for site in world.sites.values() if site.tenant == tenant.id and site.path.lower() == path.lower()),
            None,
        )
        if found is None:
            parent = world.site_by_path(tenant, body["parent"]) if "parent" in body else None
            if "parent" in body and parent is None:
                raise Unfit(f"there is no site {body['parent']} to be a parent")
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


def _check(what: str, body: dict[str, Any], members: dict[str, Fits], *needed: str) -> None:
    """Raises Unfit naming the member that is unknown, missing or of a wrong shape."""
    unknown = sorted(set(body) - set(members))
    if unknown:
        raise Unfit(f"{what} has no {', '.join(unknown)}; it knows {', '.join(members)}")
    for name in needed:
        if name not in body:
            raise Unfit(f"{what} needs {name}")
    for name, value in body.items():
        if not members[name](value):
            raise Unfit(f"{name} of {what} has a value that does not fit")
