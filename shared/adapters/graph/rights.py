"""What this application may do at a site, found out by doing it: consent alone says nothing under Sites.Selected."""

from dataclasses import replace

from shared.adapters.graph import urls
from shared.adapters.graph.answers import Answer, member
from shared.adapters.graph.client import RU_WRITE, GraphClient, Request
from shared.adapters.graph.sites import list_id_of, raw_lists, text_of
from shared.adapters.graph.verdicts import item_id_of
from shared.core.errors import Doubt, GraphUnavailable, ListGone, PermissionMissing
from shared.core.ids import ListId, SiteId
from shared.core.problems import Problem, Severity

PROBE_LIST = "SyncBridge rights check"
"""Made and deleted within the check; one that a killed check left behind is used again and deleted."""

_GRANT = (
    "with Sites.Selected, an administrator's grant of the role '{role}' on this site (POST /sites/{{id}}/permissions)"
)
READ_REMEDY = f"Sites.Read.All, or {_GRANT.format(role='read')}"
WRITE_REMEDY = f"Sites.ReadWrite.All, or {_GRANT.format(role='write')}"
MANAGE_REMEDY = f"Sites.Manage.All, or {_GRANT.format(role='manage')}"


def check_rights(client: GraphClient, site_id: SiteId, list_id: ListId | None = None) -> tuple[Problem, ...]:
    """The rights that are missing, each with the permission or grant that gives it; about 10 RU.

    Reading is tried on the site's lists; managing by making a list; writing by making and deleting an item in that list,
    or in `list_id` when no list could be made. Raises Throttled, GraphUnavailable, ConfigurationError.
    """
    return _Check(client, site_id).run(list_id)


class _Check:
    def __init__(self, client: GraphClient, site_id: SiteId) -> None:
        self._client = client
        self._site = site_id

    def run(self, list_id: ListId | None) -> tuple[Problem, ...]:
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
            return (manage, *self._written(list_id))
        problems = self._written(made)
        self._drop(made)
        return problems

    def _left_over(self) -> ListId | None:
        for element in raw_lists(self._client, self._site):
            if text_of(element, "displayName") == PROBE_LIST:
                return list_id_of(element)
        return None

    def _made(self) -> ListId | None:
        body = {"displayName": PROBE_LIST, "list": {"template": "genericList"}}
        answer = self._send("POST", urls.lists(self._site), body)
        return None if answer.status == 403 else list_id_of(self._client.expect(answer))

    def _written(self, list_id: ListId | None) -> tuple[Problem, ...]:
        if list_id is None:
            return (
                Problem(
                    code="write_right_unknown",
                    message="Whether this application may write items at this site shows only once it has a list.",
                    where="target",
                    severity=Severity.WARNING,
                    remedy=WRITE_REMEDY,
                ),
            )
        missing = _missing("write", "may not write items at this site", WRITE_REMEDY)
        answer = self._send("POST", urls.items(self._site, list_id), {"fields": {}})
        if answer.status == 403:
            return (missing,)
        item_id = item_id_of(member(self._client.expect(answer), "id"))
        if item_id is None:
            raise GraphUnavailable("Graph made an item without an id.", code="bad_answer")
        answer = self._send("DELETE", urls.item(self._site, list_id, item_id), None)
        if answer.status == 403:
            return (missing,)
        if answer.status != 404:
            self._client.expect(answer)
        return ()

    def _drop(self, list_id: ListId) -> None:
        answer = self._send("DELETE", urls.list_of(self._site, list_id), None)
        if answer.status not in (403, 404):
            self._client.expect(answer)

    def _send(self, method: str, address: urls.Address, body: object) -> Answer:
        request = Request(method=method, address=address, action="graph.rights", ru=RU_WRITE, body=body, writes=True)
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
