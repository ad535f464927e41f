"""Items of one list through the governed client: the ListStore that settle and the captures work with."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from shared.adapters.graph import urls
from shared.adapters.graph.answers import Answer, member
from shared.adapters.graph.batch import MAX_MEMBERS, Member, MemberAnswer, Unanswered, Unsent, send_batch
from shared.adapters.graph.client import (
    RU_DELTA_WITH_TOKEN,
    RU_MULTI_READ,
    RU_SINGLE_READ,
    RU_WRITE,
    GraphClient,
    Request,
)
from shared.adapters.graph.columns import SELECT, columns_of
from shared.adapters.graph.history import versions_after
from shared.adapters.graph.parsing import WRITER_COLUMNS, delta_entries, item_of, page_of
from shared.adapters.graph.presence import Presence, unindexed
from shared.adapters.graph.verdicts import (
    TokenRefused,
    Vanished,
    etag_of,
    is_not_indexed,
    is_threshold,
    may_be_threshold,
    read_failure,
    unauthenticated,
    write_verdict,
)
from shared.adapters.graph.writes import kind_of, member_for
from shared.core.definition import FieldKind, FieldMapping, TargetList
from shared.core.errors import (
    ConfigurationError,
    DeltaExpired,
    GraphUnavailable,
    InvariantViolated,
    SafetyStop,
    SyncError,
    Transient,
)
from shared.core.ids import ETag, ItemId
from shared.core.items import (
    LATEST,
    CreateItem,
    DeltaPage,
    Doubtful,
    Item,
    ItemWrite,
    Look,
    Looked,
    Missing,
    NotSent,
    Outcome,
    Refused,
    Stopped,
    Unread,
)
from shared.core.list_columns import differences
from shared.core.values.references import member as member_of

_T = TypeVar("_T")

_ENUMERATION_PAGE = "1000"
_MAX_EMPTY_PAGES = 50


def columns_to_read(fields: Iterable[FieldMapping]) -> tuple[str, ...]:
    """What to select for these mappings: a lookup or person shows its id only under a name of its own."""
    names: list[str] = []
    for mapping in fields:
        match mapping.kind:
            case FieldKind.LOOKUP | FieldKind.PERSON | FieldKind.COUNTER:
                names.append(member_of(mapping))
            case _:
                names.append(mapping.target_column_name)
    return tuple(dict.fromkeys(names))


class SharePointLists:
    """Implements `shared.ports.ListStore`.

    `columns`: names of the columns to read, see `columns_to_read`. They are selected by name: hidden columns (the key)
    and the display values of persons and lookups come only when they are asked for.
    """

    def __init__(self, client: GraphClient, columns: Sequence[str]) -> None:
        self._client = client
        self._columns = tuple(dict.fromkeys(urls.column_name(name) for name in columns))

    # ------------------------------------------------------------ reading

    def look(self, target: TargetList, items: Sequence[ItemId]) -> Mapping[ItemId, Look]:
        """Read items by id, 20 to a $batch, 1 RU each. Never raises for what Graph answers."""
        expand = self._expand(target)
        presence = Presence(self._client, target)
        looks: dict[ItemId, Look] = {}
        for chunk in _chunks(dict.fromkeys(items)):
            members = [
                Member(
                    method="GET",
                    address=urls.item(target.site_id, target.list_id, item_id).query({"$expand": expand}),
                    ru=RU_SINGLE_READ,
                )
                for item_id in chunk
            ]
            for item_id, answer in zip(chunk, self._send(members, "graph.look"), strict=True):
                looks[item_id] = self._look_at(answer, target, item_id, presence)
        return looks

    def _look_at(self, answer: MemberAnswer | Stopped, target: TargetList, item_id: ItemId, presence: Presence) -> Look:
        match answer:
            case Stopped():
                return answer
            case Unsent(retry_after=wait) | Unanswered(retry_after=wait):
                return Unread(retry_after=wait)
            case Answer() if answer.ok:
                item = item_of(answer.body, target.key_column)
                return Looked(item=item) if item is not None and item.id == item_id else Unread()
            case Answer():
                match read_failure(answer, self._client.clock.now(), asked=(*self._columns, target.key_column)):
                    case Vanished():
                        return presence.absent(lambda: Looked(item=None))
                    case TokenRefused():
                        return Stopped(error=unauthenticated())
                    case other:
                        return other

    def find(self, target: TargetList, sync_keys: Sequence[str]) -> Mapping[str, Look]:
        """Read items by the key column, 20 to a $batch, 2 RU each; keys are compared exactly, as `eq` does not."""
        expand, key = self._expand(target), urls.column_name(target.key_column)
        presence = Presence(self._client, target)
        looks: dict[str, Look] = {}
        for chunk in _chunks(dict.fromkeys(sync_keys)):
            members = [
                Member(
                    method="GET",
                    address=urls.items(target.site_id, target.list_id).query(
                        {"$expand": expand, "$filter": f"fields/{key} eq {urls.literal(sync_key)}"}
                    ),
                    ru=RU_MULTI_READ,
                    filtered=True,
                )
                for sync_key in chunk
            ]
            for sync_key, answer in zip(chunk, self._send(members, "graph.find"), strict=True):
                looks[sync_key] = self._found(answer, target, sync_key, presence)
        return looks

    def _found(self, answer: MemberAnswer | Stopped, target: TargetList, sync_key: str, presence: Presence) -> Look:
        match answer:
            case Stopped():
                return answer
            case Unsent(retry_after=wait) | Unanswered(retry_after=wait):
                return Unread(retry_after=wait)
            case Answer() if answer.ok:
                try:
                    return self._only(answer.body, target, sync_key)
                except Transient as error:
                    return Unread(retry_after=error.retry_after)
                except SyncError as error:
                    return Stopped(error=error)
            case Answer() if is_not_indexed(answer) or is_threshold(answer):
                return Stopped(error=unindexed(target))
            case Answer() if may_be_threshold(answer):
                return presence.key_indexed(lambda: Unread(retry_after=self._client.throttled(None)))
            case Answer():
                match read_failure(answer, self._client.clock.now(), asked=(*self._columns, target.key_column)):
                    case Vanished():
                        # A filter finds nothing with 200; 404 speaks of the list.
                        return presence.absent(Unread)
                    case TokenRefused():
                        return Stopped(error=unauthenticated())
                    case other:
                        return other

    def _only(self, body: object, target: TargetList, sync_key: str) -> Look:
        """The one item of a filter's answer. A page of a filter may be empty and still have a next one."""
        elements = page_of(body)
        link = member(body, "@odata.nextLink")
        for _ in range(_MAX_EMPTY_PAGES):
            if elements or link is None:
                break
            body = self._follow(link, urls.items(target.site_id, target.list_id), "graph.find", RU_MULTI_READ)
            elements, link = page_of(body), member(body, "@odata.nextLink")
        else:
            raise GraphUnavailable("A filter's pages do not end.", code="endless_pages")
        found = [item_of(element, target.key_column) for element in elements]
        if any(item is None or item.sync_key is None for item in found):
            return Unread()
        matching = [item for item in found if item is not None and item.sync_key == sync_key]
        if len(matching) > 1:
            raise SafetyStop(
                f"Several items hold one key in the column {target.key_column}: it is not unique any more."
                " Switch 'enforce unique values' on again and remove the copies.",
                code="key_not_unique",
            )
        return Looked(item=matching[0] if matching else None)

    # ------------------------------------------------------------ writing

    def reserve(self, writes: int) -> None:
        """2 RU each."""
        self._client.reserve(RU_WRITE * writes)

    def release(self) -> None:
        """What no write has used goes back to the budget."""
        self._client.release()

    def write(self, target: TargetList, writes: Sequence[ItemWrite]) -> Mapping[UUID, Outcome]:
        """At most 20 writes in one $batch, 2 RU each; every PATCH and DELETE carries If-Match.

        Values of the answers are not used: dates in them can be wrong (microsoft-graph-docs #5293, #10950, #13168).
        """
        if len(writes) > MAX_MEMBERS or len({write.op for write in writes}) != len(writes):
            raise InvariantViolated(
                f"One call writes at most {MAX_MEMBERS} times, each with its own op.", code="bad_batch"
            )
        outcomes: dict[UUID, Outcome] = {}
        sent: list[tuple[ItemWrite, Member]] = []
        for write in writes:
            made = member_for(target, write)
            if isinstance(made, Refused):
                outcomes[write.op] = made
            else:
                sent.append((write, made))
        if not sent:
            return outcomes
        presence = Presence(self._client, target)
        for (write, _), answer in zip(sent, self._send([made for _, made in sent], "graph.write"), strict=True):
            outcomes[write.op] = self._outcome(answer, write, presence)
        return outcomes

    def _outcome(self, answer: MemberAnswer | Stopped, write: ItemWrite, presence: Presence) -> Outcome:
        match answer:
            case Stopped():
                return answer
            case Unsent(retry_after=wait):
                return NotSent(retry_after=wait)
            case Unanswered(reason=reason):
                return Doubtful(reason=reason)
            case Answer():
                kind, item_id, names = kind_of(write)
                now = self._client.clock.now()
                match write_verdict(kind, answer, item_id=item_id, sent=names, now=now):
                    case Vanished():
                        return _vanished(write, presence)
                    case TokenRefused():
                        return Stopped(error=unauthenticated())
                    case other:
                        return other

    # ------------------------------------------------------------ columns, history and changes

    def drift(self, target: TargetList, fields: Sequence[FieldMapping]) -> tuple[str, ...]:
        """2 RU. Raises ListGone, PermissionMissing, Throttled, GraphUnavailable."""
        address = urls.columns(target.site_id, target.list_id).query({"$select": SELECT})
        shown = columns_of(self._client.get(address, action="graph.columns", ru=RU_MULTI_READ))
        return differences(fields, [one.column for one in shown])

    def versions_since(self, target: TargetList, item: ItemId, etag: ETag) -> Sequence[Item] | None:
        """1 + 2 RU a page. Raises Transient errors, ListGone, PermissionMissing; None also when the item is gone."""
        presence = Presence(self._client, target)
        return versions_after(self._client, target, item, etag, self._expand(target), presence.require)

    def delta(self, target: TargetList, token: str | None) -> DeltaPage:
        """One page of changes. `token`: None for everything that is there now, LATEST, or a page's `next_token`.

        1 RU with a token, 2 without. Raises DeltaExpired, ListGone, PermissionMissing, Throttled, GraphUnavailable.
        """
        start = urls.delta(target.site_id, target.list_id)
        if token is None or token == LATEST:
            options = {"$expand": self._expand(target)} | ({"token": LATEST} if token else {})
            address, ru = start.query(options), RU_MULTI_READ
        else:
            address, ru = self._address(token, start), RU_DELTA_WITH_TOKEN
        answer = self._client.send(Request(method="GET", address=address, action="graph.delta", ru=ru))
        if _expired(answer, with_token=token is not None):
            raise DeltaExpired("SharePoint does not know this delta token any more; the whole list has to be compared.")
        if answer.status in (404, 501):
            Presence(self._client, target).require()
            if token not in (None, LATEST):
                raise DeltaExpired("SharePoint does not find what this delta token leads to; the list is there.")
            raise ConfigurationError("This cloud has no delta for lists; use enumeration.", code="delta_unavailable")
        body = self._client.expect(answer)
        entries = delta_entries(body, target.key_column)
        link = member(body, "@odata.nextLink")
        following = link if link is not None else member(body, "@odata.deltaLink")
        self._address(following, start)
        if link is not None and link == token:
            raise GraphUnavailable("A page of changes names itself as the next one.", code="endless_pages")
        return DeltaPage(entries=entries, next_token=str(following), complete=link is None)

    def enumerate(self, target: TargetList, token: str | None) -> DeltaPage:
        """One page of the whole list: ids, eTags and whether there is a key, 2 RU; at the end `next_token` is empty.

        No snapshot: items written meanwhile may or may not be in it. Raises as `delta` does; DeltaExpired when a page's
        link is not known any more: the list has to be read from its start.
        """
        start = urls.items(target.site_id, target.list_id)
        key = f"fields($select={urls.column_name(target.key_column)})"
        options = {"$select": "id,eTag", "$expand": key, "$top": _ENUMERATION_PAGE}
        address = self._address(token, start) if token else start.query(options)
        answer = self._client.send(Request(method="GET", address=address, action="graph.enumerate", ru=RU_MULTI_READ))
        if token and _expired(answer, with_token=True):
            raise DeltaExpired("SharePoint does not know this page of the list any more.", code="page_expired")
        body = self._client.expect(answer)
        try:
            entries = delta_entries(body, target.key_column)
        except DeltaExpired:
            raise GraphUnavailable(
                "A page of the list holds an entry that cannot be read.", code="bad_answer"
            ) from None
        if any(entry.deleted or etag_of(entry.etag) is None for entry in entries):
            raise GraphUnavailable("A page of the list holds an item without an eTag.", code="bad_answer")
        entries = tuple(replace(entry, item=None) for entry in entries)  # it has no values but the key
        link = member(body, "@odata.nextLink")
        if link is None:
            return DeltaPage(entries=entries, next_token="", complete=True)
        self._address(link, start)
        if link == token:
            raise GraphUnavailable("A page of the list names itself as the next one.", code="endless_pages")
        return DeltaPage(entries=entries, next_token=link, complete=False)

    # ------------------------------------------------------------ helpers

    def _expand(self, target: TargetList) -> str:
        names = dict.fromkeys((*self._columns, urls.column_name(target.key_column), *WRITER_COLUMNS))
        return f"fields($select={','.join(names)})"

    def _send(self, members: Sequence[Member], action: str) -> Sequence[MemberAnswer | Stopped]:
        try:
            return send_batch(self._client, members, action=action)
        except SyncError as error:  # the whole envelope was refused: nothing was done
            return [Stopped(error=error)] * len(members)

    def _address(self, link: object, place: urls.Address) -> urls.Address:
        return urls.Address(path=urls.followed(link, self._client.cloud.root), template=place.template)

    def _follow(self, link: object, place: urls.Address, action: str, ru: int) -> Any:
        return self._client.get(self._address(link, place), action=action, ru=ru)


def _vanished(write: ItemWrite, presence: Presence) -> Outcome:
    conclusion: Outcome = (
        Refused(code="itemNotFound", message="SharePoint answered a creation with 404 although the list is there.")
        if isinstance(write, CreateItem)
        else Missing()
    )
    match presence.absent(lambda: conclusion):
        case Unread(retry_after=wait):
            return NotSent(retry_after=wait)  # a 404 is a definite answer: nothing was written
        case other:
            return other


def _expired(answer: Answer, *, with_token: bool) -> bool:
    if answer.status == 410:
        return True
    if answer.status not in (400, 404):
        return False
    told = any(code.lower().startswith(("resync", "syncstate")) for code in answer.codes)
    return told or (answer.status == 400 and with_token and answer.says("invalidRequest"))


def _chunks(values: Iterable[_T]) -> Iterator[list[_T]]:
    chunk: list[_T] = []
    for value in values:
        chunk.append(value)
        if len(chunk) == MAX_MEMBERS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
