"""Ledger entries between dataclasses and columns."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from shared.core.digests import content_hash, pack, unpack
from shared.core.ids import (
    Digest,
    ETag,
    FieldNo,
    Identity,
    IdentityHash,
    InstanceId,
    ItemId,
    ListId,
    MarkNumber,
    Stamp,
    identity_hash,
)
from shared.core.ledger import EntryState, Intent, IntentKind, LedgerEntry, Provenance


def parameters(entries: Sequence[LedgerEntry]) -> dict[str, list[Any]]:
    """One array per column, for `upsert`; entries have different identities."""
    return {
        "hashes": [identity_hash(entry.identity) for entry in entries],
        "identities": [entry.identity for entry in entries],
        "instances": [entry.source_instance_id for entry in entries],
        "states": [entry.state.value for entry in entries],
        "lists": [entry.list_id for entry in entries],
        "items": [entry.item_id for entry in entries],
        "etags": [entry.etag for entry in entries],
        "stamps": [entry.stamp for entry in entries],
        "content_hashes": [_hash_of(entry) for entry in entries],
        "digests": [None if entry.base is None else pack(entry.base) for entry in entries],
        "fingerprints": [entry.mapping_fingerprint for entry in entries],
        "provenances": [None if entry.provenance is None else entry.provenance.value for entry in entries],
        "intents": ["[]" if not entry.intents else _intents_text(entry.intents) for entry in entries],
        "generations": [entry.generation for entry in entries],
        "source_ts": [entry.last_source_ts for entry in entries],
    }


def entry_of(row: tuple[Any, ...]) -> tuple[IdentityHash, LedgerEntry]:
    """From the columns of `columns`."""
    (
        identity,
        state,
        instance,
        list_id,
        item_id,
        etag,
        stamp,
        digests,
        hashed,
        provenance,
        intents,
        confirmed,
        generation,
        fingerprint,
        source_ts,
        sync_ts,
        writes,
        key,
    ) = row
    entry = LedgerEntry(
        identity=Identity(identity),
        state=EntryState(state),
        source_instance_id=InstanceId(instance),
        list_id=None if list_id is None else ListId(list_id),
        item_id=None if item_id is None else ItemId(item_id),
        etag=None if etag is None else ETag(etag),
        stamp=None if stamp is None else Stamp(stamp),
        base=None if digests is None else unpack(digests),
        content_hash=None if hashed is None else Digest(hashed),
        provenance=None if provenance is None else Provenance(provenance),
        intents=() if intents == "[]" else tuple(map(_intent_of, json.loads(intents))),
        confirmed=None if confirmed is None else MarkNumber(confirmed),
        generation=generation,
        mapping_fingerprint=fingerprint,
        last_source_ts=source_ts,
        last_sync_ts=sync_ts,
        recent_writes=writes,
    )
    return IdentityHash(key), entry


def _hash_of(entry: LedgerEntry) -> bytes | None:
    if entry.base is None:
        return None
    return entry.content_hash if entry.content_hash is not None else content_hash(entry.base)


def _intents_text(intents: Sequence[Intent]) -> str:
    return orjson.dumps([_intent_json(intent) for intent in intents]).decode()


def _intent_json(intent: Intent) -> dict[str, object]:
    """Digests only: an intent never holds a value."""
    return {
        "op": str(intent.op),
        "kind": intent.kind.value,
        "guard": intent.guard,
        "list_id": intent.list_id,
        "item_id": intent.item_id,
        "digests": {str(no): digest.hex() for no, digest in intent.digests.items()},
        "expires_at": intent.expires_at.isoformat(),
        "transaction": intent.transaction,
        "landed": intent.landed,
    }


def _intent_of(stored: Mapping[str, Any]) -> Intent:
    return Intent(
        op=UUID(stored["op"]),
        kind=IntentKind(stored["kind"]),
        guard=stored["guard"],
        list_id=None if stored["list_id"] is None else ListId(stored["list_id"]),
        item_id=None if stored["item_id"] is None else ItemId(stored["item_id"]),
        digests={FieldNo(int(no)): Digest(bytes.fromhex(digest)) for no, digest in stored["digests"].items()},
        expires_at=datetime.fromisoformat(stored["expires_at"]),
        transaction=stored["transaction"],
        landed=stored["landed"],
    )
