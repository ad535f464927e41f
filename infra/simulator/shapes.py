"""What items look like in answers.

Sources: the listItem and fieldValueSet resource pages and recorded answers (pnp/pnpcore).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from infra.simulator import formulas
from infra.simulator.clock import iso
from infra.simulator.columns import LOOKUPS, Column
from infra.simulator.lists import USERS_TITLE, SharePointList
from infra.simulator.rows import Row
from infra.simulator.tenants import APP_USER
from infra.simulator.world import World

LOOKUP_LIMIT = 12


@lru_cache(maxsize=4096)
def encoded(text: str) -> str:
    """A path segment with everything encoded that can be."""
    return quote(text, safe="")


@lru_cache(maxsize=65536)
def item_guid(list_id: str, item: int) -> str:
    """The item's unique id: the same for the same list and item, in the form of a random guid."""
    text = blake2b(f"{list_id}/{item}".encode(), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:]}"


@dataclass(frozen=True, slots=True)
class View:
    """What the caller asked to see: `select` of the item, whether `fields`, `select` of the fields; None is everything."""

    select: frozenset[str] | None = None
    fields: bool = False
    field_select: tuple[str, ...] | None = None


class Shapes:
    def __init__(self, world: World) -> None:
        self._world = world

    # -- items

    def etag(self, lst: SharePointList, row: Row) -> str:
        version = row.version if self._world.rules.holds("ETAG-STARTS-AT-ONE") else row.version - 1
        return f'"{item_guid(lst.id, row.id)},{version}"'

    def item(
        self, lst: SharePointList, row: Row, view: View, *, base: str, context: str | None = None, echo: bool = False
    ) -> dict[str, Any]:
        """A listItem. `echo`: the answer to a write, whose dates are wrong in the way the service's are."""
        world = self._world
        holds = world.rules.holds
        site = world.sites[lst.site]
        etag = self.etag(lst, row)
        doc: dict[str, Any] = {"@odata.context": context} if context else {}
        doc["@odata.etag"] = etag
        wanted = view.select if view.select is not None and holds("ITEM-SELECT") else None
        for name, member in _MEMBERS:
            if wanted is None or name in wanted:
                doc[name] = member(self, lst, row)
        if not holds("ITEM-SHAREPOINT-IDS") or (view.select is not None and "sharepointIds" in view.select):
            doc["sharepointIds"] = {
                "listId": lst.id,
                "listItemId": str(row.id),
                "listItemUniqueId": item_guid(lst.id, row.id),
                "siteId": site.collection,
                "siteUrl": world.site_url(site),
                "tenantId": site.tenant,
                "webId": site.web,
            }
        if view.fields:
            where = f"{base}/v1.0/$metadata#sites('{encoded(world.site_id(site))}')/lists('{lst.id}')"
            doc["fields@odata.context"] = f"{where}/items('{row.id}')/fields/$entity"
            doc["fields"] = self.fields(lst, row, view.field_select, echo=echo)
        return doc

    def fields(
        self, lst: SharePointList, row: Row, select: tuple[str, ...] | None, *, echo: bool = False
    ) -> dict[str, Any]:
        """A fieldValueSet."""
        holds = self._world.rules.holds
        doc: dict[str, Any] = {"@odata.etag": self.etag(lst, row)}
        if select is not None and holds("ITEM-EXPAND-SELECT"):
            for name in select:
                self._selected(doc, lst, row, name, echo=echo)
            return doc
        values = row.values
        for slot, key, render in self._plan(lst):
            value = values.get(slot)
            if value is not None:
                doc[key] = render(value, echo)
            elif not holds("ITEM-NULLS-ABSENT"):
                doc[key] = None
        if not holds("VAL-LOOKUP-TEXT-ON-SELECT"):
            for column in lst.columns.values():
                if column.kind in ("lookup", "user") and not column.system and column.slot in values:
                    doc[column.name] = self._lookup_text(lst, column, values[column.slot])
        self._calculated(doc, lst, row)
        doc |= self._system(lst, row)
        return doc

    def _plan(self, lst: SharePointList) -> list[tuple[str, str, Callable[[Any, bool], Any]]]:
        """How the stored values of this list become members; made once per change of its columns."""
        if lst.plan is None or lst.plan[0] != self._stamp():
            shown = [
                column
                for column in lst.columns.values()
                if column.slot
                and column.kind != "calculated"
                and (not column.hidden or self._world.knobs["hidden_fields_shown"])
            ]
            lst.plan = (
                self._stamp(),
                [(column.slot, _read_key(column), self._render(lst, column)) for column in shown],
            )
        plan: list[tuple[str, str, Callable[[Any, bool], Any]]] = lst.plan[1]
        return plan

    def _stamp(self) -> tuple[Any, ...]:
        knobs = self._world.knobs
        return (
            knobs["integral_as"],
            knobs["note_line_ends"],
            knobs["wrong_date_echo"],
            knobs["hidden_fields_shown"],
            *self._world.rules.broken(),
        )

    def _render(self, lst: SharePointList, column: Column) -> Callable[[Any, bool], Any]:
        world = self._world
        holds, knobs = world.rules.holds, world.knobs
        match column.kind:
            case "note" if knobs["note_line_ends"] == "crlf":
                return lambda value, _: value.replace("\r\n", "\n").replace("\n", "\r\n")
            case "number" | "currency":
                if not holds("VAL-NUMBER" if column.kind == "number" else "VAL-CURRENCY"):
                    return lambda value, _: str(value)
                return (
                    (lambda value, _: float(value) if isinstance(value, int) else value)
                    if knobs["integral_as"] == "float"
                    else (lambda value, _: value)
                )
            case "boolean":
                return (lambda value, _: value) if holds("VAL-BOOLEAN") else (lambda value, _: int(value))
            case "dateTime":
                zone = ZoneInfo(world.sites[lst.site].timezone)
                wrong = knobs["wrong_date_echo"] and holds("VAL-DATE-ECHO-WRONG")
                return lambda value, echo: _moment_text(value, zone if echo and wrong else None)
            case "multichoice":
                return (
                    (lambda value, _: value) if holds("VAL-MULTI-CHOICE-ARRAY") else (lambda value, _: ";#".join(value))
                )
            case "lookup" | "user":
                if not holds("VAL-LOOKUP-STRING" if column.kind == "lookup" else "VAL-PERSON-STRING"):
                    return lambda value, _: value
                return lambda value, _: str(value)
            case "multilookup" | "multiuser":
                return lambda value, _: self._lookups(lst, column, value)
            case _:
                return lambda value, _: value

    def _lookups(self, lst: SharePointList, column: Column, ids: list[int]) -> list[Any]:
        holds = self._world.rules.holds
        if column.kind == "multilookup" and not holds("VAL-LOOKUP-MULTI"):
            return list(ids)
        found = []
        for item in ids:
            entry = {"LookupId": item, "LookupValue": self._lookup_text(lst, column, item)}
            if column.kind == "multiuser" and holds("VAL-PERSON-MULTI"):
                entry["Email"] = self._email(lst, item)
            found.append(entry)
        return found

    def lookup_target(self, lst: SharePointList, column: Column) -> SharePointList | None:
        """The list that a lookup or person column points at."""
        if "user" in column.kind:
            return self._world.list_by_title(self._world.sites[lst.site], USERS_TITLE)
        return self._world.list_by_id(str(column.options.get("listId", "")))

    def _lookup_text(self, lst: SharePointList, column: Column, item: int) -> Any:
        if item == APP_USER.id:
            return APP_USER.name
        target = self.lookup_target(lst, column)
        row = self._world.rows.get(target, item) if target else None
        if target is None or row is None:
            return ""
        shown = target.columns.get(
            str(column.options.get("columnName", "Title")) if column.kind in ("lookup", "multilookup") else "Title"
        )
        value = row.values.get(shown.slot) if shown and shown.slot else row.id
        return "" if value is None else str(value)

    def _email(self, lst: SharePointList, item: int) -> str:
        target = self._world.list_by_title(self._world.sites[lst.site], USERS_TITLE)
        row = self._world.rows.get(target, item) if target else None
        return str(row.values.get(target.columns["EMail"].slot, "")) if target and row else ""

    def _selected(self, doc: dict[str, Any], lst: SharePointList, row: Row, name: str, *, echo: bool) -> None:
        column = lst.columns.get(name)
        if column is not None and column.slot:
            value = row.values.get(column.slot)
            if column.kind == "calculated":
                self._calculated(doc, lst, row, only=name)
            elif value is not None:
                if column.kind in ("lookup", "user"):
                    doc[column.name] = self._lookup_text(lst, column, value)
                doc[_read_key(column)] = self._render(lst, column)(value, echo)
            elif not self._world.rules.holds("ITEM-NULLS-ABSENT"):
                doc[_read_key(column)] = None
            return
        if (
            name.endswith("LookupId")
            and (target := lst.columns.get(name[: -len("LookupId")])) is not None
            and target.slot
            and target.kind in LOOKUPS
        ):
            value = row.values.get(target.slot)
            if value is not None:
                doc[_read_key(target)] = self._render(lst, target)(value, echo)
            return
        system = self._system(lst, row) | {
            "ID": str(row.id),
            "Author": self._user_name(lst, row.author),
            "Editor": self._user_name(lst, row.editor),
            "GUID": item_guid(lst.id, row.id),
            "UniqueId": item_guid(lst.id, row.id),
            "owshiddenversion": row.version,
        }
        if name in system:
            doc[name] = system[name]

    def _system(self, lst: SharePointList, row: Row) -> dict[str, Any]:
        holds = self._world.rules.holds
        title = row.values.get("t")
        doc: dict[str, Any] = {"id": str(row.id), "ContentType": "Item"}
        if title is not None:
            doc |= {"LinkTitle": title, "LinkTitleNoMenu": title}
        doc |= {
            "Modified": self.time(row.modified),
            "Created": self.time(row.created),
            "AuthorLookupId": str(row.author),
            "EditorLookupId": str(row.editor),
            "_UIVersionString": self.label(lst, row.version),
            "Attachments": False,
            "Edit": "",
            "ItemChildCount": "0",
            "FolderChildCount": "0",
            "_ComplianceFlags": "",
            "_ComplianceTag": "",
            "_ComplianceTagWrittenTime": "",
            "_ComplianceTagUserId": "",
        }
        if not holds("ITEM-SYSTEM-FIELDS"):
            del doc["AuthorLookupId"], doc["EditorLookupId"]
        for name, app in (("AppAuthorLookupId", row.author_app), ("AppEditorLookupId", row.editor_app)):
            if app is not None and holds("ITEM-APP-AUTHOR"):
                doc[name] = str(self._app_number(lst, app))
        return doc

    def label(self, lst: SharePointList, version: int) -> str:
        """The version as people see it."""
        return f"{version}.0" if lst.versioning and self._world.rules.holds("VER-UI-VERSION") else "1.0"

    def _calculated(self, doc: dict[str, Any], lst: SharePointList, row: Row, only: str | None = None) -> None:
        for column in lst.columns.values():
            if column.kind == "calculated" and (only is None or column.name == only):
                value = formulas.evaluate(column, lst, row)
                if value is not None:
                    doc[column.name] = value

    def item_id(self, row: Row) -> str | int:
        return str(row.id) if self._world.rules.holds("ITEM-ID-ASCENDS") else row.id

    def item_parent(self, lst: SharePointList) -> dict[str, str]:
        return {"id": item_guid(lst.id, 0), "siteId": self._world.site_id(self._world.sites[lst.site])}

    def time(self, seconds: int) -> str:
        text = iso(seconds)
        return text if self._world.rules.holds("ITEM-WHOLE-SECONDS") else f"{text[:-1]}.123Z"

    def item_url(self, lst: SharePointList, row: Row) -> str:
        url = self._world.list_url(lst)
        return f"{url}/{row.id}_.000" if self._world.rules.holds("ITEM-WEB-URL") else f"{url}/DispForm.aspx?ID={row.id}"

    def _app_number(self, lst: SharePointList, client_id: str) -> int:
        app = self._world.tenants[self._world.sites[lst.site].tenant].apps.get(client_id)
        return app.number if app else 0

    def _user_name(self, lst: SharePointList, user: int) -> str:
        if user == APP_USER.id:
            return APP_USER.name
        return next((entry.name for entry in self._world.sites[lst.site].users if entry.id == user), "")

    def who(self, lst: SharePointList, user: int, app: str | None) -> dict[str, Any]:
        site = self._world.sites[lst.site]
        if app is not None:
            found = self._world.tenants[site.tenant].apps.get(app)
            doc: dict[str, Any] = {"user": {"displayName": APP_USER.name}}
            if self._world.rules.holds("ITEM-APP-AUTHOR"):
                doc = {"application": {"id": app, "displayName": found.name if found else ""}, **doc}
            return doc
        person = next((entry for entry in site.users if entry.id == user), None)
        if person is None:
            return {"user": {"displayName": "System Account"}}
        return {"user": {"email": person.email, "id": item_guid(site.tenant, person.id), "displayName": person.name}}


def _content_type(lst: SharePointList) -> dict[str, str]:
    return {"id": "0x0100" + item_guid(lst.id, 0).replace("-", "").upper(), "name": "Item"}


# Members of a listItem in the order of recorded answers.
_MEMBERS: tuple[tuple[str, Callable[[Shapes, SharePointList, Row], Any]], ...] = (
    ("id", lambda shapes, _, row: shapes.item_id(row)),
    ("eTag", lambda shapes, lst, row: shapes.etag(lst, row)),
    ("createdDateTime", lambda shapes, _, row: shapes.time(row.created)),
    ("lastModifiedDateTime", lambda shapes, _, row: shapes.time(row.modified)),
    ("webUrl", lambda shapes, lst, row: shapes.item_url(lst, row)),
    ("createdBy", lambda shapes, lst, row: shapes.who(lst, row.author, row.author_app)),
    ("lastModifiedBy", lambda shapes, lst, row: shapes.who(lst, row.editor, row.editor_app)),
    ("parentReference", lambda shapes, lst, _: shapes.item_parent(lst)),
    ("contentType", lambda _, lst, __: _content_type(lst)),
)


def _read_key(column: Column) -> str:
    return f"{column.name}LookupId" if column.kind in ("lookup", "user") else column.name


def _moment_text(value: Any, zone: ZoneInfo | None) -> Any:
    if isinstance(value, str):
        return value
    if zone is not None:
        offset = datetime.fromtimestamp(value, zone).utcoffset()
        value += offset.total_seconds() if offset else 0
    if isinstance(value, float) and not value.is_integer():
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return iso(int(value))
