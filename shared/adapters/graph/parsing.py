"""Items as Graph shows them, turned into ours: insists on what we use, tolerates whatever else is there."""

from collections.abc import Mapping
from datetime import datetime

from shared.adapters.graph.answers import member
from shared.adapters.graph.verdicts import etag_of, item_id_of
from shared.core.errors import DeltaExpired, GraphUnavailable
from shared.core.items import DeltaEntry, Item, ItemFields

WRITER_COLUMNS = ("EditorLookupId", "AppEditorLookupId")
"""Who wrote last. Delta leaves lastModifiedBy out, so the writer is read from these."""


def time_of(value: object) -> datetime | None:
    """An aware time, or None: dates in answers inform, they never decide."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def fields_of(value: object) -> ItemFields | None:
    """The columns of a fieldValueSet without its annotations."""
    if not isinstance(value, Mapping):
        return None
    return {name: content for name, content in value.items() if isinstance(name, str) and "@odata." not in name}


def item_of(value: object, key_column: str) -> Item | None:
    """A listItem with its fields, or None when id, eTag or fields are missing or malformed."""
    item_id = item_id_of(member(value, "id"))
    etag = etag_of(member(value, "eTag")) or etag_of(member(value, "@odata.etag"))
    fields = fields_of(member(value, "fields"))
    if item_id is None or etag is None or fields is None:
        return None
    return Item(
        id=item_id,
        etag=etag,
        sync_key=key_of(fields, key_column),
        fields=fields,
        created=time_of(member(value, "createdDateTime")),
        modified=time_of(member(value, "lastModifiedDateTime")),
        editor_id=editor_of(fields),
    )


def key_of(fields: ItemFields, key_column: str) -> str | None:
    key = fields.get(key_column)
    return key if isinstance(key, str) and key else None


def editor_of(fields: ItemFields) -> str | None:
    """Who wrote last, by id in the site's User Information List; None for an application, or when nobody is told."""
    editor = fields.get("EditorLookupId")
    by_application = fields.get("AppEditorLookupId") is not None
    return editor if isinstance(editor, str) and editor.isdigit() and not by_application else None


def delta_entries(body: object, key_column: str) -> tuple[DeltaEntry, ...]:
    """The entries of a delta page; of an item that repeats, the last one, at its place.

    An element that holds an error, or no usable id, hides a change (msgraph-sdk-typescript #544, #545): DeltaExpired
    asks for an enumeration instead of its page. An element that is neither deleted nor has an eTag says only that
    something happened to the item (the unmarked deletes that followed those issues): its entry has no eTag.
    """
    last: dict[int, DeltaEntry] = {}
    for element in page_of(body):
        item_id = item_id_of(member(element, "id"))
        if item_id is None or member(element, "error") is not None:
            raise DeltaExpired(
                "A page of the list's changes holds an entry that cannot be read; the whole list has to be compared.",
                code="delta_poisoned",
            )
        deleted = isinstance(member(element, "deleted"), Mapping)
        etag = None if deleted else etag_of(member(element, "eTag")) or etag_of(member(element, "@odata.etag"))
        item = None if deleted else item_of(element, key_column)
        last.pop(item_id, None)
        last[item_id] = DeltaEntry(
            item_id=item_id,
            deleted=deleted,
            etag=etag,
            item=item,
            keyless=item is not None and item.sync_key is None,
        )
    return tuple(last.values())


def page_of(body: object) -> list[object]:
    """The `value` of a collection. Raises GraphUnavailable when there is none."""
    value = member(body, "value")
    if not isinstance(value, list):
        raise GraphUnavailable("Graph's answer is no collection.", code="bad_answer")
    return value
