"""The Graph surface below /v1.0: a path and a method become an operation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from infra.simulator import auth, errors, options, paging
from infra.simulator.addressing import Addressing, path_segments
from infra.simulator.auth import Auth, Identity
from infra.simulator.delta import Delta
from infra.simulator.filters import Filters, not_indexed
from infra.simulator.grants import Grants
from infra.simulator.items import Actor, Items
from infra.simulator.listings import Listings
from infra.simulator.lists import SharePointList
from infra.simulator.options import Options
from infra.simulator.rows import Row
from infra.simulator.shapes import LOOKUP_LIMIT, Shapes, View
from infra.simulator.structure import Structure
from infra.simulator.subscriptions import Subscriptions
from infra.simulator.tenants import Site
from infra.simulator.wire import Answer, Request, Response
from infra.simulator.world import World


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated Graph call."""

    request: Request
    identity: Identity
    options: Options
    base: str
    bare: bool
    lenient: bool = False  # a body that is no JSON object is read as an empty one

    @property
    def actor(self) -> Actor:
        return Actor.of_app(self.identity.app.client_id)

    def body(self) -> dict[str, Any]:
        """The JSON object in the body. Raises GraphError."""
        try:
            found = orjson.loads(self.request.body)
        except orjson.JSONDecodeError:
            found = None
        if isinstance(found, dict):
            return found
        if self.lenient:
            return {}
        raise errors.bad_json()


class Routes:
    def __init__(self, world: World, access: Auth, subscriptions: Subscriptions) -> None:
        self._world = world
        self._auth = access
        self.shapes = Shapes(world)
        self.items = Items(world, self.shapes)
        self.structure = Structure(world)
        self._addressing = Addressing(world)
        self._filters = Filters(world)
        self._delta = Delta(world, self.shapes, self.items)
        self._listings = Listings(world, self.shapes, access)
        self._grants = Grants(world, self.shapes)
        self._subscriptions = subscriptions
        self._snapshot = 2**31

    def run(self, call: Call) -> Answer:
        """Do what the call asks. Raises GraphError."""
        parts = path_segments(call.request.path.partition("/v1.0")[2])
        match parts:
            case ["sites", *rest]:
                return self._sites(call, rest)
            case ["subscriptions", *rest]:
                return self._subscriptions.run(call, rest)
            case ["groups", _, "sites", "root", *rest]:
                site = next((s for s in self._world.sites_of(call.identity.tenant) if s.kind == "team"), None)
                if site is None:
                    raise errors.not_found("Requested site could not be found")
                return self._site(call, site, rest)
            case []:
                raise errors.bad_request("Resource not found for the segment ''.")
            case _:
                raise self._no_segment(parts[0])

    def _no_segment(self, name: str) -> errors.GraphError:
        if not self._world.rules.holds("ERR-UNKNOWN-SEGMENT"):
            return errors.not_found()
        return errors.no_segment(name[:200])

    def _only(self, call: Call, *methods: str) -> None:
        if call.request.method not in methods:
            raise errors.bad_method() if self._world.rules.holds("ERR-METHOD") else errors.not_found()

    # -- sites

    def _sites(self, call: Call, parts: list[str]) -> Answer:
        match parts:
            case []:
                self._only(call, "GET")
                return self._listings.search(call.identity, call.options, call.request)
            case [name, *rest] if (
                name.lower() in ("getallsites", "getallsites()", "microsoft.graph.getallsites()") and not rest
            ):
                self._only(call, "GET")
                return self._listings.all_sites(call.identity)
            case _:
                site, rest = self._addressing.site(call.identity.tenant, parts, call.request.path)
                return self._site(call, site, rest)

    def _site(self, call: Call, site: Site, parts: list[str]) -> Answer:
        match parts:
            case ["permissions", *rest]:
                if self._auth.level(call.identity, site) < auth.FULL:
                    raise errors.denied()
                return self._grants.run(call, site, None, rest)
            case ["lists", name, *rest] if name:
                return self._list_named(call, site, name, rest)
        self._auth.need(call.identity, site, auth.READ if call.request.method == "GET" else auth.MANAGE)
        match parts:
            case []:
                self._only(call, "GET")
                return self._listings.site(site, call.options, call.base)
            case ["sites"]:
                self._only(call, "GET")
                return self._listings.subsites(call.identity, site)
            case ["lists"]:
                self._only(call, "GET", "POST")
                if call.request.method == "GET":
                    return self._listings.lists(site, call.options, call.base)
                self._writable(site)
                lst = self.structure.create_list(site, call.body(), call.identity.app.client_id)
                status = 201 if self._world.rules.holds("LIST-CREATE") else 200
                return Response(
                    status=status, content=self._listings.list_doc(lst, call.base, Options({}), created_now=True)
                )
            case ["columns"]:
                self._only(call, "GET")
                return Response(status=200, content={"value": []})
            case ["drive", "list"] | ["drive"]:
                library = next((lst for lst in self._world.lists_of(site) if lst.template == "documentLibrary"), None)
                if library is None:
                    raise errors.not_found()
                return self._list(call, site, library, []) if len(parts) == 2 else self._drive(library, call)
            case _:
                raise self._no_segment(parts[-1] if parts[0] in ("lists", "columns", "sites") else parts[0])

    def _drive(self, lst: SharePointList, call: Call) -> Response:
        self._only(call, "GET")
        return Response(
            status=200,
            content={
                "id": f"b!{lst.id}",
                "driveType": "documentLibrary",
                "name": lst.title,
                "webUrl": self._world.list_url(lst),
            },
        )

    def _writable(self, site: Site) -> None:
        if site.read_only:
            raise errors.GraphError(403, "notAllowed", "The site is read-only.")

    # -- lists

    def _list_named(self, call: Call, site: Site, name: str, parts: list[str]) -> Answer:
        lst = self._world.find_list(site, name)
        if lst is not None and lst.system and not self._world.rules.holds("LIST-USER-INFORMATION"):
            lst = None
        level = self._needed(call, parts)
        if self._auth.level(call.identity, site, lst) < level:
            raise errors.denied()
        if lst is None:
            if not self._world.rules.holds("LIST-UNKNOWN"):
                raise errors.invalid("The specified list was not found")
            raise errors.not_found("The specified list was not found")
        return self._list(call, site, lst, parts)

    @staticmethod
    def _needed(call: Call, parts: list[str]) -> int:
        """The right that the call wants on the list."""
        match parts:
            case ["permissions", *_]:
                return auth.FULL
            case _ if call.request.method == "GET":
                return auth.READ
            case ["items" | "subscriptions", *_]:
                return auth.WRITE
            case _:
                return auth.MANAGE

    def _list(self, call: Call, site: Site, lst: SharePointList, parts: list[str]) -> Answer:
        method = call.request.method
        if method != "GET" and parts[:1] != ["permissions"]:
            self._writable(site)
        match parts:
            case []:
                self._only(call, "GET", "PATCH", "DELETE")
                if method == "DELETE":
                    self.structure.delete_list(lst)
                    return Response(status=204)
                if method == "PATCH":
                    self.structure.update_list(lst, call.body())
                return Response(status=200, content=self._listings.list_doc(lst, call.base, call.options))
            case ["columns", *rest]:
                return self._columns(call, lst, rest)
            case ["items", *rest]:
                return self._items(call, lst, rest)
            case ["subscriptions", *rest]:
                return self._subscriptions.run(call, rest, lst=lst)
            case ["permissions", *rest]:
                return self._grants.run(call, site, lst, rest)
            case ["contentTypes"]:
                self._only(call, "GET")
                return Response(
                    status=200, content={"value": [{"id": "0x0100", "name": "Item", "group": "List Content Types"}]}
                )
            case ["drive"]:
                if lst.template != "documentLibrary":
                    raise errors.not_found()
                return self._drive(lst, call)
            case ["operations"]:
                self._only(call, "GET")
                return Response(status=200, content={"value": []})
            case _:
                raise self._no_segment(parts[0])

    def _columns(self, call: Call, lst: SharePointList, parts: list[str]) -> Response:
        method = call.request.method
        match parts:
            case []:
                self._only(call, "GET", "POST")
                if method == "GET":
                    return Response(status=200, content=self._listings.columns(lst, call.options, call.base))
                made = self.structure.create_column(lst, call.body())
                return Response(status=201, content=self._listings.column(lst, made, call.base))
            case [name]:
                self._only(call, "GET", "PATCH", "DELETE")
                column = self.structure.column_of(lst, name)
                if method == "DELETE":
                    self.structure.delete_column(lst, column)
                    return Response(status=204)
                if method == "PATCH":
                    column = self.structure.update_column(lst, column, call.body())
                return Response(status=200, content=self._listings.column(lst, column, call.base))
            case _:
                raise self._no_segment(parts[1])

    # -- items

    def _items(self, call: Call, lst: SharePointList, parts: list[str]) -> Answer:
        method = call.request.method
        match parts:
            case []:
                self._only(call, "GET", "POST")
                return self._page(call, lst) if method == "GET" else self._create(call, lst)
            case [name] if name.lower().removeprefix("microsoft.graph.").startswith("delta"):
                self._only(call, "GET")
                return self._changes(call, lst, name)
            case ["$count"]:
                raise errors.bad_request("Resource not found for the segment '$count'.")
            case [name, *rest]:
                return self._item(call, lst, self.items.get(lst, name), rest)
        raise self._no_segment("items")

    def _changes(self, call: Call, lst: SharePointList, name: str) -> Response:
        holds = self._world.rules.holds
        plain = name.lower().removeprefix("microsoft.graph.")
        opts = call.options
        if plain not in ("delta", "delta()"):
            if not (plain.startswith("delta(token='") and plain.endswith("')")) or holds("DELTA-TOKEN-ARGUMENT"):
                raise errors.not_found("The resource could not be found.")
            start = len(name) - len(plain) + len("delta(token='")
            opts = Options({**opts.values, "token": name[start:-2]})
        if plain != "delta" and not holds("DELTA-PARENTHESES") and plain == "delta()":
            raise errors.not_found("The resource could not be found.")
        link = f"{call.base}{call.request.path.rpartition('/')[0]}/delta"
        return Response(status=200, content=self._delta.page(call.request, lst, opts, call.base, link))

    def _create(self, call: Call, lst: SharePointList) -> Response:
        fields = self._fields_of(call.body())
        row = self.items.create(lst, fields, call.actor)
        shown = self._world.rules.holds("ITEM-CREATE")
        return self._one(call, lst, row, View(None, shown, None), status=201, echo=True)

    @staticmethod
    def _fields_of(body: dict[str, Any]) -> dict[str, Any]:
        fields = body.get("fields")
        if fields is None:
            return {}
        if not isinstance(fields, dict):
            raise errors.bad_json()
        return fields

    def _item(self, call: Call, lst: SharePointList, row: Row, parts: list[str]) -> Response:
        method, holds = call.request.method, self._world.rules.holds
        match parts:
            case []:
                self._only(call, "GET", "PATCH", "DELETE")
                if method == "GET":
                    opts = call.options
                    shown = options.view(
                        opts,
                        bare=call.bare,
                        fields_always=bool(self._world.knobs["single_item_fields"]) and opts.get("select") is None,
                    )
                    self._lookup_limit(lst, shown)
                    return self._one(call, lst, row, shown)
                self._match(call, lst, row, "ETAG-IF-MATCH-DELETE" if method == "DELETE" else "ETAG-IF-MATCH-ITEM")
                if method == "DELETE":
                    self.items.delete(lst, row, call.actor)
                    return Response(status=204 if holds("ITEM-DELETE") else 200)
                fields = self._fields_of(call.body()) if holds("ITEM-PATCH-ITEM") else {}
                row = self.items.update(lst, row, fields, call.actor)
                return self._one(call, lst, row, View(None, True, None), echo=True)
            case ["fields"]:
                self._only(call, "GET", "PATCH")
                if method == "PATCH":
                    self._match(call, lst, row, "ETAG-IF-MATCH-FIELDS")
                    row = self.items.update(lst, row, call.body(), call.actor)
                    if not holds("ITEM-PATCH-FIELDS"):
                        return Response(status=204)
                elif not holds("ITEM-GET-FIELDS"):
                    return self._one(call, lst, row, View(None, True, None))
                shown = View(None, True, options.field_select(call.options) if method == "GET" else None)
                self._lookup_limit(lst, shown)
                doc = {"@odata.context": self._context(call, lst, "/fields/$entity")} | self.shapes.fields(
                    lst, row, shown.field_select, echo=method == "PATCH"
                )
                return Response(status=200, content=doc, headers=self._etag(lst, row))
            case ["versions", *rest]:
                return self._versions(call, lst, row, rest)
            case ["driveItem", *_] if lst.template != "documentLibrary":
                if not holds("ITEM-NO-DRIVE-ITEM"):
                    raise errors.not_found()
                raise errors.invalid("Only a File or a Folder in a DocumentLibrary can be accessed as a DriveItem.")
            case _:
                raise self._no_segment(parts[0])

    def _versions(self, call: Call, lst: SharePointList, row: Row, parts: list[str]) -> Response:
        match parts:
            case []:
                self._only(call, "GET")
                return Response(
                    status=200,
                    content=self._listings.versions(lst, row, self.items.versions(lst, row), call.options, call.base),
                )
            case [label]:
                self._only(call, "GET")
                found = self.items.version(lst, row, label)
                return Response(status=200, content=self._listings.version(lst, row, found, fields=True))
            case [label, "fields"]:
                self._only(call, "GET")
                found = self.items.version(lst, row, label)
                return Response(status=200, content=self._listings.version(lst, row, found, fields=True)["fields"])
            case [label, "restoreVersion" | "microsoft.graph.restoreVersion" | "restoreVersion()"]:
                self._only(call, "POST")
                self.items.restore_version(lst, row, label, call.actor)
                return Response(status=204)
            case _:
                raise self._no_segment(parts[-1])

    def _match(self, call: Call, lst: SharePointList, row: Row, rule: str) -> None:
        """Raises 412 unless If-Match lets the write through."""
        holds = self._world.rules.holds
        wanted = call.request.headers.get("if-match")
        if wanted is None:
            if not holds("ETAG-LAST-WRITER-WINS"):
                raise self._precondition()
            self._sporadic()
            return
        if not holds(rule):
            return
        if wanted.strip() == "*":
            if not holds("ETAG-IF-MATCH-STAR"):
                raise self._precondition()
            return
        current = self.shapes.etag(lst, row).strip('"')
        listed = {part.strip().removeprefix("W/").strip('"') for part in wanted.split('",')}
        if current not in listed or not holds("ETAG-IF-MATCH-CURRENT"):
            raise self._precondition()

    def _sporadic(self) -> None:
        if self._world.knobs["sporadic_conflict_rate"] and self._world.chance("sporadic_conflict_rate"):
            raise errors.GraphError(
                409,
                "resourceModified",
                "The resource has changed since the caller last read it; usually an eTag mismatch",
            )

    def _precondition(self) -> errors.GraphError:
        if self._world.knobs["precondition_body"] == "notAllowed" or not self._world.rules.holds("ETAG-412-BODY"):
            return errors.GraphError(
                412, "notAllowed", "ETag does not match current item's value", inner="preconditionFailed"
            )
        return errors.GraphError(
            412,
            "resourceModified",
            "The resource has changed since the caller last read it; usually an eTag mismatch",
            inner="entityTagDoesNotMatch",
        )

    # -- answers with items

    def _context(self, call: Call, lst: SharePointList, tail: str) -> str:
        return f"{call.base}/v1.0/$metadata#sites('{self._listings.context_site(lst)}')/lists('{lst.id}')/items{tail}"

    def _etag(self, lst: SharePointList, row: Row) -> tuple[tuple[str, str], ...]:
        etag = self.shapes.etag(lst, row)
        return (("ETag", etag if self._world.rules.holds("ETAG-SHAPE") else f"W/{etag}"),)

    def _one(
        self, call: Call, lst: SharePointList, row: Row, shown: View, *, status: int = 200, echo: bool = False
    ) -> Response:
        doc = self.shapes.item(lst, row, shown, base=call.base, context=self._context(call, lst, "/$entity"), echo=echo)
        headers = self._etag(lst, row)
        if status == 201:
            headers += (
                (
                    "Location",
                    f"{call.base}/v1.0/sites/{self._listings.context_site(lst)}/lists/{lst.id}/items/{row.id}",
                ),
            )
        return Response(status=status, content=doc, headers=headers)

    def _lookup_limit(self, lst: SharePointList, shown: View) -> None:
        if not shown.fields or shown.field_select is None or not self._world.rules.holds("FILTER-LOOKUP-LIMIT"):
            return
        named = {name.removesuffix("LookupId") for name in shown.field_select}
        lookups = [
            name
            for name in named
            if (column := lst.columns.get(name)) is not None
            and column.kind in ("lookup", "multilookup", "user", "multiuser")
        ]
        if len(lookups) > LOOKUP_LIMIT:
            raise errors.GraphError(
                400,
                "invalidRequest",
                "The query cannot be completed because the number of lookup columns it contains exceeds the lookup column threshold.",
            )

    def _page(self, call: Call, lst: SharePointList) -> Response:
        holds, world, opts = self._world.rules.holds, self._world, call.options
        if opts.get("count") is not None and opts.get("count") != "false" and holds("FILTER-NO-COUNT"):
            raise errors.invalid(
                "$count is not supported on this API. Only URLs returned by the API can be used to page.",
                "invalidQueryOption",
            )
        if opts.get("skip") is not None and holds("FILTER-NO-SKIP"):
            raise errors.invalid(
                "$skip is not supported on this API. Only URLs returned by the API can be used to page.",
                "invalidQueryOption",
            )
        order = opts.get("orderby")
        if order is not None:
            self._check_order(call, lst, order)
        shown = options.view(opts, bare=call.bare)
        if not holds("ITEM-FIELDS-ON-EXPAND"):
            shown = View(shown.select, True, shown.field_select)
        self._lookup_limit(lst, shown)
        size, after = paging.size(world, opts.top()), paging.position(world, opts)
        text = opts.get("filter")
        fetch = self._fetch(call, lst, text)
        if not holds("FILTER-NO-SKIP") and (opts.get("skip") or "").isdigit():
            skipped = fetch(after, min(int(opts.get("skip") or 0), 5000))
            after = skipped[-1].id if skipped else after
        rows = fetch(after, size + 1)
        more = len(rows) > size or (not holds("PAGE-LAST-WITHOUT-LINK"))
        rows = rows[:size]
        tail = "(fields())" if shown.fields else ""
        doc: dict[str, Any] = {"@odata.context": self._context(call, lst, tail)}
        if opts.get("count") is not None and not holds("FILTER-NO-COUNT"):
            doc["@odata.count"] = world.rows.count(lst)
        if more:
            last = rows[-1].id if rows else after
            repeat = not holds("PAGE-EVERY-ITEM-ONCE") and len(rows) > 1
            doc["@odata.nextLink"] = paging.next_link(world, call.request, last - 1 if repeat else last)
        shown_rows = rows if holds("PAGE-BY-ID") else rows[::-1]
        doc["value"] = [self.shapes.item(lst, row, shown, base=call.base) for row in shown_rows]
        return Response(status=200, content=doc)

    def _fetch(self, call: Call, lst: SharePointList, text: str | None) -> Callable[[int, int], list[Row]]:
        world = self._world
        ceiling = self._ceiling(call, lst)
        if text is None:
            return lambda after, limit: [row for row in world.rows.page(lst, after, limit) if row.id <= ceiling]
        prefer, zone = call.request.headers.get("prefer", ""), self.items.zone(lst)
        return lambda after, limit: self._filters.page(lst, text, prefer=prefer, after=after, limit=limit, zone=zone)

    def _ceiling(self, call: Call, lst: SharePointList) -> int:
        """Pages are no snapshot; when that rule is broken they end at the highest id of the first page's moment."""
        if self._world.rules.holds("PAGE-NOT-A-SNAPSHOT"):
            return 2**31
        if call.options.get("skiptoken") is None:
            self._snapshot = lst.next_item - 1
        return self._snapshot

    def _check_order(self, call: Call, lst: SharePointList, order: str) -> None:
        name = order.split(" ", maxsplit=1)[0].removeprefix("fields/")
        column = lst.columns.get(name)
        if column is None or self._world.knobs["orderby"] == "refuse":
            raise errors.invalid(f"Field '{name[:200]}' cannot be used in orderby.", "invalidQueryOption")
        if not column.indexed and "honornonindexed" not in call.request.headers.get("prefer", "").lower():
            raise not_indexed(column.name)
