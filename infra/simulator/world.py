"""Everything the simulator knows, in memory for reading and in the store for keeping."""

import random
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from infra.simulator.budget import Budget
from infra.simulator.clock import Clock
from infra.simulator.columns import Column
from infra.simulator.errors import GraphError
from infra.simulator.journal import Journal
from infra.simulator.knobs import BY_NAME, Knobs
from infra.simulator.lists import USERS_TITLE, SharePointList, system_columns
from infra.simulator.rows import Row, Rows, key_of
from infra.simulator.store import LIVE, Store
from infra.simulator.switchboard import Switchboard
from infra.simulator.tenants import PEOPLE, Site, Tenant, User, stable_guid


@lru_cache(maxsize=8192)
def _quoted(path: str) -> str:
    return quote(path)


class World:
    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.clock = Clock()
        self.knobs = Knobs()
        self.rules = Switchboard()
        self.rows = Rows(self.store)
        self.journal = Journal(self.knobs)
        self.budget = Budget(self.knobs, self.rules)
        self.tenants: dict[str, Tenant] = {}
        self.sites: dict[int, Site] = {}
        self.lists: dict[int, SharePointList] = {}
        self.subscriptions: dict[str, dict[str, Any]] = {}
        self.dice = random.Random(1)
        self.watchers: list[Any] = []  # called with (list, app or None) after a committed change of items
        self._site_by_web: dict[tuple[str, str], Site] = {}
        self._site_by_path: dict[tuple[str, str], Site] = {}
        self._list_by_id: dict[str, SharePointList] = {}
        self._lists_of: dict[int, dict[int, SharePointList]] = {}
        self._titles: dict[tuple[int, str], SharePointList] = {}
        self._changed: dict[int, tuple[SharePointList, str | None]] = {}
        self.load()
        self.load_state()

    # -- keeping

    def load(self) -> None:
        """Read tenants, sites, lists and subscriptions anew; what was in memory is forgotten."""
        for index in (
            self._site_by_web,
            self._site_by_path,
            self._list_by_id,
            self._lists_of,
            self._titles,
            self._changed,
        ):
            index.clear()
        self.tenants = {doc["id"]: Tenant.of(doc) for doc in self.store.all("tenant")}
        self.sites = {}
        for doc in self.store.all("site"):
            self._index_site(Site.of(doc))
        self.lists = {}
        for doc in self.store.all("list"):
            lst = SharePointList.of(doc)
            lst.next_item = self.rows.next_id(lst)
            self._index_list(lst)
        self.subscriptions = {doc["id"]: doc for doc in self.store.all("subscription")}

    def load_state(self) -> None:
        """Knobs, switches, clock and daily counters as they were saved; what this version does not know is left out."""
        state = self.store.get("state", "service") or {}
        self.knobs.reset()
        self.knobs.set({name: value for name, value in state.get("knobs", {}).items() if name in BY_NAME})
        self.rules.mend_all()
        for rule in state.get("broken", []):
            with suppress(KeyError):
                self.rules.set(rule, broken=True)
        if "clock" in state:
            self.clock.restore(state["clock"])
        self.budget.restore(state.get("days", []))

    def save_state(self) -> None:
        """Knobs, switches, clock and daily counters; the rest is stored as it changes."""
        state = {
            "knobs": self.knobs.changed(),
            "broken": self.rules.broken(),
            "clock": self.clock.saved(),
            "days": self.budget.saved(),
        }
        self.store.put("state", "service", state)

    def commit(self) -> None:
        """Make the request's writes durable, then tell the watchers."""
        self.store.commit()
        changed, self._changed = self._changed, {}
        for lst, app in changed.values():
            for watcher in self.watchers:
                watcher(lst, app)

    def rollback(self) -> None:
        """Undo what the request wrote, in memory too."""
        self.store.rollback()
        self.rows.reload()
        self.load()

    def reset(self) -> None:
        """Forget everything; the request's commit makes it final."""
        self.clock.reset()
        self.store.wipe()
        self.rows.reload()
        self.load()
        self.load_state()
        self.budget.clear()
        self.journal.clear()

    # -- tenants and sites

    def add_tenant(self, tenant: Tenant) -> None:
        self.tenants[tenant.id] = tenant
        self.store.put("tenant", tenant.id, tenant.doc())

    def add_site(
        self,
        *,
        tenant: Tenant,
        path: str,
        title: str,
        timezone: str | None = None,
        kind: str = "site",
        parent: Site | None = None,
    ) -> Site:
        number = max(self.sites, default=0) + 1
        collection = parent.collection if parent else stable_guid(tenant.id, path.lower(), "collection")
        site = Site(
            number=number,
            tenant=tenant.id,
            path=path,
            title=title,
            collection=collection,
            web=stable_guid(tenant.id, path.lower(), "web"),
            created=self.clock.second(),
            kind=kind,
            parent=parent.number if parent else None,
            users=list(PEOPLE),
        )
        if timezone:
            site.timezone = timezone
        self.save_site(site)
        self._index_site(site)
        users = self.add_list(site, title=USERS_TITLE, template="userInformation", hidden=True, system=True)
        for name in ("EMail", "UserName", "JobTitle"):
            slot = users.next_slot
            users.next_slot += 1
            users.columns[name] = Column(
                id=stable_guid(users.id, name),
                slot=str(slot),
                name=name,
                title=name,
                kind="text",
                facet="text",
                options={"maxLength": 255},
            )
        self.save_list(users)
        for user in site.users:
            self.add_user(site, user)
        return site

    def add_user(self, site: Site, user: User) -> None:
        lst = self._titles[site.number, USERS_TITLE.casefold()]
        now = self.clock.second()
        values = {"t": user.name, lst.columns["EMail"].slot: user.email, lst.columns["UserName"].slot: user.email}
        row = Row(key_of(lst, user.id), 1, now, now, user.id, user.id, None, None, 0, now, LIVE, values)
        self.rows.put(lst, row, None)
        lst.next_item = max(lst.next_item, user.id + 1)

    def save_site(self, site: Site) -> None:
        self.store.put("site", f"{site.number:010}", site.doc())

    def site_id(self, site: Site) -> str:
        if not self.rules.holds("SITE-COMPOSITE-ID"):
            return site.web
        return f"{self.tenants[site.tenant].hostname},{site.collection},{site.web}"

    def site_url(self, site: Site) -> str:
        return f"https://{self.tenants[site.tenant].hostname}{_quoted(site.path)}"

    def sites_of(self, tenant: Tenant) -> list[Site]:
        return [site for site in self.sites.values() if site.tenant == tenant.id and not site.gone]

    def site_by_guid(self, tenant: Tenant, guid: str) -> Site | None:
        """A site by its web guid, else the top site of the collection with that guid."""
        found = self._site_by_web.get((tenant.id, guid.lower()))
        if found is None:
            tops = (site for site in self.sites_of(tenant) if site.collection == guid.lower() and site.parent is None)
            found = next(tops, None)
        return found if found and not found.gone else None

    def site_by_path(self, tenant: Tenant, path: str) -> Site | None:
        """`path` without a trailing slash; "" is the root site. Case does not matter."""
        found = self._site_by_path.get((tenant.id, path.lower()))
        if found and not self.rules.holds("SITE-PATH-CASE") and found.path != path:
            return None
        return found if found and not found.gone else None

    def _index_site(self, site: Site) -> None:
        self.sites[site.number] = site
        self._site_by_web[site.tenant, site.web] = site
        self._site_by_path[site.tenant, site.path.lower()] = site
        self._lists_of.setdefault(site.number, {})

    # -- lists

    def add_list(
        self, site: Site, *, title: str, template: str = "genericList", hidden: bool = False, system: bool = False
    ) -> SharePointList:
        number = max(self.lists, default=0) + 1
        number = max(number, int(self.store.get("state", "last list") or 0) + 1)
        self.store.put("state", "last list", number)
        segment = "".join(character for character in title if character.isalnum() or character in " _-") or "List"
        taken = {lst.name.lower() for lst in self.lists_of(site)}
        name = next(candidate for n in range(10_000) if (candidate := f"{segment}{n or ''}").lower() not in taken)
        now = self.clock.second()
        lst = SharePointList(
            number=number,
            id=stable_guid(site.web, number, title),
            site=site.number,
            name=name,
            title=title,
            created=now,
            modified=now,
            template=template,
            hidden=hidden,
            system=system,
            versioning=bool(self.knobs["versioning_default"]),
            columns=system_columns(),
        )
        self.save_list(lst)
        self._index_list(lst)
        return lst

    def save_list(self, lst: SharePointList) -> None:
        """Store the list as changed now."""
        lst.touch(self.clock.second())
        self.store.put("list", f"{lst.number:010}", lst.doc())

    def rename_list(self, lst: SharePointList, title: str) -> None:
        self._titles.pop((lst.site, lst.title.casefold()), None)
        lst.title = title
        self._titles[lst.site, title.casefold()] = lst

    def drop_list(self, lst: SharePointList) -> None:
        self.rows.drop_list(lst)
        self.store.drop("list", f"{lst.number:010}")
        del self.lists[lst.number], self._list_by_id[lst.id], self._lists_of[lst.site][lst.number]
        if self._titles.get((lst.site, lst.title.casefold())) is lst:
            del self._titles[lst.site, lst.title.casefold()]

    def lists_of(self, site: Site) -> Iterator[SharePointList]:
        return iter(list(self._lists_of[site.number].values()))

    def list_by_title(self, site: Site, title: str) -> SharePointList | None:
        return self._titles.get((site.number, title.casefold()))

    def list_by_id(self, list_id: str) -> SharePointList | None:
        return self._list_by_id.get(list_id.lower())

    def find_list(self, site: Site, name: str) -> SharePointList | None:
        """A list of the site by id or title."""
        found = self._list_by_id.get(name.lower().strip("{}"))
        if found is not None and found.site == site.number:
            return found
        if not self.rules.holds("LIST-BY-ID-OR-TITLE"):
            return None
        return self.list_by_title(site, name)

    def list_url(self, lst: SharePointList) -> str:
        site = self.sites[lst.site]
        folder = "" if lst.template == "documentLibrary" else "Lists/"
        return f"{self.site_url(site)}/{folder}{_quoted(lst.name)}"

    def changed(self, lst: SharePointList, app: str | None) -> None:
        """Note for the watchers that items of the list changed in this request."""
        self._changed[lst.number] = (lst, app)

    def _index_list(self, lst: SharePointList) -> None:
        self.lists[lst.number] = lst
        self._list_by_id[lst.id] = lst
        self._lists_of[lst.site][lst.number] = lst
        self._titles[lst.site, lst.title.casefold()] = lst

    def chance(self, knob: str) -> bool:
        """One throw of the service's own dice (not of a fault plan) against a rate knob."""
        return self.dice.random() < float(self.knobs[knob])

    def sporadic_conflict(self) -> None:
        """The 409 that writes meet now and then, as the knob wills. Raises GraphError; nothing has happened yet."""
        if self.knobs["sporadic_conflict_rate"] and self.chance("sporadic_conflict_rate"):
            text = "The resource has changed since the caller last read it; usually an eTag mismatch"
            raise GraphError(409, "resourceModified", text)

    def close(self) -> None:
        self.save_state()
        self.store.close()
