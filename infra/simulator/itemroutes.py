"""Items of a list: pages, single items, writes with If-Match, versions, delta."""

from collections.abc import Callable
from typing import Any

from infra.simulator import errors, options, paging
from infra.simulator.calls import Call, only, unknown_segment
from infra.simulator.columns import LOOKUPS
from infra.simulator.delta import Delta
from infra.simulator.filters import Filters, not_indexed
from infra.simulator.items import Items
from infra.simulator.listings import Listings
from infra.simulator.lists import SharePointList
from infra.simulator.options import Options
from infra.simulator.rows import Row
from infra.simulator.shapes import LOOKUP_LIMIT, Shapes, View
from infra.simulator.wire import Response
from infra.simulator.world import World

_NO_CEILING = 2**31


class ItemRoutes:
    def __init__(self, world: World, shapes: Shapes, items: Items, listings: Listings) -> None:
        self._world = world
        self._shapes = shapes
        self._items = items
        self._listings = listings
        self._filters = Filters(world)
        self._delta = Delta(world, shapes)
        self._snapshot = _NO_CEILING

    def run(self, call: Call, lst: SharePointList, parts: list[str]) -> Response:
        """Everything below `items`. Raises GraphError."""
        method = call.request.method
        match parts:
            case []:
                only(self._world.rules, call, "GET", "POST")
                return self._page(call, lst) if method == "GET" else self._create(call, lst)
            case [name] if name.lower().removeprefix("microsoft.graph.").startswith("delta"):
                only(self._world.rules, call, "GET")
                return self._changes(call, lst, name)
            case ["$count"]:
                raise errors.bad_request("Resource not found for the segment '$count'.")
            case [name, *rest]:
                return self._item(call, lst, self._items.get(lst, name), rest)
        raise unknown_segment(self._world.rules, "items")

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
        return Response(status=200, content=self._delta.page(lst, opts, call.base, link))

    def _create(self, call: Call, lst: SharePointList) -> Response:
        fields = self._fields_of(call.body())
        self._world.sporadic_conflict()
        row = self._items.create(lst, fields, call.actor)
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
                only(self._world.rules, call, "GET", "PATCH", "DELETE")
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
                    self._items.delete(lst, row, call.actor)
                    return Response(status=204 if holds("ITEM-DELETE") else 200)
                fields = self._fields_of(call.body()) if holds("ITEM-PATCH-ITEM") else {}
                row = self._items.update(lst, row, fields, call.actor)
                return self._one(call, lst, row, View(None, True, None), echo=True)
            case ["fields"]:
                only(self._world.rules, call, "GET", "PATCH")
                if method == "PATCH":
                    self._match(call, lst, row, "ETAG-IF-MATCH-FIELDS")
                    row = self._items.update(lst, row, call.body(), call.actor)
                    if not holds("ITEM-PATCH-FIELDS"):
                        return Response(status=204)
                elif not holds("ITEM-GET-FIELDS"):
                    return self._one(call, lst, row, View(None, True, None))
                shown = View(None, True, options.field_select(call.options) if method == "GET" else None)
                self._lookup_limit(lst, shown)
                doc = {"@odata.context": self._context(call, lst, "/fields/$entity")} | self._shapes.fields(
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
                raise unknown_segment(self._world.rules, parts[0])

    def _versions(self, call: Call, lst: SharePointList, row: Row, parts: list[str]) -> Response:
        match parts:
            case []:
                only(self._world.rules, call, "GET")
                return Response(
                    status=200,
                    content=self._listings.versions(lst, row, self._items.versions(lst, row), call.options, call.base),
                )
            case [label]:
                only(self._world.rules, call, "GET")
                found = self._items.version(lst, row, label)
                return Response(status=200, content=self._listings.version(lst, row, found, fields=True))
            case [label, "fields"]:
                only(self._world.rules, call, "GET")
                found = self._items.version(lst, row, label)
                return Response(status=200, content=self._listings.version(lst, row, found, fields=True)["fields"])
            case [label, "restoreVersion" | "microsoft.graph.restoreVersion" | "restoreVersion()"]:
                only(self._world.rules, call, "POST")
                self._items.restore_version(lst, row, label, call.actor)
                return Response(status=204)
            case _:
                raise unknown_segment(self._world.rules, parts[-1])

    def _match(self, call: Call, lst: SharePointList, row: Row, rule: str) -> None:
        """Raises 412 unless If-Match lets the write through."""
        holds = self._world.rules.holds
        wanted = call.request.headers.get("if-match")
        if wanted is None:
            if not holds("ETAG-LAST-WRITER-WINS"):
                raise self._precondition()
            self._world.sporadic_conflict()
            return
        if not holds(rule):
            return
        if wanted.strip() == "*":
            if not holds("ETAG-IF-MATCH-STAR"):
                raise self._precondition()
            return
        current = self._shapes.etag(lst, row).strip('"')
        listed = {part.strip().removeprefix("W/").strip('"') for part in wanted.split('",')}
        if current not in listed or not holds("ETAG-IF-MATCH-CURRENT"):
            raise self._precondition()

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
        etag = self._shapes.etag(lst, row)
        return (("ETag", etag if self._world.rules.holds("ETAG-SHAPE") else f"W/{etag}"),)

    def _one(
        self, call: Call, lst: SharePointList, row: Row, shown: View, *, status: int = 200, echo: bool = False
    ) -> Response:
        doc = self._shapes.item(
            lst, row, shown, base=call.base, context=self._context(call, lst, "/$entity"), echo=echo
        )
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
        lookups = [name for name in named if (column := lst.columns.get(name)) is not None and column.kind in LOOKUPS]
        if len(lookups) > LOOKUP_LIMIT:
            raise errors.GraphError(
                400,
                "invalidRequest",
                "The query cannot be completed because the number of lookup columns it contains exceeds "
                "the lookup column threshold.",
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
        doc["value"] = [self._shapes.item(lst, row, shown, base=call.base) for row in shown_rows]
        return Response(status=200, content=doc)

    def _fetch(self, call: Call, lst: SharePointList, text: str | None) -> Callable[[int, int], list[Row]]:
        world = self._world
        ceiling = self._ceiling(call, lst)
        if text is None:
            return lambda after, limit: [row for row in world.rows.page(lst, after, limit) if row.id <= ceiling]
        prefer, zone = call.request.headers.get("prefer", ""), self._items.zone(lst)
        return lambda after, limit: self._filters.page(lst, text, prefer=prefer, after=after, limit=limit, zone=zone)

    def _ceiling(self, call: Call, lst: SharePointList) -> int:
        """Pages are no snapshot; when that rule is broken they end at the highest id of the first page's moment."""
        if self._world.rules.holds("PAGE-NOT-A-SNAPSHOT"):
            return _NO_CEILING
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
