"""Plain HTTP against the simulator: the default app at /sites/hr, and the control surface."""

from typing import Any

import httpx

APP = ("5afe0000-0000-4000-8000-000000000001", "simulator-secret")


class Client:
    def __init__(self, address: str) -> None:
        self.address = address
        self.http = httpx.Client(base_url=address, timeout=20, trust_env=False)
        self._token = ""
        self._site = ""

    def close(self) -> None:
        self.http.close()

    def control(self, method: str, path: str, body: Any = None, *, status: int | None = None) -> Any:
        answer = self.http.request(method, f"/_sim/{path}", json=body)
        if status is None:
            assert answer.status_code < 300, answer.text
        else:
            assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def token(self, app: tuple[str, str] = APP) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": app[0],
            "client_secret": app[1],
            "scope": "https://graph.microsoft.com/.default",
        }
        return str(self.http.post("/contoso/oauth2/v2.0/token", data=form).json()["access_token"])

    def graph(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        self._token = self._token or self.token()
        sent = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        url = path if path.startswith("http") else f"/v1.0{path}"
        return self.http.request(method, url, json=body, headers=sent)

    @property
    def site(self) -> str:
        self._site = self._site or self.graph("GET", "/sites/contoso.sharepoint.com:/sites/hr").json()["id"]
        return self._site

    def new_list(self, title: str = "Staff", *columns: dict[str, Any]) -> str:
        """Path of a new list."""
        answer = self.graph("POST", f"/sites/{self.site}/lists", {"displayName": title, "columns": list(columns)})
        assert answer.status_code == 201, answer.text
        return f"/sites/{self.site}/lists/{answer.json()['id']}"

    def add(self, path: str, **fields: Any) -> dict[str, Any]:
        answer = self.graph("POST", f"{path}/items", {"fields": fields})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def titles(self, path: str) -> list[str]:
        """Titles of all items, by id, as a person sees them: free of faults and of cost."""
        found = self.control("GET", f"people/lists/{path.rpartition('/')[2]}/items?top=5000")
        return [item["fields"].get("Title", "") for item in found["items"]]

    def faults(self, match: dict[str, Any], fault: dict[str, Any], seed: int = 7) -> None:
        self.control("PUT", "faults", {"seed": seed, "rules": [{"match": match, "fault": fault}]})

    def fired(self) -> int:
        return int(self.control("GET", "faults")["fired"])

    def batch(self, *requests: dict[str, Any]) -> httpx.Response:
        return self.graph("POST", "/$batch", {"requests": list(requests)})


def create(number: int, path: str, **fields: Any) -> dict[str, Any]:
    """One request of a batch that creates an item."""
    return {
        "id": str(number),
        "method": "POST",
        "url": f"{path}/items",
        "headers": {"Content-Type": "application/json"},
        "body": {"fields": fields},
    }
