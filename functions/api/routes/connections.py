"""SharePoint connections: registered, tested; sites and lists discovered."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from functions.api.deps import Actor, TheEngine
from functions.api.schemas import ConnectionIn, ConnectionOut, SiteText
from shared.core.catalog import Cloud, ConnectionAuth, KeptSecret, KnownSite, SharePointConnection
from shared.core.ids import ConnectionId, SiteId
from shared.handles import CONNECTIONS, ceiling_of

router = APIRouter(prefix="/sharepoint-connections", tags=["SharePoint connections"])


@router.post("", status_code=201)
def register(body: ConnectionIn, engine: TheEngine, actor: Actor) -> ConnectionOut:
    connection = _connection(engine, ConnectionId(engine.ids.uuid()), body, None)
    engine.graphs.endpoints(connection)  # refuses addresses that are not allowed
    engine.stores.connections.add(connection, actor=actor)
    return _out(engine.stores.connections.get(connection.id))


@router.get("")
def connections(engine: TheEngine) -> list[ConnectionOut]:
    return [_out(connection) for connection in engine.stores.connections.list()]


@router.get("/{connection_id}")
def connection(connection_id: UUID, engine: TheEngine) -> ConnectionOut:
    return _out(engine.stores.connections.get(ConnectionId(connection_id)))


@router.put("/{connection_id}")
def replace(connection_id: UUID, body: ConnectionIn, engine: TheEngine, actor: Actor) -> ConnectionOut:
    """Without `secret` the one that is kept stays."""
    before = engine.stores.connections.get(ConnectionId(connection_id))
    changed = _connection(engine, before.id, body, before.secret)
    engine.graphs.endpoints(changed)
    engine.stores.connections.replace(changed, actor=actor)
    return _out(engine.stores.connections.get(before.id))


@router.delete("/{connection_id}", status_code=204)
def remove(connection_id: UUID, engine: TheEngine, actor: Actor) -> Response:
    engine.stores.connections.remove(ConnectionId(connection_id), actor=actor)
    return Response(status_code=204)


@router.post("/{connection_id}/test")
def test(connection_id: UUID, engine: TheEngine) -> ConnectionOut:
    """Asks for a token and for the root site, and says in a sentence what is wrong, if something is."""
    found = engine.stores.connections.get(ConnectionId(connection_id))
    engine.stores.connections.record_check(found.id, engine.graphs.admin(found).health())
    return _out(engine.stores.connections.get(found.id))


@router.get("/{connection_id}/sites")
def sites(
    connection_id: UUID,
    engine: TheEngine,
    search: Annotated[str | None, Query(max_length=200, description="Words. Needs a right on all sites.")] = None,
    url: Annotated[str | None, Query(max_length=400, description="A site's address as the browser shows it.")] = None,
    team: Annotated[
        UUID | None, Query(description="A team's or group's id; its channels' sites go by address.")
    ] = None,
) -> list[dict[str, Any]]:
    """Sites found by words, by address (private channels' too) or by team; without any, those that were seen before."""
    found = engine.stores.connections.get(ConnectionId(connection_id))
    if search is None and url is None and team is None:
        return [_site(site) for site in engine.stores.inventory.sites(found.id)]
    seen = engine.graphs.admin(found).find_sites(search=search, url=url, team=team)
    engine.stores.inventory.save_sites(seen)
    return [_site(site) for site in seen]


@router.get("/{connection_id}/sites/{site_id}/lists")
def lists(connection_id: UUID, site_id: SiteText, engine: TheEngine) -> list[dict[str, Any]]:
    found = engine.stores.connections.get(ConnectionId(connection_id))
    admin = engine.graphs.admin(found)
    seen = admin.lists(SiteId(site_id))
    if any(known.site_id == site_id for known in engine.stores.inventory.sites(found.id)):
        engine.stores.inventory.save_lists(seen)
    return [
        {
            "list_id": known.list_id,
            "display_name": known.display_name,
            "web_url": known.web_url,
            "template": known.template,
            "unusable_because": admin.refusal(known),
        }
        for known in seen
    ]


@router.get("/{connection_id}/sites/{site_id}/rights")
def rights(connection_id: UUID, site_id: SiteText, engine: TheEngine) -> list[dict[str, Any]]:
    """Missing rights on a site, each with the permission or grant that gives it; an empty list: nothing is missing."""
    found = engine.stores.connections.get(ConnectionId(connection_id))
    problems = engine.graphs.admin(found).check_rights(SiteId(site_id))
    return [{"code": p.code, "message": p.message, "severity": p.severity, "remedy": p.remedy} for p in problems]


def _connection(
    engine: TheEngine, row_id: ConnectionId, body: ConnectionIn, kept: KeptSecret | None
) -> SharePointConnection:
    secret = kept or KeptSecret()
    if body.secret is not None and body.secret.value is not None:
        secret = engine.secrets.seal(CONNECTIONS, row_id, body.secret.value.get_secret_value())
    elif body.secret is not None:
        secret = KeptSecret(reference=body.secret.reference)
    return SharePointConnection(
        id=row_id,
        name=body.name,
        tenant_id=body.tenant_id,
        client_id=body.client_id,
        auth_method=ConnectionAuth(body.auth_method),
        secret=secret,
        cloud=Cloud(body.cloud),
        graph_url=body.graph_url,
        login_url=body.login_url,
        licence_count=body.licence_count,
        ru_multiplier=body.ru_multiplier,
        ru_per_minute=body.ru_per_minute,
        ru_per_day=body.ru_per_day,
        user_agent=body.user_agent,
    )


def _out(kept: SharePointConnection) -> ConnectionOut:
    limit = ceiling_of(kept)
    return ConnectionOut(
        id=kept.id,
        name=kept.name,
        tenant_id=kept.tenant_id,
        client_id=kept.client_id,
        auth_method=kept.auth_method,
        secret=kept.secret.describe(),
        cloud=kept.cloud,
        graph_url=kept.graph_url,
        login_url=kept.login_url,
        licence_count=kept.licence_count,
        ru_multiplier=kept.ru_multiplier,
        ru_per_minute=limit.per_minute,
        ru_per_day=limit.per_day,
        health=kept.checked.health,
        health_details=dict(kept.checked.details),
        health_checked_at=kept.checked.at,
    )


def _site(site: KnownSite) -> dict[str, Any]:
    return {
        "site_id": site.site_id,
        "display_name": site.display_name,
        "web_url": site.web_url,
    }
