"""Permissions of a site or a list for apps under Selected. Source: learn.microsoft.com/en-us/graph/api/site-post-permissions."""

import uuid
from dataclasses import asdict
from typing import Any

import orjson

from infra.simulator import errors
from infra.simulator.auth import GRANT_LEVELS
from infra.simulator.lists import SharePointList
from infra.simulator.tenants import Grant, Site
from infra.simulator.wire import Response
from infra.simulator.world import World


class Grants:
    def __init__(self, world: World) -> None:
        self._world = world

    def run(self, call: Any, site: Site, lst: SharePointList | None, parts: list[str]) -> Response:
        """GET, POST, PATCH, DELETE below `permissions`. Raises GraphError."""
        method = call.request.method
        grants = lst.grants if lst is not None else site.grants
        match parts:
            case [] if method == "GET":
                return Response(status=200, content={"value": [self._shape(grant) for grant in grants]})
            case [] if method == "POST":
                if site.parent is not None and lst is None and self._world.rules.holds("SITE-SUBSITE-GRANT-REFUSED"):
                    raise errors.not_supported("This API does not support granting permissions on a subsite", 400)
                grant = self._read(call.body())
                grants.append(grant)
                self._save(site, lst)
                return Response(status=201, content=self._shape(grant))
            case [grant_id]:
                grant = self._find(grants, grant_id)
                if method == "GET":
                    return Response(status=200, content=self._shape(grant))
                if method == "PATCH":
                    grant.roles = _roles(call.body())
                    self._save(site, lst)
                    return Response(status=200, content=self._shape(grant))
                if method == "DELETE":
                    self.revoke(site, lst, grant)
                    return Response(status=204)
            case [name, *_] if len(parts) > 1:
                raise errors.no_segment(name)
        raise errors.bad_method()

    def revoke(self, site: Site, lst: SharePointList | None, grant: Grant) -> None:
        grants = lst.grants if lst is not None else site.grants
        grants.remove(grant)
        self._world.store.put("revoked", grant.id, asdict(grant))
        self._save(site, lst)

    def _save(self, site: Site, lst: SharePointList | None) -> None:
        if lst is not None:
            self._world.save_list(lst)
        else:
            self._world.save_site(site)

    @staticmethod
    def _find(grants: list[Grant], grant_id: str) -> Grant:
        found = next((grant for grant in grants if grant.id == grant_id), None)
        if found is None:
            raise errors.not_found()
        return found

    @staticmethod
    def _read(body: dict[str, Any]) -> Grant:
        roles = _roles(body)
        given = (
            body.get("grantedToIdentitiesV2")
            or body.get("grantedToIdentities")
            or body.get("grantedToV2")
            or body.get("grantedTo")
        )
        first = given[0] if isinstance(given, list) and given else given
        application = first.get("application") if isinstance(first, dict) else None
        if not isinstance(application, dict) or not isinstance(application.get("id"), str):
            raise errors.invalid("An application identity is needed.")
        return Grant(
            id=f"aTowaS50fG1zLnNwLmV4dHw{uuid.uuid4().hex}",
            roles=roles,
            app_id=application["id"].lower(),
            app_name=str(application.get("displayName", "")),
        )

    @staticmethod
    def _shape(grant: Grant) -> dict[str, Any]:
        identity = [{"application": {"displayName": grant.app_name, "id": grant.app_id}}]
        return {
            "id": grant.id,
            "roles": grant.roles,
            "grantedToIdentities": identity,
            "grantedToIdentitiesV2": identity,
        }


def _roles(body: dict[str, Any]) -> list[str]:
    roles = body.get("roles")
    if (
        not isinstance(roles, list)
        or not roles
        or not all(isinstance(role, str) and role in GRANT_LEVELS for role in roles)
    ):
        raise errors.invalid(f"roles takes some of {orjson.dumps(sorted(GRANT_LEVELS)).decode()}.")
    return roles
