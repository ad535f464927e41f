"""Making and changing lists and columns: what the Graph surface and a person both do."""

import uuid
from dataclasses import replace
from typing import Any

from infra.simulator import columns, errors
from infra.simulator.columns import INDEXABLE, MAX_INDEXED, UNIQUE_ABLE, Column
from infra.simulator.lists import TEMPLATES, SharePointList
from infra.simulator.tenants import Site
from infra.simulator.world import World

_MAX_LISTS = 2_000


class Structure:
    def __init__(self, world: World) -> None:
        self._world = world

    # -- lists

    def create_list(self, site: Site, body: dict[str, Any], app: str) -> SharePointList:
        """From a list resource. Raises GraphError; the columns are checked before anything is made."""
        world = self._world
        holds = world.rules.holds
        title = body.get("displayName")
        if body.get("name") is not None:
            if holds("LIST-CREATE-NAME-REFUSED"):
                raise errors.invalid(
                    "Cannot define a 'name' for a list as it is assigned by the server. Instead, provide 'displayName'"
                )
            title = title or body["name"]
        if title is None and not holds("LIST-CREATE-NEEDS-TITLE"):
            title = "New list"
        if not isinstance(title, str) or not title.strip() or len(title) > 255:
            raise errors.invalid("A list needs a displayName of 1 to 255 characters.")
        facet = body.get("list") or {}
        if not isinstance(facet, dict):
            raise errors.bad_argument()
        template = facet.get("template") or ("genericList" if holds("LIST-TEMPLATE-DEFAULT") else "documentLibrary")
        if not isinstance(template, str) or (template not in TEMPLATES and holds("LIST-TEMPLATE-UNKNOWN")):
            raise errors.bad_argument()
        hidden = columns.flag(facet, "hidden", default=False)
        content_types = columns.flag(facet, "contentTypesEnabled", default=False)
        description = columns.text_member(body, "description")
        wanted = body.get("columns") or []
        if not isinstance(wanted, list) or not all(isinstance(entry, dict) for entry in wanted):
            raise errors.bad_argument()
        if world.list_by_title(site, title) is not None and holds("LIST-TITLE-UNIQUE"):
            raise errors.name_taken("The specified name already exists.")
        if sum(1 for _ in world.lists_of(site)) > _MAX_LISTS:
            raise errors.GraphError(507, "quotaLimitReached", "The site holds as many lists as it can.")
        lst = world.add_list(site, title=title, template=template, hidden=hidden)
        lst.content_types, lst.description, lst.creator_app = content_types, description, app
        lst.versioning = lst.versioning and template == "genericList"
        try:
            if holds("LIST-CREATE-COLUMNS") and not world.knobs["columns_lost_on_list_create"]:
                for entry in wanted:
                    self.create_column(lst, entry)
        except errors.GraphError:
            world.drop_list(lst)
            raise
        world.save_list(lst)
        return lst

    def update_list(self, lst: SharePointList, body: dict[str, Any]) -> None:
        world = self._world
        site = world.sites[lst.site]
        title = body.get("displayName", lst.title)
        if not isinstance(title, str) or not title.strip() or len(title) > 255:
            raise errors.bad_argument()
        other = world.list_by_title(site, title)
        if other is not None and other is not lst and world.rules.holds("LIST-TITLE-UNIQUE"):
            raise errors.name_taken("The specified name already exists.")
        lst.description = columns.text_member(body, "description", default=lst.description)
        facet = body.get("list")
        if isinstance(facet, dict):
            lst.hidden = columns.flag(facet, "hidden", default=lst.hidden)
        world.rename_list(lst, title)
        world.save_list(lst)

    def delete_list(self, lst: SharePointList) -> None:
        if lst.system:
            raise errors.denied("The list cannot be deleted.")
        if self._world.rules.holds("LIST-DELETE"):
            self._world.drop_list(lst)

    def column_of(self, lst: SharePointList, name: str) -> Column:
        found = lst.by_id(name)
        if found is None:
            raise errors.not_found("The specified column was not found")
        return found

    # -- columns

    def create_column(self, lst: SharePointList, body: dict[str, Any]) -> Column:
        """From a columnDefinition. Raises GraphError and leaves the list as it was."""
        world = self._world
        holds = world.rules.holds
        for member in ("defaultValue", "validation"):
            if member in body and body[member] is None and holds("COL-NULL-DEFAULT-FAILS"):
                raise errors.GraphError(400, "generalException", "General exception while processing")
        name = self._name(lst, body)
        typed = columns.facet_of(body, first_wins=not holds("COL-ONE-FACET"))
        if typed is None:
            raise errors.bad_argument("A column needs a type facet.")
        facet, options = typed
        self._check_lookup(lst, facet, options)
        title = columns.text_member(body, "displayName", default=name) or name
        if world.knobs["display_name_ignored"]:
            title = name
        column = Column(
            id=str(uuid.uuid4()),
            slot=str(lst.next_slot),
            name=name,
            title=title,
            kind=columns.kind_of(facet, options) if holds("COL-CHECKBOXES-MULTI") or facet != "choice" else "choice",
            facet=facet,
            options=options,
            description=columns.text_member(body, "description"),
            group=columns.text_member(body, "columnGroup", default="Custom Columns") or "Custom Columns",
            indexed=columns.flag(body, "indexed", default=False),
            unique=columns.flag(body, "enforceUniqueValues", default=False),
            hidden=columns.flag(body, "hidden", default=False),
            required=columns.flag(body, "required", default=False),
            read_only=columns.flag(body, "readOnly", default=False) or facet == "calculated",
            default=_default(body),
        )
        self._check_index(lst, column, None)
        if not holds("COL-DELETE-DROPS-VALUES"):
            column = replace(column, slot=str(world.store.get("old slot", f"{lst.number}/{name}") or column.slot))
        lst.next_slot += 1
        lst.columns[name] = column
        world.save_list(lst)
        if not holds("DELTA-NO-SCHEMA-CHANGES"):
            self._touch_all(lst)
        return column

    def update_column(self, lst: SharePointList, column: Column, body: dict[str, Any]) -> Column:
        """The members that the body names; another facet is refused."""
        world = self._world
        holds = world.rules.holds
        if body.get("name") not in (None, column.name):
            raise errors.bad_argument("The internal name of a column cannot be changed.")
        typed = columns.facet_of(body)
        kind, facet, options = column.kind, column.facet, column.options
        if typed is not None:
            given = {
                name: value for name, value in body[typed[0]].items() if not name.startswith("@") and value is not None
            }
            merged = (options if typed[0] == facet else columns.FACETS[typed[0]]) | given
            if typed[0] != facet or columns.kind_of(facet, merged) != kind:
                if holds("COL-TYPE-FIXED"):
                    raise errors.bad_argument("The type of a column cannot be changed.")
                kind = columns.kind_of(typed[0], merged)
            self._check_lookup(lst, typed[0], merged)
            facet, options = typed[0], merged
        changed = replace(
            column,
            kind=kind,
            facet=facet,
            options=options,
            title=columns.text_member(body, "displayName", default=column.title) or column.title,
            description=columns.text_member(body, "description", default=column.description),
            group=columns.text_member(body, "columnGroup", default=column.group),
            indexed=columns.flag(body, "indexed", default=column.indexed),
            unique=columns.flag(body, "enforceUniqueValues", default=column.unique),
            hidden=columns.flag(body, "hidden", default=column.hidden),
            required=columns.flag(body, "required", default=column.required),
            read_only=columns.flag(body, "readOnly", default=column.read_only),
            default=_default(body) if "defaultValue" in body else column.default,
        )
        if column.system and not column.slot and changed != column:
            raise errors.denied("A system column cannot be changed.")
        self._check_index(lst, changed, column)
        lst.columns[column.name] = changed
        world.save_list(lst)
        if changed.indexed and not column.indexed:
            world.rows.build_index(lst, changed)
        elif column.indexed and not changed.indexed:
            world.rows.drop_index(lst, changed)
        return changed

    def delete_column(self, lst: SharePointList, column: Column) -> None:
        holds = self._world.rules.holds
        if column.system and holds("COL-SYSTEM-KEPT"):
            raise errors.denied("A system column cannot be deleted.")
        if not holds("COL-DELETE"):
            return
        del lst.columns[column.name]
        if column.slot:
            self._world.rows.drop_index(lst, column)
            self._world.store.put("old slot", f"{lst.number}/{column.name}", column.slot)
        self._world.save_list(lst)

    def retype_column(self, lst: SharePointList, column: Column, body: dict[str, Any]) -> Column:
        """What a person does in list settings: another type under the same name. Values do not survive."""
        self.delete_column(lst, column)
        return self.create_column(lst, {"name": column.name, "displayName": column.title, **body})

    # -- checks

    def _name(self, lst: SharePointList, body: dict[str, Any]) -> str:
        holds = self._world.rules.holds
        given = columns.text_member(body, "name")
        name = columns.internal_name(given or columns.text_member(body, "displayName"))
        if not name or len(given) > 255:
            raise errors.invalid("A column needs a name.")
        taken = {entry.lower() for entry in lst.columns}
        existing = next((column for column in lst.columns.values() if column.name.lower() == name.lower()), None)
        if (existing is not None and existing.system) or columns.free_name(name, lambda _: False) != name:
            if not holds("COL-SYSTEM-NAME-SUFFIXED"):
                raise errors.name_taken(f"A column with the name '{name}' already exists.")
            return columns.free_name(name, lambda text: text.lower() in taken)
        if existing is not None:
            if holds("COL-NAME-TAKEN"):
                raise errors.name_taken(f"A column with the name '{name}' already exists.")
            return next(text for n in range(1000) if (text := f"{name}{n}").lower() not in taken)
        return name

    def _check_lookup(self, lst: SharePointList, facet: str, options: dict[str, Any]) -> None:
        if facet != "lookup":
            return
        target = self._world.list_by_id(str(options.get("listId", "")).strip("{}"))
        if target is None or self._world.sites[target.site].collection != self._world.sites[lst.site].collection:
            raise errors.bad_argument()
        if target.columns.get(str(options.get("columnName"))) is None:
            raise errors.bad_argument()

    def _check_index(self, lst: SharePointList, column: Column, before: Column | None) -> None:
        holds = self._world.rules.holds
        if column.indexed and column.kind not in INDEXABLE and not column.system and holds("COL-INDEX-TYPES"):
            raise errors.invalid(f"A column of this type cannot be indexed: '{column.name}'.")
        if column.unique and not column.indexed and holds("COL-UNIQUE-NEEDS-INDEX"):
            raise errors.invalid("A column that enforces unique values must be indexed.")
        if column.unique and column.kind not in UNIQUE_ABLE:
            raise errors.invalid(f"A column of this type cannot enforce unique values: '{column.name}'.")
        if (
            column.indexed
            and not (before and before.indexed)
            and holds("COL-INDEX-LIMIT")
            and len(lst.indexed()) >= MAX_INDEXED
        ):
            raise errors.invalid("The list has as many indexed columns as it can.")
        newly = column.unique and not (before and before.unique)
        if newly and before and holds("COL-UNIQUE-OVER-DUPLICATES") and self._world.rows.doubles(lst, before):
            raise errors.invalid("The column holds duplicate values.")

    def _touch_all(self, lst: SharePointList) -> None:
        for row in list(self._world.rows.every(lst, 0)):
            self._world.rows.put(lst, row, row.values)


def _default(body: dict[str, Any]) -> dict[str, Any] | None:
    value = body.get("defaultValue")
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(entry, str | None) for entry in value.values()):
        raise errors.bad_argument()
    kept = {name: entry for name, entry in value.items() if name in ("value", "formula") and entry is not None}
    return kept or None
