"""Identifiers as types: a bare string never crosses a module boundary as an id."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NewType
from uuid import UUID

DefinitionId = NewType("DefinitionId", UUID)
InstanceId = NewType("InstanceId", UUID)
"""A database instance: one server's database with its credentials."""
ConnectionId = NewType("ConnectionId", UUID)
"""A SharePoint connection: tenant, application, credentials."""
RunId = NewType("RunId", UUID)
ClaimToken = NewType("ClaimToken", UUID)
FieldNo = NewType("FieldNo", int)
"""A field mapping's number, unique within its definition for ever: digests in the ledger are keyed by it."""
Identity = NewType("Identity", str)
"""A row's key: a JSON array of the key columns' text forms, exactly as PostgreSQL prints it under pinned settings."""
IdentityHash = NewType("IdentityHash", bytes)
"""SHA-256 of the identity's UTF-8 bytes (32 bytes): the ledger's key."""
SiteId = NewType("SiteId", str)
"""Graph's composite site id: host,site-collection GUID,web GUID."""
ListId = NewType("ListId", str)
"""A list's GUID in lower case."""
ItemId = NewType("ItemId", int)
ETag = NewType("ETag", str)
"""An item's eTag with its quotes, as Graph gave it."""
Stamp = NewType("Stamp", int)
"""A signed 64-bit hash of a row's mapped columns, computed by the source. A filter, never a truth."""
RowVersion = NewType("RowVersion", str)
"""A row's xmin as text: what a conditional write compares."""
MarkNumber = NewType("MarkNumber", int)
"""From one global sequence; a number never comes back, whatever becomes of its subject."""
Digest = NewType("Digest", bytes)
"""BLAKE2b-128 of a canonical value (16 bytes)."""


def identity_of(texts: Sequence[str]) -> Identity:
    """The identity of key texts: byte-equal to PostgreSQL's `json_build_array(a::text, b::text)::text`."""
    return Identity(json.dumps(list(texts), ensure_ascii=False))


def key_texts(identity: Identity) -> tuple[str, ...]:
    """The key columns' text forms of an identity. Raises ValueError for anything but a JSON array of strings."""
    parts = json.loads(identity)
    if not isinstance(parts, list) or not parts or not all(isinstance(part, str) for part in parts):
        raise ValueError('an identity is a JSON array of the key columns\' text forms, such as ["42"]')
    return tuple(parts)


def identity_hash(identity: Identity) -> IdentityHash:
    return IdentityHash(hashlib.sha256(identity.encode()).digest())


def sync_key(hashed: IdentityHash) -> str:
    """What the list's hidden unique column holds for a row: 64 lower-case hexadecimal digits."""
    return hashed.hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSubject:
    identity: Identity

    @property
    def key(self) -> bytes:
        return identity_hash(self.identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSubject:
    list_id: ListId
    item_id: ItemId

    @property
    def key(self) -> bytes:
        return hashlib.sha256(f"item:{self.list_id}:{self.item_id}".encode()).digest()


Subject = RowSubject | ItemSubject
