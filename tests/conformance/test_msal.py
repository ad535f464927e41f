"""MSAL, the vendor's token library, against the simulator's login."""

from typing import Any
from urllib.parse import urlsplit

import httpx
import msal
import pytest

from tests.conformance.world import World

pytestmark = pytest.mark.slow


HOST = "https://login.microsoftonline.com"


class OverHttp:
    """MSAL insists on https, in the addresses it is told too; this stands in for the TLS front of a login host."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.Client()
        self.asked: list[str] = []

    def _here(self, url: str) -> str:
        parts = urlsplit(url)
        return self._url + parts.path + ("?" + parts.query if parts.query else "")

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> httpx.Response:
        self.asked.append(url)
        answer = self._client.get(self._here(url), params=params, headers=headers)
        return httpx.Response(answer.status_code, text=answer.text.replace(self._url, HOST))

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> httpx.Response:
        self.asked.append(url)
        return self._client.post(self._here(url), params=params, data=data, headers=headers)

    def close(self) -> None:
        self._client.close()


def _client(world: World, over: OverHttp, secret: str | None = None) -> msal.ConfidentialClientApplication:
    login = world.rig.login
    return msal.ConfidentialClientApplication(
        login.client_id,
        authority=f"{HOST}/{login.tenant}",
        client_credential=secret or login.secret,
        instance_discovery=False,
        http_client=over,
    )


def test_msal_gets_a_token_that_graph_takes_and_serves_the_second_call_from_its_cache(world: World) -> None:
    over = OverHttp(world.rig.login.url)
    client = _client(world, over)

    first = client.acquire_token_for_client([world.rig.login.scope])
    asked = len(over.asked)
    second = client.acquire_token_for_client([world.rig.login.scope])

    assert world.rig.get("/sites/root", token=first["access_token"]).status_code == 200
    assert second["access_token"] == first["access_token"]
    assert len(over.asked) == asked
    over.close()


def test_msal_reports_a_wrong_secret_as_invalid_client(world: World) -> None:
    over = OverHttp(world.rig.login.url)

    answer = _client(world, over, "wrong").acquire_token_for_client([world.rig.login.scope])

    assert answer["error"] == "invalid_client"
    assert "AADSTS7000215" in answer["error_description"]
    over.close()
