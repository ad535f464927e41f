"""Tokens, with Microsoft's library over a handler instead of a network."""

import base64
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from shared.adapters.graph.auth import (
    ClientCertificate,
    ClientSecret,
    Credential,
    FederatedAssertion,
    ManagedIdentity,
    TokenSource,
    certificate_credential,
    identity_assertion,
    token_source,
)
from shared.adapters.graph.client import Timing, open_http
from shared.adapters.graph.clouds import ENDPOINTS, Endpoints, custom_endpoints
from shared.core.catalog import Cloud
from shared.core.errors import ConfigurationError, GraphUnavailable, SyncError, Throttled
from tests.unit.adapters.graph.world import FakeClock

TENANT = "11111111-1111-1111-1111-111111111111"
PLAIN = custom_endpoints("http://127.0.0.1:1", "http://127.0.0.1:1", allowed_hosts=frozenset({"127.0.0.1"}))


class Login:
    """Entra as far as these tests go: endpoints, tokens, refusals."""

    def __init__(self, answer: Callable[[dict[str, str]], httpx.Response] | None = None) -> None:
        self.forms: list[dict[str, str]] = []
        self.asked: list[httpx.Request] = []
        self.answer = answer or (lambda _: httpx.Response(200, json=self.token()))
        self.http = open_http(Timing(), transport=httpx.MockTransport(self._handle))

    def token(self, expires_in: int = 3600) -> dict[str, object]:
        return {"access_token": f"canary-token-{len(self.forms)}", "token_type": "Bearer", "expires_in": expires_in}

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.path.endswith("openid-configuration"):
            base = f"{request.url.scheme}://{request.url.host}/{TENANT}"
            return httpx.Response(
                200,
                json={
                    "issuer": f"{base}/v2.0",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                },
            )
        self.forms.append({name: values[0] for name, values in parse_qs(request.content.decode()).items()})
        return self.answer(self.forms[-1])

    def source(
        self,
        credential: Credential,
        endpoints: Endpoints = ENDPOINTS[Cloud.GLOBAL],
        clock: FakeClock | None = None,
    ) -> TokenSource:
        return token_source(
            endpoints, tenant=TENANT, client_id="app", credential=credential, http=self.http, clock=clock or FakeClock()
        )


@pytest.fixture(scope="module")
def certificate() -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    private = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "syncbridge")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=3650))
        .sign(private, hashes.SHA256())
    )
    return private, made


def pem(certificate: tuple[rsa.RSAPrivateKey, x509.Certificate], passphrase: bytes | None = None) -> str:
    cipher = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    private = certificate[0].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, cipher)
    return (private + certificate[1].public_bytes(Encoding.PEM)).decode()


def pfx(certificate: tuple[rsa.RSAPrivateKey, x509.Certificate], passphrase: bytes) -> bytes:
    return pkcs12.serialize_key_and_certificates(
        b"syncbridge", certificate[0], certificate[1], None, BestAvailableEncryption(passphrase)
    )


def test_a_secret_gets_a_token_which_is_cached_and_renewed_on_demand() -> None:
    login = Login()
    source = login.source(ClientSecret(secret="s3cret"))
    assert [source.bearer(), source.bearer(), source.bearer(renew=True)] == [
        "canary-token-1",
        "canary-token-1",
        "canary-token-2",
    ]
    assert login.forms[0]["client_secret"] == "s3cret"
    assert login.forms[0]["scope"] == "https://graph.microsoft.com/.default"


@pytest.mark.parametrize(
    ("cloud", "graph", "login"),
    [
        (Cloud.GLOBAL, "graph.microsoft.com", "login.microsoftonline.com"),
        (Cloud.USGOV, "graph.microsoft.us", "login.microsoftonline.us"),
        (Cloud.USGOV_DOD, "dod-graph.microsoft.us", "login.microsoftonline.us"),
        (Cloud.CHINA, "microsoftgraph.chinacloudapi.cn", "login.chinacloudapi.cn"),
    ],
)
def test_each_cloud_has_its_own_hosts_and_scope(cloud: Cloud, graph: str, login: str) -> None:
    entra = Login()
    entra.source(ClientSecret(secret="s"), ENDPOINTS[cloud]).bearer()
    assert {request.url.host for request in entra.asked} == {login}
    assert entra.forms[0]["scope"] == f"https://{graph}/.default"
    assert ENDPOINTS[cloud].root == f"https://{graph}/v1.0"


def test_a_certificate_signs_an_assertion_in_either_form(
    certificate: tuple[rsa.RSAPrivateKey, x509.Certificate],
) -> None:
    forms = (
        ClientCertificate(pem=pem(certificate)),
        ClientCertificate(pem=pem(certificate, b"pass"), passphrase="pass"),
        ClientCertificate(pfx=pfx(certificate, b"pass"), passphrase="pass"),
    )
    for credential in forms:
        login = Login()
        assert login.source(credential).bearer() == "canary-token-1"
        header = login.forms[0]["client_assertion"].split(".")[0]
        told = json.loads(base64.urlsafe_b64decode(header + "=="))
        assert told["alg"] == "PS256"
        assert "PRIVATE" not in repr(credential)
        assert "pass" not in repr(credential).replace("passphrase", "")


@pytest.mark.parametrize("credential", [
    ClientCertificate(),
    ClientCertificate(pem="canary"),
    ClientCertificate(pfx=b"canary"),
    ClientCertificate(pem="-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"),
])  # fmt: skip
def test_what_is_no_certificate_is_refused_with_words(credential: ClientCertificate) -> None:
    with pytest.raises(ConfigurationError) as caught:
        certificate_credential(credential)
    assert "canary" not in caught.value.message
    assert caught.value.code == "bad_certificate"


def test_a_wrong_passphrase_is_refused(certificate: tuple[rsa.RSAPrivateKey, x509.Certificate]) -> None:
    for credential in (
        ClientCertificate(pem=pem(certificate, b"pass"), passphrase="other"),
        ClientCertificate(pem=pem(certificate, b"pass")),
        ClientCertificate(pfx=pfx(certificate, b"pass"), passphrase="other"),
    ):
        with pytest.raises(ConfigurationError):
            certificate_credential(credential)


def test_a_federated_assertion_is_asked_for_whenever_one_is_needed() -> None:
    login = Login()
    made = iter(["first", "second"])
    source = login.source(FederatedAssertion(assertion=lambda: next(made)))
    source.bearer()
    source.bearer(renew=True)
    assert [form["client_assertion"] for form in login.forms] == ["first", "second"]


def identity_host(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "canary-header")
    return []


def test_a_managed_identity_is_asked_for_a_token_for_graph_and_asked_again_on_renewal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = identity_host(monkeypatch)

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        body = {"access_token": f"t{len(asked)}", "expires_on": "4000000000", "resource": "x", "token_type": "Bearer"}
        return httpx.Response(200, json=body)

    http = open_http(Timing(), transport=httpx.MockTransport(handle))
    source = token_source(
        ENDPOINTS[Cloud.GLOBAL],
        tenant=TENANT,
        client_id="app",
        credential=ManagedIdentity(client_id="22222222-2222-2222-2222-222222222222"),
        http=http,
        clock=FakeClock(),
    )
    assert [source.bearer(), source.bearer(), source.bearer(renew=True)] == ["t1", "t1", "t2"]
    assert asked[0].url.params["resource"] == "https://graph.microsoft.com"
    assert asked[0].url.params["client_id"].startswith("2222")
    assert identity_assertion(ManagedIdentity(), http)() == "t3"
    assert asked[2].url.params["resource"] == "api://AzureADTokenExchange"


def test_an_http_login_takes_a_secret_by_hand_and_nothing_else() -> None:
    clock, login = FakeClock(), Login()
    source = login.source(ClientSecret(secret="s3cret"), PLAIN, clock)
    assert [source.bearer(), source.bearer()] == ["canary-token-1", "canary-token-1"]
    clock.sleep(3301)
    assert source.bearer() == "canary-token-2"
    assert source.bearer(renew=True) == "canary-token-3"
    with pytest.raises(ConfigurationError):
        login.source(ManagedIdentity(), PLAIN)


@pytest.mark.parametrize("tenant", ["", "../x", "a/b", "a b", "contoso\r\n", "-x", "x" * 300])
def test_a_tenant_that_could_leave_its_place_in_a_url_is_refused(tenant: str) -> None:
    with pytest.raises(ConfigurationError):
        token_source(
            PLAIN,
            tenant=tenant,
            client_id="a",
            credential=ClientSecret(secret="s"),
            http=Login().http,
            clock=FakeClock(),
        )


REFUSAL = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid canary secret. Trace ID: x"}
ANSWERS: dict[str, tuple[Callable[[dict[str, str]], httpx.Response], type[SyncError]]] = {
    "refused": (lambda _: httpx.Response(401, json=REFUSAL), ConfigurationError),
    "unavailable": (lambda _: httpx.Response(503, json={"error": "temporarily_unavailable"}), GraphUnavailable),
    "no token": (lambda _: httpx.Response(200, json={"token_type": "Bearer", "expires_in": 1}), GraphUnavailable),
    "token of another kind": (lambda _: httpx.Response(200, json={"access_token": 7, "expires_in": 1}), GraphUnavailable),
    "token with a line end": (
        lambda _: httpx.Response(200, json={"access_token": "canary\r\nX: y", "expires_in": 1}),
        GraphUnavailable,
    ),
    "html": (lambda _: httpx.Response(502, content=b"<html>canary</html>"), GraphUnavailable),
    "list": (lambda _: httpx.Response(200, json=[]), GraphUnavailable),
    "empty": (lambda _: httpx.Response(200), GraphUnavailable),
    "hostile error": (lambda _: httpx.Response(400, json={"error": "<canary>", "error_description": 7}), GraphUnavailable),
}  # fmt: skip


@pytest.mark.parametrize("endpoints", [ENDPOINTS[Cloud.GLOBAL], PLAIN], ids=["msal", "by hand"])
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_without_a_token_is_a_typed_error_without_secrets(name: str, endpoints: Endpoints) -> None:
    answer, kind = ANSWERS[name]
    with pytest.raises(kind) as caught:
        Login(answer).source(ClientSecret(secret="canary-secret"), endpoints).bearer()
    assert "canary" not in caught.value.message
    assert "canary" not in repr(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("endpoints", [ENDPOINTS[Cloud.GLOBAL], PLAIN], ids=["msal", "by hand"])
def test_a_login_that_cannot_be_reached_is_unavailable(endpoints: Endpoints) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("canary")

    http = open_http(Timing(), transport=httpx.MockTransport(fail))
    source = token_source(
        endpoints, tenant=TENANT, client_id="a", credential=ClientSecret(secret="s"), http=http, clock=FakeClock()
    )
    with pytest.raises(GraphUnavailable) as caught:
        source.bearer()
    assert caught.value.code == "no_token"
    assert "canary" not in caught.value.message


def test_a_login_that_throttles_says_how_long() -> None:
    login = Login(lambda _: httpx.Response(429, headers={"Retry-After": "12"}))
    with pytest.raises(Throttled) as caught:
        login.source(ClientSecret(secret="s"), PLAIN).bearer()
    assert caught.value.retry_after == 12.0


def test_no_token_or_secret_is_logged_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for endpoints in (ENDPOINTS[Cloud.GLOBAL], PLAIN):
            source = Login().source(ClientSecret(secret="canary-secret"), endpoints)
            source.bearer()
            source.bearer(renew=True)
    assert "canary" not in caplog.text
    assert all("canary" not in repr(record.__dict__) for record in caplog.records)


ALLOWED = frozenset({"127.0.0.1", "localhost", "::1", "gateway.example", "10.0.0.5"})


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8070",
        "http://localhost:1/",
        "http://[::1]:80",
        "https://gateway.example",
        "https://10.0.0.5:8443",
    ],
)
def test_a_custom_url_of_an_allowed_host_is_taken(url: str) -> None:
    assert custom_endpoints(url, url, allowed_hosts=ALLOWED).graph == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    ["", "x", "http://", "ftp://127.0.0.1", "http://gateway.example", "http://10.0.0.5", "https://other.example",
     "http://127.0.0.2", "http://127.1", "http://2130706433", "http://0x7f000001", "http://0177.0.0.1",
     "http://169.254.169.254", "https://169.254.169.254", "http://127.0.0.1@evil.example", "http://evil.example#127.0.0.1",
     "http://user:pw@127.0.0.1", "http://127.0.0.1/path", "http://127.0.0.1?x=1", "http://127.0.0.1#x", "http://127.0.0.1:0",
     "http://127.0.0.1:99999", "http://127.0.0.1\r\n.evil.example", "http://localhost.evil.example", "http://ⅼocalhost",
     "http://[::ffff:169.254.169.254]", "http://[::1", "HTTP://127.0.0.1 ", "http://127。0。0。1"],
)  # fmt: skip
def test_any_other_custom_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        custom_endpoints(url, "http://127.0.0.1:1", allowed_hosts=ALLOWED)
    assert caught.value.problems
    with pytest.raises(ConfigurationError):
        custom_endpoints("http://127.0.0.1:1", url, allowed_hosts=ALLOWED)
    with pytest.raises(ConfigurationError):
        custom_endpoints("http://127.0.0.1:1", "http://127.0.0.1:1", allowed_hosts=frozenset())
