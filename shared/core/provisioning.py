"""What a list is to look like, and what it turned out to be: the nouns of set-up."""

from dataclasses import dataclass

from shared.core.days import DayColumn
from shared.core.definition import FieldKind
from shared.core.ids import DefinitionId, ListId

TITLE_COLUMN = "Title"
"""Every list is born with it, and forms show it first."""
MAX_INDEXED = 20
"""Indexed columns of a list:
https://learn.microsoft.com/office365/servicedescriptions/sharepoint-online-service-description/sharepoint-online-limits"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnPlan:
    """`name`: the wanted internal name, unique within the plan; shared.core.naming makes names that SharePoint keeps."""

    name: str
    display_name: str
    kind: FieldKind
    choices: tuple[str, ...] = ()
    required: bool = False
    """Forms ask for a value; writes by an application are not checked."""
    indexed: bool = False
    unique: bool = False
    """Implies an index."""
    is_title: bool = False
    """Lives in the list's own Title column; text only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPlan:
    """`existing`: a list that was chosen or provisioned before; None: the list named `display_name`, found or made."""

    definition_id: DefinitionId
    display_name: str
    columns: tuple[ColumnPlan, ...]
    description: str = ""
    existing: ListId | None = None

    @property
    def marker(self) -> str:
        """Stands in the list's description and says whose list it is, whatever becomes of its name."""
        return f"[SyncBridge {self.definition_id}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedList:
    """A definition's list, as far as a check of rights has to know it."""

    list_id: ListId
    key_column: str
    days: DayColumn | None = None
    """Tells whether the site has its zone; None: the list keeps no days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedColumn:
    """`wanted`: the plan's name; `name`: the real internal name, which the mapping has to use."""

    wanted: str
    name: str
    display_name: str
    kind: FieldKind
    required: bool
    indexed: bool
    unique: bool
    id: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedList:
    """What the list is now."""

    list_id: ListId
    display_name: str
    web_url: str
    key_column: str
    """Real internal name of the hidden, indexed, unique column that holds the sync key."""
    columns: tuple[ProvisionedColumn, ...]
    keeps_versions: bool = True
    """New lists keep versions. Graph does not say whether a list does; items that were written more than once tell."""
    created: bool = False
    """The list was made by this call."""
    changes: tuple[str, ...] = ()
    """What this call did, a sentence each; empty when everything was there."""
