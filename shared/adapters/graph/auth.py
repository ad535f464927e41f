"""Tokens for Graph: by secret, certificate, federated assertion or managed identity; never in a log, error or repr."""

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
import msal
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509 import load_pem_x509_certificate

from shared.adapters.graph.answers import read_json, retry_after
from shared.adapters.graph.clouds import Endpoints
from shared.core.errors import ConfigurationError, GraphUnavailable, Throttled
from shared.ports import Clock

FEDERATION_AUDIENCE = "api://AzureADTokenExchange"
"""https://learn.microsoft.com/en-us/entra/workload-id/workload-identity-federation"""

_TENANT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?")
_AADSTS = re.compile(r"AADSTS[0-9]{4,10}")
_ERROR = re.compile(r"[a-z_]{1,64}")
_EARLY = 300.0
"""Seconds before its end that a token is not used any more, as MSAL does it."""


class TokenSource(Protocol):
    def bearer(self, *, renew: bool = False) -> str:
        """A token for Graph, cached. `renew`: Graph refused the cached one.

        Raises ConfigurationError (the credentials are refused), Throttled, GraphUnavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecret:
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """Exactly one of the two forms; the private key may be encrypted with `passphrase`."""

    pem: str | None = field(default=None, repr=False)
    """Private key and certificate, one after the other."""
    pfx: bytes | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedAssertion:
    """`assertion` is called whenever a signed assertion is needed; see `identity_assertion`."""

    assertion: Callable[[], str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedIdentity:
    """`client_id` None: the system-assigned identity."""

    client_id: str | None = None


Credential = ClientSecret | ClientCertificate | FederatedAssertion | ManagedIdentity


def token_source(
    cloud: Endpoints, *, tenant: str, client_id: str, credential: Credential, http: httpx.Client, clock: Clock
) -> TokenSource:
    """The token cache of one connection: make it once per process and share it. Raises ConfigurationError."""
    if not _TENANT.fullmatch(tenant):
        raise ConfigurationError(
            "The tenant must be a GUID or a domain name, such as contoso.onmicrosoft.com.", code="bad_tenant"
        )
    if cloud.plain:
        if not isinstance(credential, ClientSecret):
            raise ConfigurationError("A login URL with http takes a client secret only.", code="bad_credential")
        return PlainTokens(cloud, tenant, client_id, credential, http, clock)
    if isinstance(credential, ManagedIdentity):
        return IdentityTokens(cloud.audience, credential, http)
    return ApplicationTokens(cloud, tenant, client_id, credential, http)


def identity_assertion(identity: ManagedIdentity, http: httpx.Client) -> Callable[[], str]:
    """A managed identity as the federated credential of an application: its token is the assertion."""
    return IdentityTokens(FEDERATION_AUDIENCE, identity, http).bearer


def certificate_credential(certificate: ClientCertificate) -> dict[str, str]:
    """What MSAL takes: the key as unencrypted PEM and the certificate, from which it derives the SHA-256 thumbprint."""
    password = certificate.passphrase.encode() if certificate.passphrase else None
    try:
        if certificate.pfx is not None:
            loaded, public, _ = pkcs12.load_key_and_certificates(certificate.pfx, password)
        else:
            text = (certificate.pem or "").encode()
            loaded, public = load_pem_private_key(text, password), load_pem_x509_certificate(text)
    except (ValueError, TypeError):
        loaded, public = None, None
    if loaded is None or public is None:
        raise ConfigurationError(
            "The client certificate must be a PEM with private key and certificate, or a PFX; check its passphrase.",
            code="bad_certificate",
        )
    key = loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"private_key": key.decode(), "public_certificate": public.public_bytes(Encoding.PEM).decode()}


class _Locked(ABC):
    """One token at a time: threads that need one while it is being fetched wait for that one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def bearer(self, *, renew: bool = False) -> str:
        with self._lock:
            try:
                answer = self._acquire(renew=renew)
            except httpx.HTTPError as error:
                raise GraphUnavailable(
                    f"The token endpoint cannot be reached ({type(error).__name__}).", code="no_token"
                ) from None
            except (msal.exceptions.MsalError, ValueError, KeyError, TypeError, AttributeError) as error:
                # MSAL raises these for answers that are no token answers; their texts may quote what was sent.
                raise GraphUnavailable(
                    f"The token endpoint gave no usable answer ({type(error).__name__}).", code="no_token"
                ) from None
        return _token_in(answer)

    @abstractmethod
    def _acquire(self, *, renew: bool) -> Mapping[str, Any]: ...


class ApplicationTokens(_Locked):
    """An application with a secret, a certificate or a federated assertion; MSAL caches and renews."""

    def __init__(
        self,
        cloud: Endpoints,
        tenant: str,
        client_id: str,
        credential: ClientSecret | ClientCertificate | FederatedAssertion,
        http: httpx.Client,
    ) -> None:
        super().__init__()
        self._cloud = cloud
        self._authority = f"{cloud.login}/{tenant}"
        self._client_id = client_id
        self._credential = _for_msal(credential)
        self._http = http
        self._app: Any = None

    def _acquire(self, *, renew: bool) -> Mapping[str, Any]:
        if self._app is None:  # late: MSAL asks the authority for its endpoints here
            self._app = msal.ConfidentialClientApplication(
                self._client_id,
                client_credential=self._credential,
                authority=self._authority,
                http_client=_MsalHttp(self._http),
                instance_discovery=False,  # the login host comes from our table or from the operator
            )
        if renew:
            self._app.remove_tokens_for_client()
        found: Mapping[str, Any] = self._app.acquire_token_for_client([self._cloud.scope])
        return found


class IdentityTokens(_Locked):
    """The managed identity of the machine this runs on."""

    def __init__(self, resource: str, identity: ManagedIdentity, http: httpx.Client) -> None:
        super().__init__()
        self._resource = resource
        self._identity = (
            msal.UserAssignedManagedIdentity(client_id=identity.client_id)
            if identity.client_id
            else msal.SystemAssignedManagedIdentity()
        )
        self._http = http
        self._client: Any = None

    def _acquire(self, *, renew: bool) -> Mapping[str, Any]:
        if self._client is None or renew:  # a new client has an empty cache
            self._client = msal.ManagedIdentityClient(self._identity, http_client=_MsalHttp(self._http))
        found: Mapping[str, Any] = self._client.acquire_token_for_client(resource=self._resource)
        return found


class PlainTokens(_Locked):
    """The client-credentials request by hand: MSAL refuses authorities over http, which a simulator on loopback has."""

    def __init__(
        self, cloud: Endpoints, tenant: str, client_id: str, credential: ClientSecret, http: httpx.Client, clock: Clock
    ) -> None:
        super().__init__()
        self._url = f"{cloud.login}/{tenant}/oauth2/v2.0/token"
        self._form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": credential.secret,
            "scope": cloud.scope,
        }
        self._http = http
        self._clock = clock
        self._cached: tuple[float, Mapping[str, Any]] | None = None

    def _acquire(self, *, renew: bool) -> Mapping[str, Any]:
        now = self._clock.monotonic()
        if self._cached is not None and not renew and now < self._cached[0]:
            return self._cached[1]
        response = self._http.post(self._url, data=self._form)
        if response.status_code == 429:
            raise Throttled(
                "The token endpoint asks to wait.", retry_after=retry_after(response.headers, self._clock.now())
            )
        answer = read_json(response.content)
        if not isinstance(answer, Mapping):
            raise TypeError
        if response.status_code == 200:
            self._cached = (now + max(float(answer["expires_in"]) - _EARLY, 0.0), answer)
        return answer


def _for_msal(credential: ClientSecret | ClientCertificate | FederatedAssertion) -> Any:
    match credential:
        case ClientSecret():
            return credential.secret
        case ClientCertificate():
            return certificate_credential(credential)
        case FederatedAssertion():
            return {"client_assertion": credential.assertion}


def _token_in(answer: Mapping[str, Any] | None) -> str:
    token = (answer or {}).get("access_token")
    if isinstance(token, str) and token and token.isascii() and token.isprintable():
        return token
    said = str((answer or {}).get("error", ""))
    kind = said if _ERROR.fullmatch(said) else "no reason"
    if kind in ("temporarily_unavailable", "server_error", "no reason"):
        raise GraphUnavailable(f"The token endpoint gave no token ({kind}).", code="no_token")
    found = _AADSTS.search(str((answer or {}).get("error_description", "")))
    raise ConfigurationError(
        f"Microsoft Entra refuses this connection's credentials ({kind}{', ' + found[0] if found else ''});"
        " check tenant, client id, and that the secret or certificate is registered and not expired.",
        code="credentials_refused",
    )


class _MsalHttp:
    """Our httpx client in the shape MSAL wants: no second HTTP stack, no environment proxies, the same time-outs."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> httpx.Response:
        return self._http.get(url, params=params, headers=headers)

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> httpx.Response:
        # MSAL signs assertions as bytes, which httpx would print as b'…'.
        form = {name: value.decode() if isinstance(value, bytes) else value for name, value in (data or {}).items()}
        return self._http.post(url, params=params, data=form, headers=headers)

    def close(self) -> None:
        """The client belongs to the process."""
