"""Finding sites by URL or by words, and what lists they hold."""

from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from shared.adapters.graph import urls
from shared.adapters.graph.answers import member
from shared.adapters.graph.client import RU_MULTI_READ, RU_SINGLE_READ, GraphClient, Request
from shared.adapters.graph.parsing import page_of
from shared.core.catalog import KnownList, KnownSite
from shared.core.errors import ConfigurationError, GraphUnavailable, ListGone, NotFound, PermissionMissing
from shared.core.ids import ConnectionId, ListId, SiteId

UNUSABLE = {
    "documentLibrary": "it is a document library, whose items are files",
    "webPageLibrary": "it is a library of web pages",
    "pictureLibrary": "it is a library of pictures",
    "survey": "it is a survey",
    "accessRequest": "SharePoint keeps it for access requests",
    "sharingLinks": "SharePoint keeps it for sharing links",
    "webTemplateExtensionsList": "SharePoint keeps it for site templates",
}
"""Templates that no rows can be kept in; the last four as alcionai/corso found them."""

_PAGES = frozenset({"lists", "shared documents", "documents", "sitepages", "_layouts", "siteassets", "forms", "pages"})
_MAX_PAGES = 100
_DEEPEST = 8
"""Parts of a path that are tried: sites stand at /sites/x, their subsites a few levels below."""
_LIST_SELECT = "id,name,displayName,description,webUrl,list"


def site_at(client: GraphClient, connection: ConnectionId, url: str) -> KnownSite:
    """The site that a browser's URL is in: a list's or a page's URL will do, and so will a channel's site.

    Raises ConfigurationError for what is no URL of a site, NotFound, PermissionMissing, GraphUnavailable, Throttled.
    """
    host, path = _place(url)
    while True:
        address = urls.site_by_path(host, "/".join(path))
        answer = client.send(Request(method="GET", address=address, action="graph.site", ru=RU_SINGLE_READ))
        if answer.ok:
            return _site(client.expect(answer), connection)
        if answer.status == 400:
            raise ConfigurationError(
                f"{host} is no SharePoint host of this connection's tenant; copy the site's URL from the browser.",
                code="wrong_host",
            )
        if answer.status != 404:
            raise client.failure(answer)
        if len(path) <= 2:  # /sites/x and /teams/x are sites; what stands above them is another site
            raise NotFound(
                f"There is no site at {host}/{'/'.join(path)}, or this application may not see it:"
                " check the URL, and with Sites.Selected that the site was granted.",
            )
        path = path[:-1]


def _place(url: str) -> tuple[str, list[str]]:
    wanted = ConfigurationError(
        "A site is named by its https URL, such as https://contoso.sharepoint.com/sites/projects.", code="bad_site_url"
    )
    if len(url) > 2000 or not url.isprintable():
        raise wanted
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise wanted from None
    if parts.scheme != "https" or not host or port not in (None, 443) or parts.username or parts.password:
        raise wanted
    path: list[str] = []
    for part in parts.path.split("/"):
        name = unquote(part)
        if name.lower() in _PAGES or name.lower().endswith(".aspx") or name.startswith(":"):
            break
        if name in (".", "..") or "/" in name or not name.isprintable():
            raise wanted
        if name:
            path.append(name)
    return host, path[:_DEEPEST]


def search_sites(client: GraphClient, connection: ConnectionId, words: str) -> Sequence[KnownSite]:
    """Sites whose name or title holds the words; the first few hundred. Raises PermissionMissing under Sites.Selected."""
    if not words.strip() or len(words) > 200 or not words.isprintable():
        raise ConfigurationError("Sites are searched by one or a few words.", code="bad_search")
    address = urls.SITES.query({"search": words.strip()})
    try:
        return [_site(element, connection) for element in _pages(client, address, "graph.sites", limit=5)]
    except PermissionMissing as error:
        raise PermissionMissing(
            "This application may not search the tenant's sites (with Sites.Selected nobody may): name the site by its URL.",
            remedy="Give the site's URL, or grant the application Sites.Read.All.",
            code=error.code,
        ) from None


def team_site(client: GraphClient, connection: ConnectionId, group_id: str) -> KnownSite:
    """The site of a team or another Microsoft 365 group. Private and shared channels have sites of their own: by URL."""
    try:
        return _site(client.get(urls.group_site(group_id), action="graph.site", ru=RU_SINGLE_READ), connection)
    except ListGone:
        raise NotFound("There is no such group, or it has no site that this application may see.") from None


def lists_of(client: GraphClient, connection: ConnectionId, site_id: SiteId) -> Sequence[KnownList]:
    """Every list that people see, libraries included: `why_unusable` says which ones cannot be synchronised."""
    address = urls.lists(site_id).query({"$select": _LIST_SELECT})
    return [
        KnownList(
            connection_id=connection,
            site_id=site_id,
            list_id=list_id_of(element),
            display_name=text_of(element, "displayName") or text_of(element, "name"),
            web_url=text_of(element, "webUrl"),
            template=template_of(element),
        )
        for element in _pages(client, address, "graph.lists", limit=_MAX_PAGES)
        if member(member(element, "list"), "hidden") is not True
    ]


def why_unusable(template: str) -> str | None:
    """Why a list of this template cannot be synchronised, as the end of a sentence; None: it can."""
    return UNUSABLE.get(template) or ("it is a library of files" if template.endswith("Library") else None)


def raw_lists(client: GraphClient, site_id: SiteId) -> Sequence[object]:
    """The lists of a site as Graph shows them, hidden ones included."""
    return _pages(client, urls.lists(site_id).query({"$select": _LIST_SELECT}), "graph.lists", limit=_MAX_PAGES)


def list_id_of(element: object) -> ListId:
    found = member(element, "id")
    if not isinstance(found, str) or not urls.is_guid(found):
        raise GraphUnavailable("Graph shows a list without an id.", code="bad_answer")
    return ListId(found.lower())


def template_of(element: object) -> str:
    return text_of(member(element, "list"), "template") or "genericList"


def text_of(element: object, name: str) -> str:
    value = member(element, name)
    return value if isinstance(value, str) else ""


def _site(element: object, connection: ConnectionId) -> KnownSite:
    site_id = member(element, "id")
    if not isinstance(site_id, str) or not urls.is_site_id(site_id):
        raise GraphUnavailable("Graph shows a site without a proper id.", code="bad_answer")
    url = text_of(element, "webUrl")
    return KnownSite(
        connection_id=connection,
        site_id=SiteId(site_id),
        display_name=text_of(element, "displayName") or text_of(element, "name") or url,
        web_url=url,
    )


def _pages(client: GraphClient, address: urls.Address, action: str, *, limit: int) -> list[object]:
    elements: list[object] = []
    seen = {address.path}
    for _ in range(limit):
        body = client.get(address, action=action, ru=RU_MULTI_READ)
        elements += page_of(body)
        link = member(body, "@odata.nextLink")
        if link is None:
            return elements
        address = urls.Address(path=urls.followed(link, client.cloud.root), template=address.template)
        if address.path in seen:
            raise GraphUnavailable("Graph's pages lead in a circle.", code="endless_pages")
        seen.add(address.path)
    return elements
