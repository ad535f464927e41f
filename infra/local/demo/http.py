"""The control API and Graph as the demo uses them: plain HTTP, errors in words."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

_DONE = ("COMPLETED", "COMPLETED_WITH_ERRORS", "HELD", "FAILED", "CANCELLED")
Json = Any


class DemoError(Exception):
    """A step did not do what it should. The message says which and what was seen instead."""


class Api:
    """The control API below /api/v1."""

    def __init__(self, base_url: str, key: str) -> None:
        self._http = httpx.Client(base_url=base_url, headers={"x-functions-key": key}, timeout=230)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def get(self, path: str, **query: str | int) -> Json:
        """The answer's JSON. Raises DemoError with the problem's own words."""
        return self._send("GET", path, params=query)

    def post(self, path: str, body: Mapping[str, object] | None = None, **query: str) -> Json:
        """The same for POST."""
        return self._send("POST", path, json=body, params=query)

    def put(self, path: str, body: object) -> Json:
        """The same for PUT."""
        return self._send("PUT", path, json=body)

    def _send(self, method: str, path: str, **how: Any) -> Json:
        try:
            answer = self._http.request(method, path, **how)
        except httpx.HTTPError as error:
            raise DemoError(f"{method} {path} got no answer: {error!r}") from error
        if answer.is_error:
            raise DemoError(f"{method} {path} was answered with {answer.status_code}: {answer.text[:2000]}")
        return answer.json() if answer.content else None

    def finished(self, run_id: str, *, seconds: float, watch: Callable[[Json], None] = lambda _: None) -> Json:
        """The run once it has ended; `watch` sees it about twice a second before."""
        deadline = time.monotonic() + seconds
        while (run := self.get(f"/runs/{run_id}"))["status"] not in _DONE:
            watch(run)
            if time.monotonic() > deadline:
                raise DemoError(f"the run {run_id} did not end within {seconds:.0f} s; it says {run}")
            time.sleep(0.5)
        return run


class Graph:
    """Microsoft Graph as a reader: an app's token, a list's items."""

    def __init__(self, url: str, *, tenant: str, client: str, secret: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60)
        form = {
            "grant_type": "client_credentials",
            "client_id": client,
            "client_secret": secret,
            "scope": "https://graph.microsoft.com/.default",
        }
        answer = self._http.post(f"/{tenant}/oauth2/v2.0/token", data=form)
        if answer.is_error:
            raise DemoError(f"the token endpoint answered {answer.status_code}: {answer.text[:500]}")
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def items(self, site: str, list_id: str) -> Iterator[Mapping[str, object]]:
        """The fields of every item of the list."""
        url = f"/v1.0/sites/{site}/lists/{list_id}/items?$expand=fields&$top=1000"
        while url:
            page = self._page(url)
            yield from (item["fields"] for item in page["value"])
            url = page.get("@odata.nextLink", "")

    def _page(self, url: str) -> Json:
        while (answer := self._http.get(url)).status_code == 429:
            time.sleep(float(answer.headers.get("Retry-After", 1)))
        if answer.is_error:
            raise DemoError(f"GET {url} was answered with {answer.status_code}: {answer.text[:500]}")
        return answer.json()
