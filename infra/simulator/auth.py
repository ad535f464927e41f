"""Tokens and rights: the token endpoint, what a bearer may do where.

Sources: learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow and
/en-us/graph/permissions-selected-overview.
"""

import base64
import hashlib
import hmac
import random
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson

from infra.simulator import assertions, errors
from infra.simulator.lists import SharePointList
from infra.simulator.tenants import App, Grant, Site, Tenant, stable_guid
from infra.simulator.wire import Request, Response
from infra.simulator.world import World

NONE, READ, WRITE, MANAGE, FULL = range(5)
_ROLES = {
    "Sites.Read.All": READ,
    "Sites.ReadWrite.All": WRITE,
    "Sites.Manage.All": MANAGE,
    "Sites.FullControl.All": FULL,
}
GRANT_LEVELS = {"read": READ, "write": WRITE, "manage": MANAGE, "fullcontrol": FULL, "owner": FULL}
GRAPH_HOSTS = frozenset(
    {"graph.microsoft.com", "graph.microsoft.us", "dod-graph.microsoft.us", "microsoftgraph.chinacloudapi.cn"}
)
_GRAPH_APP = "00000003-0000-0000-c000-000000000000"


@dataclass(frozen=True, slots=True)
class Identity:
    tenant: Tenant
    app: App
    roles: frozenset[str]
    level: int  # what the roles alone give on every site


class _OAuthError(Exception):
    def __init__(self, status: int, error: str, code: int, text: str) -> None:
        super().__init__(text)
        self.status, self.error, self.code, self.text = status, error, code, text


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Auth:
    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: dict[str, tuple[dict[str, Any], bool]] = {}
        self._key = b""

    def _signing_key(self) -> bytes:
        if not self._key:
            stored = self._world.store.get("state", "signing key")
            if stored is None:
                stored = secrets.token_hex(32)
                self._world.store.put("state", "signing key", stored)
                self._world.store.commit()
            self._key = bytes.fromhex(stored)
        return self._key

    def forget(self) -> None:
        """After a reset: the old key is gone."""
        self._key = b""
        self._seen.clear()

    # -- the login host

    def openid(self, request: Request, tenant: str) -> Response:
        # The login service speaks https only and MSAL refuses a document that says otherwise, so this one says https too.
        host = request.base().partition("//")[2]
        base = f"https://{host}/{tenant}"
        found = self._tenant(tenant)
        if found is None:
            return self._refusal(_OAuthError(400, "invalid_tenant", 90002, f"Tenant '{tenant[:64]}' not found."))
        doc = {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "issuer": f"https://{host}/{found.id}/v2.0",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "response_types_supported": ["code", "id_token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "cloud_instance_name": "microsoftonline.com",
            "msgraph_host": self._world.knobs["audience"].partition("//")[2],
        }
        if not self._world.rules.holds("AUTH-OPENID-CONFIGURATION"):
            del doc["token_endpoint"]
        return Response(status=200, content=doc)

    def token(self, request: Request, tenant: str) -> Response:
        """The client-credentials grant, with Entra's error documents."""
        try:
            form = dict(parse_qsl(request.body.decode("utf-8"), keep_blank_values=True))
            return self._grant(request, tenant, form)
        except UnicodeDecodeError:
            return self._refusal(_OAuthError(400, "invalid_request", 900144, "The request body must be a form."))
        except _OAuthError as error:
            return self._refusal(error)

    def _grant(self, request: Request, tenant_name: str, form: dict[str, str]) -> Response:
        holds, knobs = self._world.rules.holds, self._world.knobs
        tenant = self._tenant(tenant_name)
        if tenant is None:
            raise _OAuthError(400, "invalid_tenant", 90002, f"Tenant '{tenant_name[:64]}' not found.")
        for name in ("grant_type", "client_id", "scope"):
            if not form.get(name):
                raise _OAuthError(
                    400, "invalid_request", 900144, f"The request body must contain the following parameter: '{name}'."
                )
        if form["grant_type"] != "client_credentials" and holds("AUTH-TOKEN-BAD-GRANT"):
            raise _OAuthError(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        app = tenant.apps.get(form["client_id"].lower())
        if app is None:
            raise _OAuthError(
                400,
                "unauthorized_client",
                700016,
                "Application with the given identifier was not found in the directory.",
            )
        if holds("AUTH-TOKEN-BAD-SECRET"):
            self._prove(request, app, form)
        resource, _, suffix = form["scope"].rpartition("/")
        if suffix != ".default" and holds("AUTH-TOKEN-BAD-SCOPE"):
            raise _OAuthError(
                400, "invalid_scope", 1002012, "The provided value for scope is not valid. It must end in /.default."
            )
        host = resource.partition("//")[2] or resource
        if host not in GRAPH_HOSTS | {_GRAPH_APP, knobs["audience"].partition("//")[2]} and holds(
            "AUTH-TOKEN-BAD-SCOPE"
        ):
            raise _OAuthError(400, "invalid_resource", 500011, "The resource principal was not found in the tenant.")
        life = (
            300
            if not holds("AUTH-TOKEN-LIFETIME")
            else random.randint(
                int(knobs["token_life_min"]), max(int(knobs["token_life_min"]), int(knobs["token_life_max"]))
            )
        )
        token = self.issue(tenant, app, life=life, audience=resource or knobs["audience"])
        doc = {"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token}
        if not holds("AUTH-TOKEN-CLIENT-CREDENTIALS"):
            doc["refresh_token"] = _b64(secrets.token_bytes(24))
        return Response(
            status=200, content=doc, headers=(("Cache-Control", "no-store, no-cache"), ("Pragma", "no-cache"))
        )

    def issue(self, tenant: Tenant, app: App, *, life: int, audience: str) -> str:
        now = self._world.clock.second()
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{tenant.id}/",
            "iat": now,
            "nbf": now,
            "exp": now + life,
            "app_displayname": app.name,
            "appid": app.client_id,
            "idtyp": "app",
            "oid": stable_guid(tenant.id, app.client_id, "principal"),
            "roles": app.roles,
            "tid": tenant.id,
            "uti": _b64(secrets.token_bytes(12)),
            "ver": "1.0",
        }
        head = _b64(orjson.dumps({"typ": "JWT", "alg": "RS256", "kid": "simulator"}))
        signed = f"{head}.{_b64(orjson.dumps(claims))}"
        return f"{signed}.{_b64(self._sign(signed))}"

    def _sign(self, text: str) -> bytes:
        return hmac.new(self._signing_key(), text.encode(), hashlib.sha256).digest()

    def _prove(self, request: Request, app: App, form: dict[str, str]) -> None:
        secret, assertion = form.get("client_secret"), form.get("client_assertion")
        if secret is not None:
            if not app.secret or not hmac.compare_digest(secret.encode(), app.secret.encode()):
                raise _OAuthError(401, "invalid_client", 7000215, "Invalid client secret provided.")
        elif assertion is not None:
            reason = assertions.refuse(assertion, app, now=self._world.clock.now(), endpoint=request.path)
            if reason:
                raise _OAuthError(401, "invalid_client", 700027, f"Client assertion failed validation: {reason}.")
        else:
            raise _OAuthError(
                401, "invalid_client", 7000218, "The request body must contain: 'client_assertion' or 'client_secret'."
            )

    def _refusal(self, error: _OAuthError) -> Response:
        now = self._world.clock.text()
        trace, correlation = stable_guid("trace", now), stable_guid("correlation", now)
        text = f"AADSTS{error.code}: {error.text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
        doc = {
            "error": error.error,
            "error_description": text,
            "error_codes": [error.code],
            "timestamp": now,
            "trace_id": trace,
            "correlation_id": correlation,
        }
        return Response(status=error.status, content=doc)

    def _tenant(self, name: str) -> Tenant | None:
        """By id, host name, or name; as Entra takes an id or any verified domain."""
        low = name.lower()
        return self._world.tenants.get(low) or next(
            (
                t
                for t in self._world.tenants.values()
                if low in (t.hostname.lower(), t.name.lower(), f"{t.name.lower()}.onmicrosoft.com")
            ),
            None,
        )

    # -- the bearer

    def identify(self, request: Request) -> Identity:
        """Who calls. Raises GraphError 401."""
        holds = self._world.rules.holds
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            if not holds("AUTH-BEARER-REQUIRED"):
                return self._default()
            raise errors.unauthenticated("Access token is empty.")
        claims, genuine = self._claims(token)
        if not genuine:
            if not holds("AUTH-TOKEN-UNKNOWN"):
                return self._default()
            raise errors.unauthenticated("IDX14100: JWT is not well formed, or its signature is not valid.")
        if self._world.clock.now() >= claims["exp"] and holds("AUTH-TOKEN-EXPIRES"):
            raise errors.unauthenticated("Lifetime validation failed, the token is expired.")
        tenant = self._world.tenants.get(claims["tid"])
        app = tenant.apps.get(claims["appid"]) if tenant else None
        if tenant is None or app is None:
            raise errors.unauthenticated("The application of the token is not registered.")
        roles = frozenset(claims["roles"] if holds("AUTH-ROLES-IN-TOKEN") else app.roles)
        return self._identity(tenant, app, roles)

    def claimed_app(self, request: Request) -> str:
        """The client id in a genuine token, whatever else is wrong with the call; "" without one."""
        token = request.headers.get("authorization", "").partition(" ")[2].strip()
        claims, genuine = self._claims(token) if token else ({}, False)
        return str(claims["appid"]) if genuine else ""

    def _claims(self, token: str) -> tuple[dict[str, Any], bool]:
        known = self._seen.get(token)
        if known is None:
            signed, _, signature = token.rpartition(".")
            try:
                genuine = hmac.compare_digest(_unb64(signature), self._sign(signed))
                claims = orjson.loads(_unb64(signed.split(".")[1])) if genuine else {}
            except (ValueError, IndexError):
                genuine, claims = False, {}
            if len(self._seen) > 1000:
                self._seen.clear()
            known = self._seen[token] = (claims, genuine)
        return known

    def _identity(self, tenant: Tenant, app: App, roles: frozenset[str]) -> Identity:
        level = max((_ROLES.get(role, NONE) for role in roles), default=NONE)
        if level == READ and not self._world.rules.holds("AUTH-ROLE-READ-ONLY"):
            level = WRITE
        if level == WRITE and not self._world.rules.holds("AUTH-ROLE-MANAGE-LISTS"):
            level = MANAGE
        return Identity(tenant, app, roles, level)

    def _default(self) -> Identity:
        tenant = next(iter(self._world.tenants.values()), None)
        if tenant is None or not tenant.apps:
            raise errors.unauthenticated("Access token is empty.")
        app = next(iter(tenant.apps.values()))
        return self._identity(tenant, app, frozenset(app.roles))

    # -- rights

    def level(self, identity: Identity, site: Site, lst: SharePointList | None = None) -> int:
        """The highest right the caller has on the site, or on the list of it."""
        holds = self._world.rules.holds
        level = identity.level
        if "Sites.Selected" in identity.roles:
            if not holds("AUTH-SELECTED-NEEDS-GRANT"):
                return FULL
            granted = self._grants_of(identity, site)
            level = max([level, *(_grant_level(grant) for grant in granted)])
            if level == READ and not holds("AUTH-SELECTED-READ-GRANT"):
                level = WRITE
        if lst is not None and "Lists.SelectedOperations.Selected" in identity.roles:
            level = max(
                [level, *(_grant_level(grant) for grant in lst.grants if grant.app_id == identity.app.client_id)]
            )
        return level

    def _grants_of(self, identity: Identity, site: Site) -> list[Grant]:
        holds = self._world.rules.holds
        if not holds("AUTH-SELECTED-ONE-SITE"):
            sites = self._world.sites_of(identity.tenant)
        else:
            # A grant stands on the site collection and covers its subsites.
            sites = [entry for entry in self._world.sites_of(identity.tenant) if entry.collection == site.collection]
        grants = [grant for entry in sites for grant in entry.grants if grant.app_id == identity.app.client_id]
        if not holds("AUTH-GRANT-REVOKED"):
            grants += [
                Grant(**doc) for doc in self._world.store.all("revoked") if doc["app_id"] == identity.app.client_id
            ]
        return grants

    def need(self, identity: Identity, site: Site, level: int, lst: SharePointList | None = None) -> None:
        """Raises 403 unless the caller has `level`."""
        if self.level(identity, site, lst) < level:
            raise errors.denied()


def _grant_level(grant: Grant) -> int:
    return max((GRANT_LEVELS.get(role, NONE) for role in grant.roles), default=NONE)
