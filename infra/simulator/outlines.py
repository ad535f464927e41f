"""What sites, lists and columns look like in answers.

Sources: the site, list and columnDefinition resource pages, and recorded answers (pnp/pnpcore).
"""

from typing import Any
from urllib.parse import quote

from infra.simulator.clock import iso
from infra.simulator.columns import UNTOLD, Column
from infra.simulator.lists import SharePointList
from infra.simulator.tenants import Site
from infra.simulator.world import World


class Outlines:
    def __init__(self, world: World) -> None:
        self._world = world

    def list_doc(self, lst: SharePointList, *, created_now: bool = False) -> dict[str, Any]:
        """A list without its navigations."""
        world = self._world
        site = world.sites[lst.site]
        quoted = f'"{lst.id},{lst.edition}"'
        etag = quoted.strip('"') if created_now and world.rules.holds("LIST-ETAG-UNQUOTED-ON-CREATE") else quoted
        name = lst.name if world.rules.holds("LIST-RENAME-KEEPS-NAME") else lst.title
        url = world.list_url(lst) if name == lst.name else world.list_url(lst).rpartition("/")[0] + f"/{quote(name)}"
        template = {"template": lst.template, "contentTypesEnabled": lst.content_types, "hidden": lst.hidden}
        if not world.rules.holds("LIST-NO-ITEM-COUNT"):
            template["itemCount"] = world.rows.count(lst)
        doc: dict[str, Any] = {
            "@odata.etag": quoted,
            "createdDateTime": iso(lst.created),
            "description": lst.description,
            "eTag": etag,
            "id": lst.id,
            "lastModifiedDateTime": iso(lst.modified),
            "name": name,
            "webUrl": url,
            "displayName": lst.title,
            "createdBy": {"user": {"displayName": "SharePoint App" if lst.creator_app else "System Account"}},
            "lastModifiedBy": {"user": {"displayName": "SharePoint App" if lst.creator_app else "System Account"}},
            "parentReference": {"siteId": world.site_id(site)},
            "list": template,
            "sharepointIds": {
                "listId": lst.id,
                "siteId": site.collection,
                "siteUrl": world.site_url(site),
                "tenantId": site.tenant,
                "webId": site.web,
            },
        }
        if lst.system:
            doc["system"] = {}
        return doc

    def column(self, column: Column) -> dict[str, Any]:
        """A columnDefinition as a listing of list columns shows it."""
        holds = self._world.rules.holds
        doc: dict[str, Any] = {
            "columnGroup": column.group,
            "description": column.description,
            "displayName": column.title,
            "enforceUniqueValues": column.unique,
            "hidden": column.hidden,
            "id": column.id,
            "indexed": column.indexed,
            "name": column.name if holds("COL-DISPLAY-NAME-FREE") or column.system else column.title,
            "readOnly": column.read_only,
            "required": column.required,
        }
        if column.system and not holds("COL-SYSTEM-READ-ONLY"):
            doc["readOnly"] = False
        if column.name == "Title" and not holds("LIST-BORN-WITH-TITLE"):
            doc["readOnly"] = True
        if column.facet and (column.facet not in UNTOLD or not holds("COL-HYPERLINK-NO-FACET")):
            doc[column.facet] = dict(column.options) if holds("COL-FACET-MEMBERS") else {}
        if not holds("COL-CREATE"):
            doc.setdefault("text", {})
        if not holds("COL-MEMBERS-LEFT-OUT"):
            doc |= {"type": column.kind, "isSealed": False}
        if column.default is not None:
            doc["defaultValue"] = column.default
        return doc

    def site(self, site: Site) -> dict[str, Any]:
        world = self._world
        host = world.tenants[site.tenant].hostname
        doc: dict[str, Any] = {
            "createdDateTime": iso(site.created),
            "description": site.description,
            "id": world.site_id(site),
            "lastModifiedDateTime": iso(site.created),
            "name": site.path.rpartition("/")[2],
            "webUrl": world.site_url(site),
            "displayName": site.title,
            "isPersonalSite": False,
        }
        root = site.path == ""
        if site.parent is None:
            doc["siteCollection"] = {"hostname": host} | ({"root": {}} if root else {})
        if root or not world.rules.holds("SITE-ROOT"):
            doc["root"] = {}
        doc["sharepointIds"] = {
            "siteId": site.collection,
            "siteUrl": world.site_url(site),
            "tenantId": site.tenant,
            "webId": site.web,
        }
        return doc
