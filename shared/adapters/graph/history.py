"""An item's versions, to tell whether a write that got no answer ever landed."""

import re
from collections.abc import Callable, Sequence

from shared.adapters.graph import urls
from shared.adapters.graph.answers import member
from shared.adapters.graph.client import RU_MULTI_READ, RU_SINGLE_READ, GraphClient, Request
from shared.adapters.graph.parsing import editor_of, fields_of, key_of, page_of
from shared.adapters.graph.verdicts import etag_of
from shared.core.definition import TargetList
from shared.core.errors import GraphUnavailable
from shared.core.ids import ETag, ItemId, ListId, SiteId
from shared.core.items import Item, ItemFields

_VERSION = re.compile(r"([1-9][0-9]{0,8})\.0")
_WRITES = re.compile(r'"[^",]+,([0-9]{1,9})"')
_MAX_PAGES = 20


def versions_after(
    client: GraphClient,
    target: TargetList,
    item_id: ItemId,
    etag: ETag,
    expand: str,
    require_list: Callable[[], None],
) -> Sequence[Item] | None:
    """The item as each version written after `etag` left it, oldest first; without times, which Graph shifts in versions
    (microsoft-graph-docs #12328), and with the sync key only if versions show hidden columns.

    An eTag counts an item's writes and a version label its versions: where the two agree, every write made a version, and
    the versions meant are those numbered above the eTag. None when that cannot be relied on: the item is gone, versions
    are missing, a write made none (versioning off, a system update), or labels have another form (minor versions).
    """
    address = urls.item(target.site_id, target.list_id, item_id).query({"$expand": "fields($select=_UIVersionString)"})
    answer = client.send(Request(method="GET", address=address, action="graph.look", ru=RU_SINGLE_READ))
    if answer.status == 404:
        require_list()
        return None
    item = client.expect(answer)
    current = etag_of(member(item, "eTag"))
    now, then = _writes(current), _writes(etag)
    label = _label(member(member(item, "fields"), "_UIVersionString"))
    if current is None or now is None or then is None or label != now or now < then:
        return None
    wanted = range(then + 1, now + 1)
    found = _versions(client, target, item_id, expand, oldest=wanted.start)
    if any(number not in found for number in wanted):
        return None
    guid = current.strip('"').rpartition(",")[0]
    return [
        Item(
            id=item_id,
            etag=ETag(f'"{guid},{number}"'),
            sync_key=key_of(found[number], target.key_column),
            fields=found[number],
            editor_id=editor_of(found[number]),
        )
        for number in sorted(found)
        if number >= wanted.start
    ]


def keeps_versions(client: GraphClient, site_id: SiteId, list_id: ListId) -> bool | None:
    """Whether a list keeps its items' versions, told by items that were written more than once: Graph shows the setting
    nowhere. False: some write made no version, so that this item's history tells nothing. None: no item among the first
    was written twice. One page, 2 RU."""
    options = {"$select": "id,eTag", "$expand": "fields($select=_UIVersionString)", "$top": "100"}
    body = client.get(urls.items(site_id, list_id).query(options), action="graph.enumerate", ru=RU_MULTI_READ)
    written = [
        (writes, label)
        for item in page_of(body)
        if (writes := _writes(etag_of(member(item, "eTag")))) is not None and writes > 1
        if (label := _label(member(member(item, "fields"), "_UIVersionString"))) is not None
    ]
    return all(writes == label for writes, label in written) if written else None


def _versions(
    client: GraphClient, target: TargetList, item_id: ItemId, expand: str, *, oldest: int
) -> dict[int, ItemFields]:
    """Versions by label, newest first on the wire; pages are followed until `oldest` was seen."""
    place = urls.item_versions(target.site_id, target.list_id, item_id)
    address = place.query({"$expand": expand})
    found: dict[int, ItemFields] = {}
    for _ in range(_MAX_PAGES):
        body = client.get(address, action="graph.versions", ru=RU_MULTI_READ)
        for element in page_of(body):
            label, fields = _label(member(element, "id")), fields_of(member(element, "fields"))
            if label is not None and fields is not None:
                found[label] = fields
        link = member(body, "@odata.nextLink")
        if link is None or (found and min(found) <= oldest):
            return found
        address = urls.Address(path=urls.followed(link, client.cloud.root), template=place.template)
    raise GraphUnavailable("An item's versions do not end.", code="endless_pages")


def _writes(etag: ETag | None) -> int | None:
    found = _WRITES.fullmatch(etag) if etag is not None else None
    return int(found[1]) if found else None


def _label(value: object) -> int | None:
    found = _VERSION.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) if found else None
