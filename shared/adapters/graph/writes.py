"""Writes as requests: creations, and changes and deletions that carry the eTag they were decided on."""

from collections.abc import Mapping
from typing import Any

import orjson

from shared.adapters.graph import urls
from shared.adapters.graph.batch import Member
from shared.adapters.graph.client import RU_WRITE
from shared.adapters.graph.verdicts import WriteKind, etag_of
from shared.core.definition import TargetList
from shared.core.errors import InvariantViolated
from shared.core.ids import ETag, ItemId
from shared.core.items import CreateItem, DeleteItem, ItemWrite, PatchItem, Refused

_TYPE = "@odata.type"


def kind_of(write: ItemWrite) -> tuple[WriteKind, ItemId | None, tuple[str, ...]]:
    """A write's kind, its item, and the names of the columns that it sends."""
    match write:
        case CreateItem(fields=fields):
            return WriteKind.CREATE, None, _columns(fields)
        case PatchItem(item_id=item_id, fields=fields):
            return WriteKind.PATCH, item_id, _columns(fields)
        case DeleteItem(item_id=item_id):
            return WriteKind.DELETE, item_id, ()


def member_for(target: TargetList, write: ItemWrite) -> Member | Refused:
    """The request of a write, or why it cannot be one."""
    site_id, list_id = target.site_id, target.list_id
    try:
        match write:
            case CreateItem(fields=fields):
                body = orjson.Fragment(orjson.dumps({"fields": _annotated(fields, nulls=False)}))
                return Member(method="POST", address=urls.items(site_id, list_id), ru=RU_WRITE, body=body, writes=True)
            case PatchItem(item_id=item_id, etag=etag, fields=fields):
                return Member(
                    method="PATCH",
                    address=urls.item_fields(site_id, list_id, item_id),
                    ru=RU_WRITE,
                    body=orjson.Fragment(orjson.dumps(_annotated(fields, nulls=True))),
                    headers={"If-Match": _checked(etag)},
                    writes=True,
                )
            case DeleteItem(item_id=item_id, etag=etag):
                return Member(
                    method="DELETE",
                    address=urls.item(site_id, list_id, item_id),
                    ru=RU_WRITE,
                    headers={"If-Match": _checked(etag)},
                    writes=True,
                )
    except TypeError:  # orjson: no JSON form, such as half a surrogate pair or an integer beyond 64 bits
        return Refused(code="unencodable", message="A value of this row has no JSON form, so it cannot be sent.")


def _columns(fields: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in fields if not name.endswith(_TYPE))


def _checked(etag: ETag) -> ETag:
    found = etag_of(etag)
    if found is None:
        raise InvariantViolated("A conditional write needs an eTag with its quotes.", code="bad_etag")
    return found


def _annotated(fields: Mapping[str, Any], *, nulls: bool) -> dict[str, Any]:
    """The body's columns. Collections need their type named (microsoft-graph-docs #2745), which is added where a caller
    did not; a creation leaves nulls out (msgraph-sdk-dotnet-core #656)."""
    made: dict[str, Any] = {}
    for name, value in fields.items():
        urls.column_name(name.removesuffix(_TYPE))
        if isinstance(value, list | tuple):
            kind = "Int32" if value and all(isinstance(part, int) for part in value) else "String"
            made.setdefault(f"{name}{_TYPE}", f"Collection(Edm.{kind})")
            made[name] = list(value)
        elif value is not None or nulls:
            made[name] = value
    return made
