"""Secrets: a type that shows nothing, references that name where one is kept, and sealing of those kept in a row."""

import base64
import binascii
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.core.errors import ConfigurationError, Transient

_MASK: Final = "Secret(***)"
_FORMAT: Final = b"\x01"
"""First byte of everything sealed: the format, so that another cipher can follow."""
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_VAULT_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,127}", re.ASCII)
"""Key Vault's rule for names: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates"""


class Secret:
    """A text that must not be seen: it prints as a mask, is not pickled or copied, and is read by `reveal()` only."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(Secret)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not written down: pass the reference that names it")


class SecretUnavailable(Transient):
    """The vault did not answer. Its configuration may be right."""

    code = "secret_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingKey:
    """The key that seals secrets in the metastore: 32 bytes, AES-256-GCM."""

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) != 32:
            raise ConfigurationError(
                f"the sealing key has {len(self.key)} bytes and needs 32: set it to the base64 of 32 random bytes",
                code="secret_key",
            )

    @classmethod
    def from_base64(cls, text: Secret) -> "SealingKey":
        """The key as settings hold it: base64 of 32 bytes. Raises ConfigurationError."""
        try:
            return cls(key=base64.b64decode(text.reveal(), validate=True))
        except (binascii.Error, ValueError):
            raise ConfigurationError(
                "the sealing key is not base64: set it to the base64 of 32 random bytes", code="secret_key"
            ) from None

    def seal(self, secret: Secret, *, table: str, row_id: str) -> bytes:
        """Format byte, 12 random bytes, ciphertext with its tag. Opens only with the same key, table and row id.

        A sealed secret that is copied into another row does not open there.
        """
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self.key).encrypt(nonce, secret.reveal().encode(), _bound_to(table, row_id))
        return _FORMAT + nonce + sealed

    def unseal(self, sealed: bytes, *, table: str, row_id: str) -> Secret:
        """What `seal` was given. Raises ConfigurationError when key, place or bytes are not those of the sealing."""
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _FORMAT or len(body) < _TAG_BYTES:
            raise ConfigurationError(
                f"the secret kept in {table} is not in the form this version seals: enter it again",
                code="secret_damaged",
            )
        try:
            return Secret(AESGCM(self.key).decrypt(nonce, body, _bound_to(table, row_id)).decode())
        except InvalidTag:
            raise ConfigurationError(
                f"the secret kept in {table} does not open: the sealing key was changed, or the row was altered or"
                " copied. Restore the key, or enter the secret again",
                code="secret_damaged",
            ) from None


def _bound_to(table: str, row_id: str) -> bytes:
    return f"{len(table)}:{table}:{row_id}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretResolver:
    """Finds the secret that a reference names: `env:NAME` in the environment, `keyvault:NAME` in one Azure Key Vault.

    `environ` is read at each call. `vault` answers a secret's text by its name; without one keyvault: is refused.
    """

    environ: Mapping[str, str] = field(repr=False)
    vault: Callable[[str], str] | None = field(default=None, repr=False)

    def resolve(self, reference: str) -> Secret:
        """Raises ConfigurationError (with words, and without the value) or SecretUnavailable."""
        kind, _, name = reference.partition(":")
        match kind:
            case "env" if _VARIABLE.fullmatch(name):
                return self._from_environment(name)
            case "keyvault" if _VAULT_NAME.fullmatch(name):
                return self._from_vault(name)
            case _:
                # Whoever pastes a password where a reference belongs must not read it in a log.
                raise ConfigurationError(
                    "a secret reference is env:NAME or keyvault:NAME, and this one is neither", code="secret_reference"
                )

    def _from_environment(self, name: str) -> Secret:
        text = self.environ.get(name, "")
        if not text:
            raise ConfigurationError(f"the environment has no variable {name}: set it to the secret", code="no_secret")
        return Secret(text)

    def _from_vault(self, name: str) -> Secret:
        if self.vault is None:
            raise ConfigurationError(
                f"keyvault:{name} cannot be read because no vault is configured: set the vault's URL", code="no_vault"
            )
        text = self.vault(name)
        if not text:
            raise ConfigurationError(f"the vault's secret {name} is empty: give it a value", code="no_secret")
        return Secret(text)


def key_vault(url: str) -> Callable[[str], str]:
    """Reads a secret's newest version from the vault at `url` with the host's identity; the SDK loads at first use.

    Errors are ConfigurationError (no such secret, no right to read it, no identity) and SecretUnavailable.
    """
    if not re.fullmatch(r"https://[A-Za-z0-9.-]+(:[0-9]+)?/?", url):
        raise ConfigurationError(
            "the vault's URL is not one: it looks like https://<name>.vault.azure.net", code="no_vault"
        )

    def read(name: str) -> str:
        from azure.core.exceptions import (
            AzureError,
            ClientAuthenticationError,
            HttpResponseError,
            ResourceNotFoundError,
        )
        from azure.identity import DefaultAzureCredential
        from azure.keyvault.secrets import SecretClient

        try:
            with DefaultAzureCredential() as credential, SecretClient(url, credential) as client:
                return client.get_secret(name).value or ""
        except ResourceNotFoundError:
            raise ConfigurationError(f"the vault has no secret named {name}: add it", code="no_secret") from None
        except ClientAuthenticationError:
            raise ConfigurationError(
                f"the vault refused this application's identity while it read {name}: give the application a managed"
                " identity with the role Key Vault Secrets User",
                code="vault_refused",
            ) from None
        except HttpResponseError as error:
            if error.status_code == 403:
                raise ConfigurationError(
                    f"this application may not read the vault's secret {name}: give its identity the role"
                    " Key Vault Secrets User",
                    code="vault_refused",
                ) from None
            raise SecretUnavailable(f"the vault did not answer for {name}: HTTP {error.status_code}") from None
        except AzureError as error:
            raise SecretUnavailable(f"the vault did not answer for {name}: {type(error).__name__}") from None

    return read
