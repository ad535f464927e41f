"""A list in memory: its address, its columns and what its reads are compiled to."""

from dataclasses import dataclass, field
from typing import Any

from infra.simulator.columns import SYSTEM, SYSTEM_BY_NAME, Column
from infra.simulator.tenants import Grant

TEMPLATES = frozenset(
    [
        "genericList",
        "documentLibrary",
        "survey",
        "links",
        "announcements",
        "contacts",
        "tasks",
        "accessRequest",
        "events",
        "webTemplateExtensionsList",
        "sharingLinks",
        "webPageLibrary",
        "discussionBoard",
        "pictureLibrary",
        "issueTracking",
        "customGrid",
        "calendar",
        "userInformation",
        "noListTemplate",
        "gantt",
        "promotedLinks",
        "mySiteDocumentLibrary",
    ]
)
LIBRARIES = frozenset({"documentLibrary", "webPageLibrary", "pictureLibrary", "mySiteDocumentLibrary"})
USERS_TITLE = "User Information List"


@dataclass(slots=True, kw_only=True)
class SharePointList:
    number: int
    id: str
    site: int
    name: str  # the URL segment
    title: str
    created: int
    modified: int
    description: str = ""
    template: str = "genericList"
    hidden: bool = False
    system: bool = False
    content_types: bool = False
    versioning: bool = True
    edition: int = 0  # the number in the list's eTag
    next_item: int = 1
    next_slot: int = 1
    epoch: int = 0  # delta tokens of an older epoch are dead
    creator_app: str = ""
    columns: dict[str, Column] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    plan: Any = None  # how `fields` is put together; see shapes
    entries: Any = None  # indexed columns, for the store

    def doc(self) -> dict[str, Any]:
        """What is stored. `next_item` is not: it follows from the highest item that ever was."""
        names = (
            "number id site name title created modified description template hidden system content_types versioning edition "
            "next_slot epoch creator_app"
        )
        doc = {name: getattr(self, name) for name in names.split()}
        doc["grants"] = [
            {"id": g.id, "roles": g.roles, "app_id": g.app_id, "app_name": g.app_name} for g in self.grants
        ]
        doc["columns"] = [column.doc() for column in self.columns.values() if column != SYSTEM_BY_NAME.get(column.name)]
        return doc

    @staticmethod
    def of(doc: dict[str, Any]) -> "SharePointList":
        columns = system_columns()
        for entry in doc["columns"]:
            columns[entry["name"]] = Column.of(entry)
        grants = [Grant(**grant) for grant in doc["grants"]]
        return SharePointList(**{**doc, "columns": columns, "grants": grants})

    def touch(self, now: int) -> None:
        """The list itself changed: a new eTag, and everything compiled from its columns is stale."""
        self.edition += 1
        self.modified = now
        self.plan = self.entries = None

    def indexed(self) -> list[Column]:
        """Columns whose values the store keeps an index of."""
        if self.entries is None:
            self.entries = [column for column in self.columns.values() if column.indexed and column.slot]
        return list(self.entries)

    def by_id(self, column_id: str) -> Column | None:
        """A column by its id or its internal name."""
        found = self.columns.get(column_id)
        return found or next((column for column in self.columns.values() if column.id == column_id.lower()), None)


def system_columns() -> dict[str, Column]:
    return {column.name: column for column in SYSTEM}
