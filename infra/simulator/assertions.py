"""Client assertions of the token endpoint: certificates and federated credentials.

Source: learn.microsoft.com/en-us/entra/identity-platform/certificate-credentials. Signatures are verified where the
app's certificate is configured; a bare thumbprint and a federated issuer are taken at their word.
"""

import base64
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import load_pem_x509_certificate

from infra.simulator.tenants import App

_EXCHANGE = "api://AzureADTokenExchange"


def _part(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def refuse(assertion: str, app: App, *, now: float, endpoint: str) -> str:
    """Why the assertion does not prove the app's identity, or ""."""
    try:
        head_text, claims_text, signature_text = assertion.split(".")
        head, claims, signature = (
            orjson.loads(_part(head_text)),
            orjson.loads(_part(claims_text)),
            _part(signature_text),
        )
    except ValueError:
        return "it is no JWT"
    if not isinstance(head, dict) or not isinstance(claims, dict):
        return "it is no JWT"
    expiry = claims.get("exp")
    if not isinstance(expiry, int | float) or expiry <= now:
        return "it has expired"
    issuer, subject = claims.get("iss"), claims.get("sub")
    if any(entry.get("issuer") == issuer and entry.get("subject") == subject for entry in app.federated):
        return "" if claims.get("aud") == _EXCHANGE else "its audience is not the token exchange"
    if issuer != app.client_id or subject != app.client_id:
        return "issuer and subject are not the client"
    if endpoint.lower() not in str(claims.get("aud", "")).lower():
        return "its audience is not this endpoint"
    return _refuse_key(head, f"{head_text}.{claims_text}".encode(), signature, app)


def _refuse_key(head: dict[str, Any], signed: bytes, signature: bytes, app: App) -> str:
    certificates = [load_pem_x509_certificate(pem.encode()) for pem in app.certificates]
    try:
        named = {_part(str(head[name])).hex() for name in ("x5t", "x5t#S256") if name in head}
    except ValueError:
        return "its thumbprint is malformed"
    for certificate in certificates:
        prints = {certificate.fingerprint(hashes.SHA1()).hex(), certificate.fingerprint(hashes.SHA256()).hex()}  # noqa: S303 - Entra names keys by SHA-1
        key = certificate.public_key()
        if prints & named and isinstance(key, rsa.RSAPublicKey):
            scheme = (
                padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
                if head.get("alg") == "PS256"
                else padding.PKCS1v15()
            )
            try:
                key.verify(signature, signed, scheme, hashes.SHA256())
            except InvalidSignature:
                return "its signature does not fit the certificate"
            return ""
    if not certificates and named & {text.lower() for text in app.thumbprints}:
        return ""
    return "the app has no such key"
