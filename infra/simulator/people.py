"""What people do in the browser: edits that are no app's, cost nothing and are never throttled."""

from typing import TYPE_CHECKING, Any

from infra.simulator import errors
from infra.simulator.clock import iso, parse_iso
from infra.simulator.columns import LOOKUPS
from infra.simulator.errors import Unfit
from infra.simulator.grants import Grants
from infra.simulator.items import Actor
from infra.simulator.lists import SharePointList
from infra.simulator.outlines import Outlines
from infra.simulator.rollback import roll_back
from infra.simulator.rows import Row
from infra.simulator.store import RECYCLED
from infra.simulator.tenants import PEOPLE, Site
from infra.simulator.wire import Request, Response

if TYPE_CHECKING:
    from infra.simulator.service import Service


class People:
    def __init__(self, service: "Service") -> None:
        self._service = service
        self._world = service.world
        self.items = service.routes.items
        self.shapes = service.routes.shapes
        self._structure = service.routes.structure
        self._outlines = Outlines(service.world)

    def handle(self, request: Request, parts: list[str]) -> Response:
        """Requests below /_sim/people. Raises GraphError and ValueError."""
        method = request.method
        match parts:
            case ["lists"] if method == "GET":
                return Response(status=200, content={"lists": [self.about(lst) for lst in self._world.lists.values()]})
            case ["lists"] if method == "POST":
                body = _body(request)
                site = self._site(str(body.pop("site", "")))
                return Response(status=201, content=self.about(self._structure.create_list(site, body, "")))
            case ["lists", name, *rest]:
                return self._list(request, self.find(name, request.query.get("site", "")), rest)
            case ["sites", name, "revoke"] if method == "POST":
                return self._revoke(self._site(name), _body(request))
            case ["revoke"] if method == "POST":
                body = _body(request)
                return self._revoke(self._site(str(body.get("site", ""))), body)
            case ["notifications", "pause" | "resume" as action] if method == "POST":
                self._world.knobs.set({"notification_paused": action == "pause"})
                if action == "resume":
                    self._service.notices.resume()
                return Response(status=200, content={"paused": action == "pause"})
            case _:
                raise errors.not_found("People know lists, sites, revoke and notifications.")

    def find(self, name: str, site: str = "") -> SharePointList:
        """A list by id, or by title where the title is known once (or in `site`)."""
        found = self._world.list_by_id(name)
        if found is not None:
            return found
        titled = [lst for lst in self._world.lists.values() if lst.title.casefold() == name.casefold()]
        if site:
            wanted = self._site(site).number
            titled = [lst for lst in titled if lst.site == wanted]
        if len(titled) != 1:
            raise errors.not_found(
                "There is no such list." if not titled else "Several lists have that title; name the site too."
            )
        return titled[0]

    def _site(self, text: str) -> Site:
        for site in self._world.sites.values():
            if (
                text.lower()
                in (
                    site.path.lower(),
                    site.web,
                    self._world.site_id(site).lower(),
                    site.path.rpartition("/")[2].lower(),
                )
                and not site.gone
            ):
                return site
        raise errors.not_found("There is no such site.")

    def about(self, lst: SharePointList) -> dict[str, Any]:
        site = self._world.sites[lst.site]
        return {
            "id": lst.id,
            "title": lst.title,
            "site": site.path,
            "site_id": self._world.site_id(site),
            "template": lst.template,
            "hidden": lst.hidden,
            "items": self._world.rows.count(lst),
            "versioning": lst.versioning,
        }

    # -- one list

    def _list(self, request: Request, lst: SharePointList, parts: list[str]) -> Response:
        method = request.method
        match parts:
            case [] if method == "GET":
                columns = [self._outlines.column(column) for column in lst.columns.values()]
                return Response(status=200, content={**self.about(lst), "columns": columns})
            case [] if method == "PATCH":
                body = _body(request)
                if isinstance(body.get("versioning"), bool):
                    lst.versioning = body["versioning"]
                self._structure.update_list(lst, body)
                return Response(status=200, content=self.about(lst))
            case [] if method == "DELETE":
                self._structure.delete_list(lst)
                return Response(status=204)
            case ["rollback"] if method == "POST":
                moment = parse_iso(str(_body(request).get("to", "")))
                return Response(status=200, content=roll_back(self._world, lst, int(moment)))
            case ["items", *rest]:
                return self._items(request, lst, rest)
            case ["recycle-bin", *rest]:
                return self._bin(request, lst, rest)
            case ["columns", *rest]:
                return self._columns(request, lst, rest)
        raise errors.not_found("A list has items, recycle-bin, columns and rollback.")

    def _items(self, request: Request, lst: SharePointList, parts: list[str]) -> Response:
        method, actor = request.method, self.actor(request, lst)
        match parts:
            case [] if method == "GET":
                query = request.query
                top, skip = min(int(query.get("top", 100)), 5000), int(query.get("skip", 0))
                found, total = self.search(lst, query.get("q", ""), skip, top)
                return Response(status=200, content={"total": total, "items": [self.row(lst, row) for row in found]})
            case [] if method == "POST":
                row = self.items.create(lst, self._annotated(lst, _fields(request)), actor)
                return Response(status=201, content=self.row(lst, row))
            case [name]:
                row = self.items.get(lst, name)
                if method == "GET":
                    return Response(status=200, content=self.row(lst, row))
                if method == "PATCH":
                    return Response(
                        status=200,
                        content=self.row(
                            lst, self.items.update(lst, row, self._annotated(lst, _fields(request)), actor)
                        ),
                    )
                if method == "DELETE":
                    self.items.delete(lst, row, actor)
                    return Response(status=204)
            case [name, "move" | "copy" as how] if method == "POST":
                return self._transfer(request, lst, self.items.get(lst, name), how, actor)
        raise errors.bad_method()

    def search(self, lst: SharePointList, text: str, skip: int, top: int) -> tuple[list[Row], int]:
        """Live items with `text` in any value (all without one), and how many there are."""
        if not text:
            total = self._world.rows.count(lst)
            rows: list[Row] = []
            after = 0
            while len(rows) < skip + top:
                page = self._world.rows.page(lst, after, min(1000, skip + top - len(rows)))
                if not page:
                    break
                rows += page
                after = page[-1].id
            return rows[skip:], total
        low = text.lower()
        hits = [
            row
            for row in self._world.rows.every(lst, 0)
            if any(low in str(value).lower() for value in row.values.values()) or text == str(row.id)
        ]
        return hits[skip : skip + top], len(hits)

    def row(self, lst: SharePointList, row: Row) -> dict[str, Any]:
        """An item as people see it: every value, hidden columns too."""
        names = tuple(column.name for column in lst.columns.values() if column.slot)
        fields = self.shapes.fields(lst, row, names)
        return {
            "id": row.id,
            "version": row.version,
            "etag": self.shapes.etag(lst, row),
            "created": iso(row.created),
            "modified": iso(row.modified),
            "author": self._name(lst, row.author, row.author_app),
            "editor": self._name(lst, row.editor, row.editor_app),
            "fields": {name: value for name, value in fields.items() if not name.startswith("@")},
        }

    def _name(self, lst: SharePointList, user: int, app: str | None) -> str:
        site = self._world.sites[lst.site]
        if app is not None:
            found = self._world.tenants[site.tenant].apps.get(app)
            return found.name if found else app
        return next((person.name for person in site.users if person.id == user), str(user))

    def actor(self, request: Request, lst: SharePointList) -> Actor:
        """Who is meant by the X-Person header or `person` in the query (a name or a lookup id); Megan Bowen without either."""
        wanted = request.headers.get("x-person") or request.query.get("person") or ""
        users = self._world.sites[lst.site].users or list(PEOPLE)
        found = next((user for user in users if wanted in (user.name, user.email, str(user.id))), None)
        if wanted and found is None:
            raise Unfit("nobody of that name is in the site")
        return Actor((found or users[0]).id)

    @staticmethod
    def _annotated(lst: SharePointList, fields: dict[str, Any]) -> dict[str, Any]:
        """People choose from a form: a lookup may be given under its plain name."""
        return {
            (
                f"{name}LookupId"
                if (column := lst.columns.get(name)) and column.kind in LOOKUPS and column.slot
                else name
            ): value
            for name, value in fields.items()
        }

    def _transfer(self, request: Request, lst: SharePointList, row: Row, how: str, actor: Actor) -> Response:
        """Into another list: values of columns that both have, under a new id there."""
        body = _body(request)
        target = self.find(str(body.get("list", "")), str(body.get("site", "")))
        fields = self.shapes.fields(lst, row, None)
        known = {
            column.key
            for column in target.columns.values()
            if column.slot and column.kind not in ("calculated", "multilookup", "multiuser")
        }
        kept = {name: value for name, value in fields.items() if name in known}
        made = self.items.create(target, kept, actor)
        if how == "move":
            self.items.delete(lst, row, actor)
        return Response(status=201, content=self.row(target, made))

    def _bin(self, request: Request, lst: SharePointList, parts: list[str]) -> Response:
        match parts:
            case [] if request.method == "GET":
                rows = self._world.rows.recycled(lst, 5000)
                return Response(status=200, content={"items": [self.row(lst, row) for row in rows]})
            case [name, "restore"] if request.method == "POST" and name.isdigit():
                return Response(
                    status=200, content=self.row(lst, self.items.restore(lst, int(name), self.actor(request, lst)))
                )
            case [name] if request.method == "DELETE" and name.isdigit():
                if self._world.rows.get(lst, int(name), RECYCLED) is None:
                    raise errors.not_found("There is no such item in the recycle bin")
                self._world.rows.purge(lst, int(name))
                return Response(status=204)
        raise errors.not_found("The recycle bin has items; POST …/{id}/restore brings one back.")

    def _columns(self, request: Request, lst: SharePointList, parts: list[str]) -> Response:
        match parts:
            case [] if request.method == "POST":
                return Response(
                    status=201, content=self._outlines.column(self._structure.create_column(lst, _body(request)))
                )
            case [name]:
                column = self._structure.column_of(lst, name)
                if request.method == "PATCH":
                    return Response(
                        status=200,
                        content=self._outlines.column(self._structure.update_column(lst, column, _body(request))),
                    )
                if request.method == "DELETE":
                    self._structure.delete_column(lst, column)
                    return Response(status=204)
            case [name, "retype"] if request.method == "POST":
                column = self._structure.column_of(lst, name)
                return Response(
                    status=200,
                    content=self._outlines.column(self._structure.retype_column(lst, column, _body(request))),
                )
        raise errors.bad_method()

    def _revoke(self, site: Site, body: dict[str, Any]) -> Response:
        wanted = str(body.get("client_id", "")).lower()
        gone = [grant for grant in site.grants if not wanted or grant.app_id == wanted]
        for grant in gone:
            Grants(self._world).revoke(site, None, grant)
        return Response(status=200, content={"revoked": len(gone)})


def _body(request: Request) -> dict[str, Any]:
    body = request.json()
    if not isinstance(body, dict):
        raise Unfit("the body must be a JSON object")
    return body


def _fields(request: Request) -> dict[str, Any]:
    body = _body(request)
    fields = body.get("fields", body)
    if not isinstance(fields, dict):
        raise Unfit("fields must be an object")
    return fields
