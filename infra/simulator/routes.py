"""The Graph surface below /v1.0: sites, lists and columns; items go on to `itemroutes`."""

from infra.simulator import auth, errors
from infra.simulator.addressing import Addressing
from infra.simulator.auth import Auth
from infra.simulator.calls import Call, only, unknown_segment
from infra.simulator.grants import Grants
from infra.simulator.itemroutes import ItemRoutes
from infra.simulator.items import Items
from infra.simulator.listings import Listings
from infra.simulator.lists import SharePointList
from infra.simulator.options import Options
from infra.simulator.shapes import Shapes
from infra.simulator.structure import Structure
from infra.simulator.subscriptions import Subscriptions
from infra.simulator.tenants import Site
from infra.simulator.wire import Answer, Response
from infra.simulator.world import World


class Routes:
    def __init__(self, world: World, access: Auth, subscriptions: Subscriptions) -> None:
        self._world = world
        self._auth = access
        self.shapes = Shapes(world)
        self.items = Items(world, self.shapes)
        self.structure = Structure(world)
        self._addressing = Addressing(world)
        self._listings = Listings(world, self.shapes, access)
        self._grants = Grants(world)
        self._subscriptions = subscriptions
        self._items = ItemRoutes(world, self.shapes, self.items, self._listings)

    def run(self, call: Call) -> Answer:
        """Do what the call asks. Raises GraphError."""
        match call.parts:
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
                raise unknown_segment(self._world.rules, call.parts[0])

    # -- sites

    def _sites(self, call: Call, parts: list[str]) -> Answer:
        match parts:
            case []:
                only(self._world.rules, call, "GET")
                return self._listings.search(call.identity, call.options, call.request)
            case [name, *rest] if (
                name.lower() in ("getallsites", "getallsites()", "microsoft.graph.getallsites()") and not rest
            ):
                only(self._world.rules, call, "GET")
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
                only(self._world.rules, call, "GET")
                return self._listings.site(site, call.options, call.base)
            case ["sites"]:
                only(self._world.rules, call, "GET")
                return self._listings.subsites(call.identity, site)
            case ["lists"]:
                only(self._world.rules, call, "GET", "POST")
                if call.request.method == "GET":
                    return self._listings.lists(site, call.options, call.base)
                self._writable(site)
                lst = self.structure.create_list(site, call.body(), call.identity.app.client_id)
                status = 201 if self._world.rules.holds("LIST-CREATE") else 200
                return Response(
                    status=status, content=self._listings.list_doc(lst, call.base, Options({}), created_now=True)
                )
            case ["columns"]:
                only(self._world.rules, call, "GET")
                return Response(status=200, content={"value": []})
            case ["drive", "list"] | ["drive"]:
                library = next((lst for lst in self._world.lists_of(site) if lst.template == "documentLibrary"), None)
                if library is None:
                    raise errors.not_found()
                return self._list(call, site, library, []) if len(parts) == 2 else self._drive(library, call)
            case _:
                raise unknown_segment(
                    self._world.rules, parts[-1] if parts[0] in ("lists", "columns", "sites") else parts[0]
                )

    def _drive(self, lst: SharePointList, call: Call) -> Response:
        only(self._world.rules, call, "GET")
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
                only(self._world.rules, call, "GET", "PATCH", "DELETE")
                if method == "DELETE":
                    self.structure.delete_list(lst)
                    return Response(status=204)
                if method == "PATCH":
                    self.structure.update_list(lst, call.body())
                return Response(status=200, content=self._listings.list_doc(lst, call.base, call.options))
            case ["columns", *rest]:
                return self._columns(call, lst, rest)
            case ["items", *rest]:
                return self._items.run(call, lst, rest)
            case ["subscriptions", *rest]:
                return self._subscriptions.run(call, rest, lst=lst)
            case ["permissions", *rest]:
                return self._grants.run(call, site, lst, rest)
            case ["contentTypes"]:
                only(self._world.rules, call, "GET")
                return Response(
                    status=200, content={"value": [{"id": "0x0100", "name": "Item", "group": "List Content Types"}]}
                )
            case ["drive"]:
                if lst.template != "documentLibrary":
                    raise errors.not_found()
                return self._drive(lst, call)
            case ["operations"]:
                only(self._world.rules, call, "GET")
                return Response(status=200, content={"value": []})
            case _:
                raise unknown_segment(self._world.rules, parts[0])

    def _columns(self, call: Call, lst: SharePointList, parts: list[str]) -> Response:
        method = call.request.method
        match parts:
            case []:
                only(self._world.rules, call, "GET", "POST")
                if method == "GET":
                    return Response(status=200, content=self._listings.columns(lst, call.options, call.base))
                self._world.sporadic_conflict()
                made = self.structure.create_column(lst, call.body())
                return Response(status=201, content=self._listings.column(lst, made, call.base))
            case [name]:
                only(self._world.rules, call, "GET", "PATCH", "DELETE")
                column = self.structure.column_of(lst, name)
                if method == "DELETE":
                    self.structure.delete_column(lst, column)
                    return Response(status=204)
                if method == "PATCH":
                    column = self.structure.update_column(lst, column, call.body())
                return Response(status=200, content=self._listings.column(lst, column, call.base))
            case _:
                raise unknown_segment(self._world.rules, parts[1])
