"""Collections and single resources of the read side: sites, lists, columns, versions."""

import re
from base64 import b64encode
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from infra.simulator import auth, errors, options
from infra.simulator.auth import Auth, Identity
from infra.simulator.clock import iso
from infra.simulator.columns import Column
from infra.simulator.lists import SharePointList
from infra.simulator.options import Options
from infra.simulator.outlines import Outlines
from infra.simulator.rows import Row, Version
from infra.simulator.shapes import Shapes, View, encoded
from infra.simulator.tenants import Site
from infra.simulator.wire import Request, Response
from infra.simulator.world import World

_TITLE_IS = re.compile(r"displayName eq '((?:[^']|'')*)'", re.IGNORECASE)
_EXPANDED_ITEMS = 200


class Listings:
    def __init__(self, world: World, shapes: Shapes, access: Auth) -> None:
        self._world = world
        self._shapes = shapes
        self._outlines = Outlines(world)
        self._auth = access

    # -- sites

    def context_site(self, lst: SharePointList) -> str:
        """A site id as it stands in context URLs: commas encoded."""
        return self._encoded(self._world.sites[lst.site])

    def _encoded(self, site: Site) -> str:
        site_id = self._world.site_id(site)
        return encoded(site_id) if self._world.rules.holds("SITE-CONTEXT-ENCODED") else site_id

    def _enumerable(self, identity: Identity) -> bool:
        """Apps that hold Selected permissions only cannot enumerate sites."""
        return identity.level >= auth.READ or not self._world.rules.holds("AUTH-SELECTED-NO-SEARCH")

    def search(self, identity: Identity, opts: Options, request: Request) -> Response:
        text = opts.get("search")
        if text is None:
            shown = [site for site in self._world.sites_of(identity.tenant) if identity.level >= auth.READ]
            return Response(status=200, content={"value": [self._site(site) for site in shown if site.path == ""]})
        if not self._enumerable(identity):
            raise errors.denied()
        low = text.lower().strip("\"'*")
        if not self._world.rules.holds("SITE-SEARCH"):
            low = ""
        found = [
            site
            for site in self._world.sites_of(identity.tenant)
            if low in site.title.lower() or low in site.path.lower()
        ]
        return Response(
            status=200,
            content={
                "@odata.context": f"{request.base()}/v1.0/$metadata#sites",
                "value": [self._site(site) for site in found],
            },
        )

    def all_sites(self, identity: Identity) -> Response:
        if not self._enumerable(identity):
            raise errors.denied()
        found = self._world.sites_of(identity.tenant)
        if not self._world.rules.holds("SITE-GET-ALL"):
            found = [site for site in found if site.path]
        return Response(status=200, content={"value": [self._site(site) for site in found]})

    def subsites(self, identity: Identity, site: Site) -> Response:
        below = self._world.sites_of(identity.tenant)
        if self._world.rules.holds("SITE-SUBSITES"):
            below = [entry for entry in below if entry.parent == site.number]
        return Response(status=200, content={"value": [self._site(entry) for entry in below]})

    def _site(self, site: Site) -> dict[str, Any]:
        doc = self._outlines.site(site)
        doc.pop("sharepointIds", None)
        return doc

    def site(self, site: Site, opts: Options, base: str) -> Response:
        doc = {"@odata.context": f"{base}/v1.0/$metadata#sites/$entity", **self._outlines.site(site)}
        selected = opts.select
        if selected is None:
            del doc["sharepointIds"]
        else:
            doc = {name: value for name, value in doc.items() if name in selected or name.startswith("@")}
        expanded = opts.expansions()
        for name in expanded:
            if name not in ("lists", "columns", "sites", "drive", "drives"):
                raise errors.invalid(
                    f"Parsing OData Select and Expand failed: Could not find a property named '{name[:80]}'."
                )
        if "lists" in expanded:
            doc["lists"] = [self._listed(lst) for lst in self._world.lists_of(site) if not lst.system]
        return Response(status=200, content=doc)

    # -- lists

    def _listed(self, lst: SharePointList) -> dict[str, Any]:
        doc = self._outlines.list_doc(lst)
        doc.pop("sharepointIds")
        return doc

    def lists(self, site: Site, opts: Options, base: str) -> Response:
        holds = self._world.rules.holds
        selected = opts.select
        systems = (selected is not None and "system" in selected) or not holds("LIST-SYSTEM-LEFT-OUT")
        found = [lst for lst in self._world.lists_of(site) if systems or not lst.system]
        text = opts.get("filter")
        if text is not None and holds("LIST-FILTER-TITLE"):
            match = _TITLE_IS.fullmatch(text.strip())
            if match is None:
                raise errors.invalid("Invalid filter clause", "invalidFilter")
            wanted = match.group(1).replace("''", "'").casefold()
            found = [lst for lst in found if lst.title.casefold() == wanted]
        docs = []
        for lst in found:
            doc = self._outlines.list_doc(lst)
            docs.append(self._narrowed(doc, selected))
        return Response(
            status=200,
            content={"@odata.context": f"{base}/v1.0/$metadata#sites('{self._encoded(site)}')/lists", "value": docs},
        )

    def _narrowed(self, doc: dict[str, Any], selected: frozenset[str] | None) -> dict[str, Any]:
        if selected is None or not self._world.rules.holds("LIST-SELECT"):
            return {name: value for name, value in doc.items() if name != "sharepointIds"}
        return {name: value for name, value in doc.items() if name in selected or name.startswith("@")}

    def list_doc(self, lst: SharePointList, base: str, opts: Options, *, created_now: bool = False) -> dict[str, Any]:
        """A list resource with what the options expand. Raises GraphError."""
        holds = self._world.rules.holds
        doc: dict[str, Any] = {
            "@odata.context": f"{base}/v1.0/$metadata#sites('{self.context_site(lst)}')/lists/$entity"
        }
        doc |= self._narrowed(self._outlines.list_doc(lst, created_now=created_now), opts.select)
        expanded = opts.expansions()
        for name in expanded:
            if name not in ("columns", "items", "contentTypes", "drive", "subscriptions", "operations"):
                raise errors.invalid(
                    "Parsing OData Select and Expand failed: "
                    f"Could not find a property named '{name[:80]}' on type 'microsoft.graph.list'."
                )
        if "columns" in expanded or not holds("LIST-COLUMNS-ON-EXPAND"):
            nested = expanded.get("columns", {})
            doc["columns"] = self._columns(lst, options.names(nested.get("select")))
        if "items" in expanded:
            nested = expanded["items"]
            fields = options.expansions(nested.get("expand", "")).get("fields")
            inner = fields.get("select") if fields else None
            names = tuple(part.strip() for part in inner.split(",")) if inner else None
            shown = View(
                options.names(nested.get("select")), fields is not None and holds("LIST-ITEMS-ON-EXPAND"), names
            )
            rows = self._world.rows.page(lst, 0, _EXPANDED_ITEMS + 1)
            doc["items"] = [self._shapes.item(lst, row, shown, base=base) for row in rows[:_EXPANDED_ITEMS]]
            if len(rows) > _EXPANDED_ITEMS:
                site = self._encoded(self._world.sites[lst.site])
                doc["items@odata.nextLink"] = (
                    f"{base}/v1.0/sites/{site}/lists/{lst.id}/items?$skiptoken={_token(rows[_EXPANDED_ITEMS - 1].id)}"
                )
        return doc

    # -- columns

    def _columns(self, lst: SharePointList, selected: frozenset[str] | None) -> list[dict[str, Any]]:
        hidden = (selected is not None and "hidden" in selected) or not self._world.rules.holds("COL-HIDDEN-LEFT-OUT")
        docs = [self._outlines.column(column) for column in lst.columns.values() if hidden or not column.hidden]
        if selected is None:
            return docs
        return [{name: value for name, value in doc.items() if name in selected} for doc in docs]

    def columns(self, lst: SharePointList, opts: Options, base: str) -> dict[str, Any]:
        docs = self._columns(lst, opts.select)
        text = opts.get("filter")
        if text is not None:
            match = re.fullmatch(r"(name|displayName) eq '((?:[^']|'')*)'", text.strip())
            if match is None:
                raise errors.invalid("Invalid filter clause", "invalidFilter")
            docs = [doc for doc in docs if doc.get(match.group(1)) == match.group(2).replace("''", "'")]
        return {
            "@odata.context": f"{base}/v1.0/$metadata#sites('{self.context_site(lst)}')/lists('{lst.id}')/columns",
            "value": docs,
        }

    def column(self, lst: SharePointList, column: Column, base: str) -> dict[str, Any]:
        context = f"{base}/v1.0/$metadata#sites('{self.context_site(lst)}')/lists('{lst.id}')/columns/$entity"
        return {"@odata.context": context, **self._outlines.column(column)}

    # -- versions

    def versions(self, lst: SharePointList, row: Row, found: list[Version], opts: Options, base: str) -> dict[str, Any]:
        fields = "fields" in opts.expansions()
        context = (
            f"{base}/v1.0/$metadata#sites('{self.context_site(lst)}')/lists('{lst.id}')/items('{row.id}')/versions"
        )
        return {"@odata.context": context, "value": [self.version(lst, row, entry, fields=fields) for entry in found]}

    def version(self, lst: SharePointList, row: Row, entry: Version, *, fields: bool) -> dict[str, Any]:
        """A listItemVersion. Its time is converted to the site's zone once too often, as the service's is."""
        moment = entry.modified
        if self._world.knobs["version_times_shifted"]:
            offset = datetime.fromtimestamp(moment, ZoneInfo(self._world.sites[lst.site].timezone)).utcoffset()
            moment += int(offset.total_seconds()) if offset else 0
        label = self._shapes.label(lst, entry.version)
        old = Row(
            row.key,
            entry.version,
            row.created,
            entry.modified,
            row.author,
            entry.editor,
            row.author_app,
            entry.editor_app,
            row.change,
            row.changed_at,
            row.state,
            entry.values if self._world.rules.holds("VER-FIELDS") else row.values,
        )
        whole = self._shapes.item(lst, old, View(), base="")
        doc = {
            "id": label,
            "lastModifiedDateTime": iso(moment),
            "lastModifiedBy": whole["lastModifiedBy"],
            "published": {"level": "published", "versionId": label},
        }
        if fields:
            doc["fields"] = self._shapes.fields(lst, old, None)
        return doc


def _token(after: int) -> str:
    return quote(b64encode(f"Paged=TRUE&p_ID={after}".encode()).decode(), safe="")
