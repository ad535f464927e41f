"""What a list is to look like, and what it turned out to be: the nouns of set-up."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from shared.core.definition import FieldKind
from shared.core.ids import DefinitionId, ListId, SiteId

KEY_COLUMN = "SyncBridgeKey"
"""The hidden, indexed, unique text column that holds the sync key."""
TITLE_COLUMN = "Title"
"""Every list is born with it, and forms show it first."""
MAX_NAME = 32
"""SharePoint cuts longer internal names when it makes them from display names; ours stay below, whoever makes them."""
MAX_INDEXED = 20
"""Indexed columns of a list (SharePoint Online limits)."""

SYSTEM_NAMES = frozenset(
    name.lower()
    for name in (
        "Title ContentType ComplianceAssetId ID Modified Created Author Editor _UIVersionString Attachments Edit LinkTitle"
        " LinkTitleNoMenu DocIcon ItemChildCount FolderChildCount _ComplianceFlags _ComplianceTag _ComplianceTagUserId"
        " _ComplianceTagWrittenTime _IsRecord _ColorTag AppAuthor AppEditor GUID UniqueId owshiddenversion Order MetaInfo"
        " FileRef FileDirRef FileLeafRef FSObjType Last_x0020_Modified Created_x0020_Date ScopeId WorkflowVersion Properties"
        " InstanceID PermMask Restricted SortBehavior SyncClientId ProgId ParentUniqueId OriginatorId NoExecute Version"
        " AccessPolicy Fields ItemType Name Type Level BaseName"
    ).split()
)
"""A new column of such a name is silently given another one (msgraph-sdk-powershell #2906)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnPlan:
    """`name`: the wanted internal name, unique within the plan; see `safe_name`."""

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
    """`existing`: a list that a person chose; None: a list named `display_name`, found or made."""

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
class ProvisionedColumn:
    """`wanted`: the plan's name; `name`: the real internal name, which the mapping has to use."""

    wanted: str
    name: str
    display_name: str
    kind: FieldKind
    required: bool
    indexed: bool
    unique: bool
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedList:
    site_id: SiteId
    list_id: ListId
    display_name: str
    web_url: str
    key_column: str
    columns: tuple[ProvisionedColumn, ...]
    created: bool
    """The list was made by this call."""
    changes: tuple[str, ...]
    """What this call did, a sentence each; empty when everything was there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteInfo:
    site_id: SiteId
    name: str
    display_name: str
    web_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListInfo:
    list_id: ListId
    name: str
    """The URL segment; does not follow a rename."""
    display_name: str
    description: str
    web_url: str
    template: str
    hidden: bool
    unusable: str = ""
    """Why this list cannot be synchronised, as a sentence; empty when it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListColumn:
    """A column of a list as Graph shows it."""

    id: str
    name: str
    display_name: str
    kind: FieldKind
    hidden: bool
    read_only: bool
    required: bool
    indexed: bool
    unique: bool
    choices: tuple[str, ...] = ()
    description: str = ""


class Right(StrEnum):
    READ = "READ"
    WRITE = "WRITE"
    MANAGE = "MANAGE"


@dataclass(frozen=True, slots=True, kw_only=True)
class RightFinding:
    """`granted` None: could not be found out. `remedy`: the permission or grant that gives the right."""

    right: Right
    granted: bool | None
    explanation: str
    remedy: str = ""


def safe_name(text: str, taken: Collection[str] = ()) -> str:
    """An internal name that SharePoint keeps as it is: a letter, then ASCII letters, digits, underscores, 32 at most.

    Never a system field's name, and never one of `taken`; names are compared without case.
    """
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")
    if not plain[:1].isalpha():
        plain = f"c_{plain}" if plain else "column"
    used = {name.lower() for name in taken} | SYSTEM_NAMES
    candidate = plain[:MAX_NAME]
    number = 1
    while candidate.lower() in used:
        number += 1
        suffix = f"_{number}"
        candidate = plain[: MAX_NAME - len(suffix)] + suffix
    return candidate
