"""The rig: plain HTTP at one site, with throw-away lists that it knows how to remove."""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from .ask import Unasked, status

Json = dict[str, Any]

TITLE_PREFIX: Final = "syncbridge-probe"
"""Every list that the rig makes has a title that begins with this."""

POLITE_UNITS: Final = 900
"""Resource units a minute that leave the smallest tenant (1,250) room for its other work."""

PREFER: Final = {"Prefer": "HonorNonIndexedQueriesWarningMayFailRandomly"}


def text(name: str, **more: Any) -> Json:
    """Describe a single-line text column."""
    return {"name": name, "text": {}, **more}


def columns_of_every_type(target_list_id: str) -> list[Json]:
    """Describe one column of each type; lookups point at Title of the target list."""
    lookup = {"listId": target_list_id, "columnName": "Title"}
    people = {"chooseFromType": "peopleOnly", "displayAs": "nameWithPresence"}
    return [
        text("Plain"),
        text("Code", indexed=True),
        text("UniqueKey", indexed=True, enforceUniqueValues=True),
        {"name": "Note", "text": {"allowMultipleLines": True, "textType": "plain"}},
        {"name": "Num", "number": {"decimalPlaces": "automatic"}},
        {"name": "IdxNum", "number": {}, "indexed": True},
        {"name": "Flag", "boolean": {}},
        {"name": "IdxFlag", "boolean": {}, "indexed": True},
        {"name": "Moment", "dateTime": {"format": "dateTime", "displayAs": "standard"}},
        {"name": "Day", "dateTime": {"format": "dateOnly", "displayAs": "standard"}},
        {"name": "Pick", "choice": {"choices": ["red", "green"], "displayAs": "dropDownMenu"}},
        {"name": "Picks", "choice": {"choices": ["red", "green", "blue"], "displayAs": "checkBoxes"}},
        {"name": "Ref", "lookup": lookup, "indexed": True},
        {"name": "Refs", "lookup": {**lookup, "allowMultipleValues": True}},
        {"name": "Who", "personOrGroup": {**people, "allowMultipleSelection": False}},
        {"name": "Whos", "personOrGroup": {**people, "allowMultipleSelection": True}},
        {"name": "Link", "hyperlinkOrPicture": {"isPicture": False}},
        {"name": "Calc", "calculated": {"formula": "=Num*2", "outputType": "number"}},
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to get a token. The secret stays out of every repr."""

    url: str
    tenant: str
    client_id: str
    secret: str
    scope: str

    def __repr__(self) -> str:
        return f"Login(url={self.url!r}, tenant={self.tenant!r}, client_id={self.client_id!r})"


class Rig:
    """One app at one site. Raises Refuted from the helpers that state what must hold on the way to a question."""

    def __init__(
        self,
        *,
        graph_url: str,
        login: Login,
        site: str,
        client: httpx.Client,
        zone: str | None = None,
        listen: Callable[[httpx.Response], None] = lambda _: None,
        run: str = "run",
        wait: Callable[[float], None] | None = None,
    ) -> None:
        """`site` is a path below /sites/; `zone` the site's IANA time zone, if known; `listen` sees every answer.

        With `wait` (seconds) the rig is polite: it rests after every 900 resource units, so that it is not throttled, and
        sends a request that is throttled all the same again after its Retry-After, three times at most.
        """
        self.graph_url = graph_url.rstrip("/")
        self.login = login
        self.client = client
        self.zone = zone
        self._listen = listen
        self._run = run
        self._wait = wait
        self._spent = 0
        self._serial = itertools.count(1)
        self._token = ""
        self._made: list[str] = []
        self._shared: str | None = None
        self._target: str | None = None
        self._site_ref = site
        self._site: Json | None = None

    # plain HTTP

    def ask_token(self, **changes: str) -> httpx.Response:
        """Ask for a token, with some form fields changed."""
        form = {
            "client_id": self.login.client_id,
            "client_secret": self.login.secret,
            "scope": self.login.scope,
            "grant_type": "client_credentials",
            **changes,
        }
        url = f"{self.login.url.rstrip('/')}/{self.login.tenant}/oauth2/v2.0/token"
        answer = self.client.post(url, data=form)
        self._listen(answer)
        return answer

    def token(self, *, fresh: bool = False) -> str:
        """Give the app's token."""
        if fresh or not self._token:
            self._token = str(status(self.ask_token(), 200).json()["access_token"])
        return self._token

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        token: str | None = None,
    ) -> httpx.Response:
        """Send one Graph request. `path` is below the version root, or a whole URL; a str body is sent as it is."""
        url = path if path.startswith("http") else self.graph_url + path
        sent = {"Authorization": f"Bearer {self.token() if token is None else token}", **(headers or {})}
        if not sent["Authorization"].removeprefix("Bearer "):
            del sent["Authorization"]
        content: str | None = None
        if body is not None:
            content = body if isinstance(body, str) else json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        self._pace(len(body["requests"]) if isinstance(body, dict) and path == "/$batch" and "requests" in body else 1)
        answer = self.client.request(method, url, content=content, headers=sent)
        for _ in range(3):
            if self._wait is None or answer.status_code not in (429, 503):
                break
            after = answer.headers.get("Retry-After", "")
            self._wait(float(after) if after.isdecimal() else 10.0)
            answer = self.client.request(method, url, content=content, headers=sent)
        self._listen(answer)
        return answer

    def _pace(self, requests: int) -> None:
        self._spent += 2 * requests
        if self._wait is not None and self._spent >= POLITE_UNITS:
            self._wait(60.0)
            self._spent = 0

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.call("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self.call("POST", path, body, **more)

    def patch(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return self.call("PATCH", path, body, **more)

    def delete(self, path: str, **more: Any) -> httpx.Response:
        return self.call("DELETE", path, **more)

    def batch(self, *requests: Json) -> httpx.Response:
        """Send a batch. With `wait`, a batch whose requests were all throttled or done is completed before it returns."""
        answer = self.post("/$batch", {"requests": list(requests)})
        if self._wait is None or answer.status_code != 200:
            return answer
        done = {one["id"]: one for one in answer.json()["responses"]}
        for _ in range(3):
            throttled = [one for one in requests if done.get(one["id"], {}).get("status") == 429]
            if not throttled:
                break
            self._wait(65.0)  # the budget is one of a minute
            again = self.post("/$batch", {"requests": throttled})
            done |= {one["id"]: one for one in again.json().get("responses", [])}
        whole = {**answer.json(), "responses": list(done.values())}
        return httpx.Response(200, json=whole, headers={"Content-Type": "application/json"}, request=answer.request)

    # the site

    def site(self) -> Json:
        """Give the site's document."""
        if self._site is None:
            self._site = dict(status(self.get(f"/sites/{self._site_ref}"), 200).json())
        return self._site

    @property
    def root(self) -> str:
        """Path of the site: /sites/{id}."""
        return f"/sites/{self.site()['id']}"

    @property
    def hostname(self) -> str:
        return str(urlsplit(self.site()["webUrl"]).hostname)

    @property
    def site_path(self) -> str:
        """Server-relative path of the site without the leading slash, as it was given; empty for a root site."""
        _, colon, given = self._site_ref.partition(":/")
        return given.strip("/:") if colon else urlsplit(self.site()["webUrl"]).path.strip("/")

    def person(self) -> str:
        """Give the lookup id of somebody in the site's User Information List."""
        people = self.get(f"{self.root}/lists/User Information List/items?$expand=fields&$top=50")
        if people.status_code != 200:
            raise Unasked("the User Information List cannot be read")
        ids = [str(one["id"]) for one in people.json()["value"] if "@" in str(one.get("fields", {}).get("EMail", ""))]
        if not ids:
            raise Unasked("nobody with an e-mail address is in the User Information List")
        return ids[0]

    # throw-away lists

    def title(self) -> str:
        """Give a title that no other list of this run has."""
        return f"{TITLE_PREFIX}-{self._run}-{next(self._serial)}"

    def made(self, list_id: str) -> None:
        """Remember a list that a question made by itself."""
        self._made.append(list_id)

    def new_list(self, *columns: Json, title: str | None = None) -> str:
        """Make a list and give its path. Columns the creation lost are added one by one, as the service asks for."""
        body = {"displayName": title or self.title(), "columns": list(columns), "list": {"template": "genericList"}}
        list_id = str(status(self.post(f"{self.root}/lists", body), 201).json()["id"])
        self.made(list_id)
        path = f"{self.root}/lists/{list_id}"
        found = {one["name"] for one in status(self.get(f"{path}/columns"), 200).json()["value"]}
        for column in columns:
            if column["name"] not in found and not column.get("hidden"):
                status(self.post(f"{path}/columns", column), 201)
        return path

    def target(self) -> str:
        """Give the path of the list that lookups point at; it has items 1 to 3."""
        if self._target is None:
            self._target = self.new_list()
            for title in ("one", "two", "three"):
                self.add(self._target, Title=title)
        return self._target

    def every(self) -> str:
        """Give the path of the list with one column of every type. Questions add items of their own."""
        if self._shared is None:
            self._shared = self.new_list(*columns_of_every_type(self.target().rpartition("/")[2]))
        return self._shared

    def add(self, path: str, **fields: Any) -> Json:
        """Make an item and give the answer's body."""
        return dict(status(self.post(f"{path}/items", {"fields": fields}), 201).json())

    def read(self, path: str, item_id: str, select: str = "") -> Json:
        """Give an item's fields as a read shows them."""
        expand = f"fields($select={select})" if select else "fields"
        return dict(status(self.get(f"{path}/items/{item_id}?$expand={expand}"), 200).json()["fields"])

    def pages(self, path: str) -> Iterator[Json]:
        """Follow the links from `path` to the end; at most 100 pages."""
        link: str | None = path
        for _ in range(100):
            if link is None:
                return
            page = status(self.get(link), 200).json()
            yield page
            link = page.get("@odata.nextLink")

    def delta(self, path: str) -> tuple[list[Json], str]:
        """Read delta from `path` (or a link) to its end: entries in order, and the deltaLink."""
        entries: list[Json] = []
        page: Json = {}
        for page in self.pages(path):
            entries += page["value"]
        return entries, str(page["@odata.deltaLink"])

    def leftovers(self) -> list[str]:
        """Give the ids of this run's lists that are still there."""
        found = self.get(f"{self.root}/lists?$select=id,displayName&$top=5000")
        prefix = f"{TITLE_PREFIX}-{self._run}-"
        listed = found.json()["value"] if found.status_code == 200 else []
        named = [str(one["id"]) for one in listed if str(one.get("displayName")).startswith(prefix)]
        made = [one for one in self._made if one not in named]
        return named + [one for one in made if self.get(f"{self.root}/lists/{one}").status_code != 404]

    def clean_up(self) -> list[str]:
        """Remove every list that this rig made, and give the ids of those that would not go."""
        for list_id in self.leftovers():
            self.delete(f"{self.root}/lists/{list_id}")
        stayed = self.leftovers()
        self._made = list(stayed)
        self._shared = self._target = None
        return stayed
