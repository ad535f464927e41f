"""Names of list columns made from SQL identifiers.

An internal name is fixed when the column is made. SharePoint encodes what is no XML name, cuts at 32 characters and adds
a digit to a name that a system column has ("Author" became "Author0":
https://github.com/microsoftgraph/msgraph-sdk-powershell/issues/2906). Names made here need none of that.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence

MAX_INTERNAL = 32
MAX_DISPLAY = 255

SYNC_KEY_COLUMN = "SyncBridgeKey"
"""The hidden, indexed, unique column that holds a row's sync key."""
CHECK_KEY = "rights check"
"""What that column holds in an item that only tries whether items can be written: it stands for no row."""

_SYSTEM_NAMES = (
    "AccessPolicy AppAuthor AppEditor Attachments Author BaseName CheckoutUser ComplianceAssetId ContentType"
    " ContentTypeId ContentVersion Created Created_x0020_Date CreatedBy DocIcon Edit Editor EncodedAbsUrl etag"
    " FileDirRef FileLeafRef FileRef File_x0020_Type FolderChildCount FSObjType GUID HTML_x0020_File_x0020_Type ID"
    " InstanceID ItemChildCount Last_x0020_Modified LinkTitle LinkTitleNoMenu LinkTitle2 MetaInfo Modified"
    " ModifiedBy NoExecute Order OriginatorId owshiddenversion ParentUniqueId PermMask ProgId Restricted ScopeId"
    " SelectTitle ServerUrl SMLastModifiedDate SMTotalFileCount SMTotalFileStreamSize SMTotalSize SortBehavior"
    " SyncClientId Title UniqueId WorkflowInstanceID WorkflowVersion _ColorHex _ColorTag _CommentCount _CommentFlags"
    " _ComplianceFlags _ComplianceTag _ComplianceTagUserId _ComplianceTagWrittenTime _CopySource _Emoji"
    " _EditMenuTableEnd _EditMenuTableStart _EditMenuTableStart2 _HasCopyDestinations _IsCurrentVersion _IsRecord"
    " _Level _LikeCount _ModerationComments _ModerationStatus _UIVersion _UIVersionString _VirusInfo"
    " _VirusStatus _VirusVendorID Fields ItemType Level Name Properties Type Version"
)
SYSTEM_NAMES = frozenset(_SYSTEM_NAMES.lower().split())
"""Internal names that every list has, in lower case: https://learn.microsoft.com/graph/api/resources/fieldvalueset and
the columns that a new generic list shows. The sync key's name is no part of it."""

SYSTEM_DISPLAY_NAMES = frozenset(
    name.lower()
    for name in (
        "Attachments",
        "App Created By",
        "App Modified By",
        "Compliance Asset Id",
        "Content Type",
        "Created",
        "Created By",
        "Edit",
        "Folder Child Count",
        "ID",
        "Item Child Count",
        "Modified",
        "Modified By",
        "Title",
        "Type",
        "Version",
    )
)

_INTERNAL = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}", re.ASCII)
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9]+")
_ENCODED = re.compile(r"_x[0-9a-fA-F]{4}_")


def is_internal_name(name: str) -> bool:
    """Whether SharePoint keeps a name as it is."""
    return _INTERNAL.fullmatch(name) is not None and not _ENCODED.search(name)


def internal_names(identifiers: Sequence[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """An internal name for every SQL identifier: ASCII letters, digits and underscores, a letter first, at most 32
    characters, none of SharePoint's own, distinct without regard to case, also from those that are `taken`. The same
    identifiers give the same names."""
    used = {name.lower() for name in taken} | SYSTEM_NAMES | {SYNC_KEY_COLUMN.lower()}
    names: dict[str, str] = {}
    for identifier in dict.fromkeys(identifiers):
        name = next(candidate for candidate in _candidates(identifier) if candidate.lower() not in used)
        used.add(name.lower())
        names[identifier] = name
    return names


def _candidates(identifier: str) -> Iterable[str]:
    plain = _plain(identifier)
    # A system name, or one that is taken, is told apart by a word; a name that is cut, by its own digest.
    yield from (name for name in (plain, f"{plain}_col") if len(name) <= MAX_INTERNAL)
    mark = hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()
    for length in range(6, 30):
        yield f"{plain[: MAX_INTERNAL - 1 - length]}_{mark[:length]}"


def _plain(identifier: str) -> str:
    letters = unicodedata.normalize("NFKD", identifier).encode("ascii", "ignore").decode()
    name = _NOT_A_NAME.sub("_", letters).strip("_")
    if not name or not name[0].isalpha():
        name = f"c_{name}".rstrip("_")
    name = _ENCODED.sub("_", name)
    # A lookup column X is written as XLookupId: a column of that name would be in its way.
    return name + "_" if name.lower().endswith("lookupid") else name


def display_names(identifiers: Sequence[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """What people read: "order_total" is "Order total". Distinct without regard to case, none that every list shows."""
    used = {name.lower() for name in taken} | SYSTEM_DISPLAY_NAMES
    names: dict[str, str] = {}
    for identifier in dict.fromkeys(identifiers):
        base = _readable(identifier)
        numbered = (f"{base} ({number})" for number in range(2, len(used) + 3))
        name = next(name for name in (base, f"{base} (source)", *numbered) if name.lower() not in used)
        used.add(name.lower())
        names[identifier] = name
    return names


def _readable(identifier: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in identifier)
    words = " ".join(printable.replace("_", " ").split())[: MAX_DISPLAY - 10]
    return words[:1].upper() + words[1:] if words else "Column"
