"""Rules of lists and their columns."""

from typing import Final

from .model import API, GITHUB, LEARN, Rule, assumed, documented, reported

_PNP = f"{GITHUB}/pnp/pnpcore/tree/dev/src/sdk/PnP.Core.Test"
_CORSO = f"{GITHUB}/alcionai/corso/blob/main/src/pkg/services/m365/api/lists.go"
_COLUMN = f"{API}/resources/columndefinition"
_INDEX = "https://support.microsoft.com/en-us/office/add-an-index-to-a-sharepoint-column-f3f00554-b7dc-44d1-a2ed-d477eac463b0"
_UNIQUE = f"{LEARN}/previous-versions/office/developer/sharepoint-2010/ee536168(v=office.14)"

LIST: Final[tuple[Rule, ...]] = (
    documented(
        "LIST-BY-ID-OR-TITLE",
        "A list is addressed by its id or by its title.",
        source=f"{API}/list-get",
        broken="a title answers 404",
    ),
    documented(
        "LIST-CREATE",
        "Creating a list answers 201 with the list: a guid as id, displayName, webUrl and the list facet.",
        source=f"{API}/list-create",
        broken="it answers 200",
    ),
    reported(
        "LIST-CREATE-NAME-REFUSED",
        "Creating a list with name instead of displayName answers 400 invalidRequest.",
        source=f"{GITHUB}/microsoftgraph/microsoft-graph-docs/issues/3799",
        broken="name is taken as the title",
    ),
    documented(
        "LIST-CREATE-COLUMNS",
        "The columns in the body of a list's creation are made with it.",
        source=f"{API}/list-create",
        broken="they are silently left out",
        knob="columns_lost_on_list_create",
    ),
    documented(
        "LIST-TEMPLATE-DEFAULT",
        "A list created without a template is a genericList.",
        source=f"{API}/list-create",
        broken="it is a documentLibrary",
    ),
    reported(
        "LIST-TEMPLATE-UNKNOWN",
        'An unknown template answers 400 invalidRequest, "One of the provided arguments is not acceptable."',
        source=_CORSO,
        broken="an unknown template is stored as it is",
    ),
    reported(
        "LIST-TITLE-UNIQUE",
        "A second list with the same displayName in a site answers 409 nameAlreadyExists.",
        source=f"{GITHUB}/alcionai/corso/issues/5005",
        broken="a second list of the same title is made",
    ),
    assumed(
        "LIST-RENAME-KEEPS-NAME",
        "A PATCH of displayName changes the title and leaves id, name and webUrl as they are.",
        because="SharePoint keeps a list's URL segment when its title changes; no Graph page says it.",
        broken="name and webUrl follow the new title",
    ),
    reported(
        "LIST-DELETE",
        "Deleting a list answers 204, and the list answers 404 itemNotFound afterwards.",
        source=f"{GITHUB}/microsoftgraph/msgraph-sdk-java/issues/293",
        broken="the list stays",
    ),
    documented(
        "LIST-SYSTEM-LEFT-OUT",
        "Lists with the system facet are enumerated only when $select names system.",
        source=f"{API}/list-list",
        broken="they are always enumerated",
    ),
    reported(
        "LIST-USER-INFORMATION",
        "Every site has the hidden list User Information List; its items are the people a person column can name.",
        source=f"{LEARN}/answers/questions/135386/how-to-get-sharepoint-site-group-name-using-graph",
        broken="it answers 404",
    ),
    documented(
        "LIST-COLUMNS-ON-EXPAND",
        "A list carries its columns only with $expand=columns.",
        source=f"{API}/list-get",
        broken="columns are always in the answer",
    ),
    reported(
        "LIST-ETAG-UNQUOTED-ON-CREATE",
        "A list's eTag is a quoted guid,number on a read; the answer to its creation has it without the inner quotes.",
        source=_PNP,
        broken="the creation's answer has the quotes too",
    ),
    reported(
        "LIST-UNKNOWN",
        "An unknown list answers 404 itemNotFound.",
        source=f"{GITHUB}/microsoftgraph/msgraph-sdk-java/issues/293",
        broken="it answers 400 invalidRequest",
    ),
    documented(
        "LIST-CREATE-NEEDS-TITLE",
        "Creating a list without displayName answers 400 invalidRequest.",
        source=f"{API}/list-create",
        broken='a list named "New list" is made',
    ),
    documented(
        "LIST-NO-ITEM-COUNT",
        "A list has no count of its items.",
        source=f"{API}/resources/list",
        broken="the list facet carries itemCount",
    ),
    reported(
        "LIST-BORN-WITH-TITLE",
        "A new genericList has the writable text column Title.",
        source=_PNP,
        broken="Title is read-only in the column listing",
    ),
    reported(
        "LIST-FILTER-TITLE",
        "$filter=displayName eq '…' selects lists by title.",
        source=f"{LEARN}/answers/questions/710295/drive-files-from-sharepoint-online-site-by-using-f",
        broken="the filter is ignored",
    ),
    documented(
        "LIST-ITEMS-ON-EXPAND",
        "A list carries its items, with their fields, under $expand=items(expand=fields).",
        source=f"{API}/list-get",
        broken="the expanded items come without fields",
    ),
    documented(
        "LIST-SELECT",
        "$select on a list leaves out the members that it does not name.",
        source=f"{LEARN}/graph/query-parameters",
        broken="$select is ignored",
    ),
)

COL: Final[tuple[Rule, ...]] = (
    documented(
        "COL-CREATE",
        "Creating a column answers 201 with its id, its name and exactly the one facet that was sent.",
        source=f"{API}/list-post-columns",
        broken="the answer carries a text facet beside the column's own",
    ),
    documented(
        "COL-FACET-MEMBERS",
        "A facet's members come back as they were set: choices, maxLength, decimalPlaces, format, listId.",
        source=_COLUMN,
        broken="facets come back empty",
    ),
    documented(
        "COL-MEMBERS-LEFT-OUT",
        "List columns come without isDeletable, isReorderable, isSealed, propagateChanges, validation, type, "
        "sourceContentType and sourceColumn.",
        source=_COLUMN,
        broken="type and isSealed are returned",
    ),
    documented(
        "COL-HYPERLINK-NO-FACET",
        "A hyperlink column of a list comes back with no facet at all.",
        source=_COLUMN,
        broken="the hyperlinkOrPicture facet is returned",
    ),
    documented(
        "COL-DISPLAY-NAME-FREE",
        "A PATCH of displayName answers 200 and leaves the internal name, and so the key in fields, as it is.",
        source=f"{API}/columndefinition-update",
        broken="the internal name follows displayName",
        knob="display_name_ignored",
    ),
    reported(
        "COL-SYSTEM-NAME-SUFFIXED",
        "A name that collides with a system field is silently suffixed: Author becomes Author0.",
        source=f"{GITHUB}/microsoftgraph/msgraph-sdk-powershell/issues/2906",
        broken="the name is refused with 409",
    ),
    documented(
        "COL-NAME-TAKEN",
        "A second column of the same name answers 409 nameAlreadyExists.",
        source=f"{LEARN}/graph/errors",
        broken="the second column is made with a suffixed name",
    ),
    reported(
        "COL-HIDDEN-LEFT-OUT",
        "Hidden columns are listed only when $select names hidden.",
        source=f"{GITHUB}/microsoftgraph/msgraph-beta-sdk-dotnet/issues/433",
        broken="hidden columns are always listed",
    ),
    documented(
        "COL-UNIQUE-NEEDS-INDEX",
        "enforceUniqueValues without indexed answers 400 invalidRequest.",
        source=_UNIQUE,
        broken="a column without an index may be unique",
    ),
    documented(
        "COL-UNIQUE-OVER-DUPLICATES",
        "Turning uniqueness on over duplicate values is refused, and the column stays as it was.",
        source=_UNIQUE,
        broken="it is accepted",
    ),
    documented(
        "COL-INDEX-LIMIT",
        "A list has at most 20 indexed columns; the next is refused.",
        source=_INDEX,
        broken="any number of columns may be indexed",
    ),
    documented(
        "COL-INDEX-TYPES",
        "Multi-line text cannot be indexed; asking for it answers 400 invalidRequest.",
        source=_INDEX,
        broken="multi-line text may be indexed",
    ),
    reported(
        "COL-NULL-DEFAULT-FAILS",
        'A null defaultValue in a column\'s creation answers generalException, "General exception while processing".',
        source=_CORSO,
        broken="null is read as absent and the column is made",
    ),
    documented(
        "COL-DEFAULT-APPLIED",
        "An item created without a value for a column takes the column's defaultValue.",
        source=f"{API}/resources/defaultcolumnvalue",
        broken="defaults are not applied",
    ),
    assumed(
        "COL-TYPE-FIXED",
        "A PATCH with another facet answers 400 invalidRequest and changes nothing.",
        because="no page describes a change of type, and accepting one silently would hide data loss.",
        broken="the type is changed",
    ),
    documented(
        "COL-DELETE",
        "Deleting a column answers 204; the column leaves the listing.",
        source=f"{API}/columndefinition-delete",
        broken="the column stays",
    ),
    assumed(
        "COL-DELETE-DROPS-VALUES",
        "A column made again under the name of a deleted one starts without values.",
        because="SharePoint drops a field's storage with the field; no Graph page says it.",
        broken="the old values reappear",
    ),
    assumed(
        "COL-ONE-FACET",
        "A creation with two facets answers 400 invalidRequest.",
        because="a columnDefinition describes one type; the page lists the facets as alternatives.",
        broken="the first facet wins",
    ),
    reported(
        "COL-SYSTEM-READ-ONLY",
        "The column listing shows ID, Created, Modified, Author and Editor with readOnly true.",
        source=_CORSO,
        broken="they are shown as writable",
    ),
    assumed(
        "COL-SYSTEM-KEPT",
        "Deleting a system column is refused with 4xx and the column stays.",
        because="SharePoint refuses to delete sealed and base-type fields; Graph's code for it is not published.",
        broken="a system column can be deleted",
    ),
    documented(
        "COL-CHECKBOXES-MULTI",
        "A choice column displayed as checkBoxes holds several values.",
        source=f"{API}/resources/choicecolumn",
        broken="it holds one string",
    ),
)
