"""msgraph-sdk used as its documentation shows: one awaited POST per item, its own retry handler. Runs until it is ended.

Reads one JSON line from its standard input (url, token, site, list, items), says READY, and begins at the next line.
"""

import asyncio
import json
import sys
from typing import Any

import httpx

from tests.conformance import sdk


class _Token(sdk.AccessTokenProvider):
    def __init__(self, token: str) -> None:
        self._token = token

    async def get_authorization_token(
        self, uri: str, additional_authentication_context: dict[str, Any] | None = None
    ) -> str:
        return self._token

    def get_allowed_hosts_validator(self) -> sdk.AllowedHostsValidator:
        return sdk.AllowedHostsValidator([])


async def _run(order: dict[str, Any]) -> None:
    async with httpx.AsyncClient(timeout=60) as plain:
        client = sdk.KiotaClientFactory.create_with_default_middleware(client=plain)
        adapter = sdk.GraphRequestAdapter(sdk.BaseBearerTokenAuthenticationProvider(_Token(order["token"])), client)
        adapter.base_url = f"{order['url']}/v1.0"
        graph = sdk.GraphServiceClient(request_adapter=adapter)
        items = graph.sites.by_site_id(order["site"]).lists.by_list_id(order["list"]).items
        print("READY", flush=True)
        sys.stdin.readline()
        for fields in order["items"]:
            try:
                await items.post(sdk.ListItem(fields=sdk.FieldValueSet(additional_data=fields)))
            except sdk.APIError as error:
                print("FAILED", error.response_status_code, flush=True)


if __name__ == "__main__":
    asyncio.run(_run(json.loads(sys.stdin.readline())))
