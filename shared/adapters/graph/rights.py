"""What this application may do at a site, found out by doing it: consent alone says nothing under Sites.Selected."""

from collections.abc import Mapping
from dataclasses import replace

from shared.adapters.graph import urls
from shared.adapters.graph.answers import Answer, member
from shared.adapters.graph.client import RU_SINGLE_READ, RU_WRITE, GraphClient, Request
from shared.adapters.graph.parsing import item_of, page_of
from shared.adapters.graph.sites import list_id_of, raw_lists, text_of
from shared.adapters.graph.verdicts import item_id_of
from shared.core.days import DayColumn, probes, zone_problem
from shared.core.errors import Doubt, GraphUnavailable, ListGone, PermissionMissing, SyncError
from shared.core.ids import ItemId, ListId, SiteId
from shared.core.naming import CHECK_KEY
from shared.core.problems import Problem, Severity
from shared.core.provisioning import CheckedList
from shared.core.values.moments import instant_of

PROBE_LIST = "SyncBridge rights check"
"""Made and deleted within the check; one that a killed check left behind is used again and deleted."""
_DAY = "Day"
"""Its date-only column."""

_GRANT = (
    "with Sites.Selected, an administrator's grant of the role '{role}' on this site (POST /sites/{{id}}/permissions)"
)
READ_REMEDY = f"Sites.Read.All, or {_GRANT.format(role='read')}"
WRITE_REMEDY = f"Sites.ReadWrite.All, or {_GRANT.format(role='write')}"
MANAGE_REMEDY = f"Sites.Manage.All, or {_GRANT.format(role='manage')}"


def check_rights(client: GraphClient, site_id: SiteId, own: CheckedList | None = None) -> tuple[Problem, ...]:
    """The rights that are missing, each with the permission or grant that gives it; about 10 RU, 15 where days are kept.

    Reading is tried on the site's lists; managing by making a list; writing by making and deleting an item in that list,
    or in `own` when no list could be made. Whether the site has the zone of its days is tried with the same item. An item
    in `own` says by its key that it stands for no row. Raises Throttled, GraphUnavailable, ConfigurationError.
    """
    return _Check(client, site_id).run(own)


class _Check:
    def __init__(self, client: GraphClient, site_id: SiteId) -> None:
        self._client = client
        self._site = site_id

    def run(self, own: CheckedList | None) -> tuple[Problem, ...]:
        try:
            left_over = self._left_over()
        except (PermissionMissing, ListGone):
            return (_missing("read", "may not read this site, or the site does not exist", READ_REMEDY),)
        made = left_over or self._made()
        if made is None:
            manage = replace(
                _missing("manage", "may not make lists or columns at this site", MANAGE_REMEDY),
                severity=Severity.WARNING,  # a list that is provisioned already does without
            )
            return (manage, *self._written_to(own))
        days = None if own is None or own.days is None else replace(own.days, name=_DAY)
        try:
            problems = self._written(made, {}, days)
        except ListGone:  # the site is there: it was read a moment ago
            raise GraphUnavailable("Another check of rights took its list away. Check the rights again.") from None
        self._drop(made)
        return problems

    def _left_over(self) -> ListId | None:
        for element in raw_lists(self._client, self._site):
            if text_of(element, "displayName") == PROBE_LIST:
                return list_id_of(element)
        return None

    def _made(self) -> ListId | None:
        day = {"name": _DAY, "dateTime": {"displayAs": "standard", "format": "dateOnly"}}
        body = {"displayName": PROBE_LIST, "list": {"template": "genericList"}, "columns": [day]}
        answer = self._send("POST", urls.lists(self._site), body)
        return None if answer.status == 403 else list_id_of(self._client.expect(answer))

    def _written_to(self, own: CheckedList | None) -> tuple[Problem, ...]:
        if own is None:
            return (
                Problem(
                    code="write_right_unknown",
                    message="Whether this application may write items at this site shows only once it has a list.",
                    where="target",
                    severity=Severity.WARNING,
                    remedy=WRITE_REMEDY,
                ),
            )
        for item_id in self._left_over_in(own):
            if not self._deleted(urls.item(self._site, own.list_id, item_id)):
                return (_UNWRITABLE,)
        return self._written(own.list_id, {own.key_column: CHECK_KEY}, own.days)

    def _left_over_in(self, own: CheckedList) -> list[ItemId]:
        """Items of checks that were killed."""
        key = urls.column_name(own.key_column)
        wanted = {"$expand": f"fields($select={key})", "$filter": f"fields/{key} eq {urls.literal(CHECK_KEY)}"}
        address = urls.items(self._site, own.list_id).query(wanted)
        elements = page_of(self._client.expect(self._send("GET", address, None)))
        # `eq` does not tell capitals from small letters, nor blanks at the end.
        items = [item for element in elements if (item := item_of(element, own.key_column)) is not None]
        return [item.id for item in items if item.is_check]

    def _written(self, list_id: ListId, fields: Mapping[str, str], days: DayColumn | None) -> tuple[Problem, ...]:
        answer = self._send("POST", urls.items(self._site, list_id), {"fields": fields})
        if answer.status == 403:
            return (_UNWRITABLE,)
        item_id = item_id_of(member(self._client.expect(answer), "id"))
        if item_id is None:
            raise GraphUnavailable("Graph made an item without an id.", code="bad_answer")
        item = urls.item(self._site, list_id, item_id)
        try:
            problem = None if days is None else self._zone(item, days)
        except SyncError:
            # It may be in a list where people would see it until the next check.
            self._send("DELETE", item, None)
            raise
        if not self._deleted(item):
            return (_UNWRITABLE,)
        return () if problem is None else (problem,)

    def _deleted(self, item: urls.Address) -> bool:
        """False: that is not allowed."""
        answer = self._send("DELETE", item, None)
        if answer.status not in (403, 404):
            self._client.expect(answer)
        return answer.status != 403

    def _zone(self, item: urls.Address, days: DayColumn) -> Problem | None:
        kept = {}
        for written in probes(self._client.clock.now().year):
            body = {days.name: written.strftime("%Y-%m-%dT%H:%M:%SZ")}
            self._client.expect(self._send("PATCH", item.below("fields"), body))
            # Answers to writes show dates of another zone now and then; a reading does not.
            shown = member(self._client.expect(self._send("GET", item.below("fields"), None)), days.name)
            read = instant_of(shown) if isinstance(shown, str) else None
            if read is None:
                raise GraphUnavailable("Graph shows no date where one was written.", code="bad_answer")
            kept[written] = read
        return zone_problem(days.zone, kept)

    def _drop(self, list_id: ListId) -> None:
        answer = self._send("DELETE", urls.list_of(self._site, list_id), None)
        if answer.status not in (403, 404):
            self._client.expect(answer)

    def _send(self, method: str, address: urls.Address, body: object) -> Answer:
        reads = method == "GET"
        ru = RU_SINGLE_READ if reads else RU_WRITE
        request = Request(method=method, address=address, action="graph.rights", ru=ru, body=body, writes=not reads)
        try:
            return self._client.send(request)
        except Doubt as doubt:
            raise GraphUnavailable(f"{doubt.message} Check the rights again.") from None


def _missing(right: str, what: str, remedy: str) -> Problem:
    return Problem(
        code=f"{right}_right_missing",
        message=f"This application {what}.",
        where="target",
        remedy=f"Grant {remedy}.",
    )


_UNWRITABLE = _missing("write", "may not write items at this site", WRITE_REMEDY)
