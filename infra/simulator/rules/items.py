"""Rules of items, their eTags and their versions."""

from typing import Final

from .model import API, GITHUB, LEARN, Rule, assumed, documented, reported

_PNP = f"{GITHUB}/pnp/pnpcore/tree/dev/src/sdk/PnP.Core.Test"
_ITEM = f"{API}/resources/listitem"

ITEM: Final[tuple[Rule, ...]] = (
    documented(
        "ITEM-CREATE",
        "Creating an item answers 201 with the whole listItem, fields included.",
        source=f"{API}/listitem-create",
        broken="the answer has no fields",
    ),
    reported(
        "ITEM-ID-NOT-REUSED",
        "The id of a deleted item is never given to another item.",
        source="https://www.c-sharpcorner.com/article/restart-list-item-id-numbering-in-sharepoint-server-2016/",
        broken="a new item takes the highest deleted id again",
    ),
    documented(
        "ITEM-FIELDS-ON-EXPAND",
        "A collection of items carries fields only with $expand=fields.",
        source=f"{API}/listitem-list",
        broken="fields are always in the answer",
    ),
    documented(
        "ITEM-EXPAND-SELECT",
        "$expand=fields($select=A,B) returns only those fields.",
        source=f"{API}/listitem-get",
        broken="the inner select is ignored",
    ),
    documented(
        "ITEM-OPTIONS-WITHOUT-DOLLAR",
        "Query options work with and without the dollar sign, also inside an expand.",
        source=f"{API}/listitem-list",
        broken="options without the dollar sign are ignored",
    ),
    documented(
        "ITEM-GET-FIELDS",
        "GET …/items/{id}/fields answers the fieldValueSet itself, and $select narrows it.",
        source=f"{API}/listitem-get",
        broken="it answers the whole listItem",
    ),
    documented(
        "ITEM-PATCH-FIELDS",
        "PATCH …/items/{id}/fields answers 200 with the updated fieldValueSet.",
        source=f"{API}/listitem-update",
        broken="it answers 204 without a body",
    ),
    reported(
        "ITEM-PATCH-ITEM",
        "PATCH …/items/{id} with a fields member changes those fields and answers 200.",
        source=f"{GITHUB}/microsoftgraph/msgraph-sdk-powershell/issues/2724",
        broken="the fields member is ignored",
    ),
    documented(
        "ITEM-PATCH-KEEPS-OTHERS",
        "Fields that a PATCH leaves out keep their values.",
        source=f"{API}/listitem-update",
        broken="fields left out are cleared",
    ),
    reported(
        "ITEM-NULL-CLEARS",
        "A null in a PATCH clears the value.",
        source=f"{GITHUB}/microsoftgraph/msgraph-sdk-powershell/issues/2724",
        broken="nulls are ignored",
    ),
    reported(
        "ITEM-NULLS-ABSENT",
        "A column without a value is absent from fields.",
        source=_PNP,
        broken="it is present with null",
    ),
    reported(
        "ITEM-UNKNOWN-FIELD",
        "An unknown key in fields answers 400 invalidRequest, \"Field '…' is not recognized\", and nothing is written.",
        source=f"{GITHUB}/microsoftgraph/msgraph-sdk-powershell/issues/3208",
        broken="unknown keys are ignored",
    ),
    reported(
        "ITEM-CREATED-NOT-SETTABLE",
        "Created, Modified, Author and Editor cannot be set through Graph.",
        source=f"{GITHUB}/microsoftgraph/microsoft-graph-docs/issues/4909",
        broken="Created can be set",
    ),
    reported(
        "ITEM-SYSTEM-FIELDS",
        "fields of an item holds id, ContentType, Created, Modified, AuthorLookupId, EditorLookupId, _UIVersionString, "
        "Attachments, ItemChildCount and FolderChildCount.",
        source=_PNP,
        broken="AuthorLookupId and EditorLookupId are left out",
    ),
    reported(
        "ITEM-APP-AUTHOR",
        "What an app writes has createdBy.application with the app's id, and AppAuthorLookupId in fields.",
        source=f"{GITHUB}/microsoftgraph/microsoft-graph-docs/issues/4909",
        broken="createdBy has no application",
    ),
    reported(
        "ITEM-SDK-ANNOTATIONS",
        "The @odata.type members that the SDKs put into an item and into its fields are accepted and not stored.",
        source=f"{GITHUB}/vgrem/office365-rest-python-client",
        broken="an @odata.type inside fields answers 400 as an unknown field does",
    ),
    reported(
        "ITEM-WHOLE-SECONDS",
        "createdDateTime, lastModifiedDateTime, Created and Modified are UTC with whole seconds and a Z.",
        source=_PNP,
        broken="they carry milliseconds",
    ),
    documented(
        "ITEM-MODIFIED-MOVES",
        "Every write sets lastModifiedDateTime to the time of the write.",
        source=_ITEM,
        broken="lastModifiedDateTime stays at the creation",
    ),
    documented(
        "ITEM-DELETE",
        "Deleting an item answers 204 without a body; a read and a second delete answer 404 itemNotFound.",
        source=f"{API}/listitem-delete",
        broken="it answers 200",
    ),
    assumed(
        "ITEM-UNIQUE-VIOLATION",
        "A value that a unique column already holds answers 409 nameAlreadyExists and makes no item.",
        because="Graph's code for list items is not published; 409 is what the error table offers for a taken name.",
        broken="the second item is made",
        knob="unique_violation",
    ),
    documented(
        "ITEM-UNIQUE-IGNORES-CASE",
        "Uniqueness of text ignores case.",
        source=f"{LEARN}/previous-versions/office/developer/sharepoint-2010/ee536168(v=office.14)",
        broken="values that differ in case only are both accepted",
    ),
    reported(
        "ITEM-ID-ASCENDS",
        "An item's id is a decimal string, and each new item of a list has a higher one.",
        source=_PNP,
        broken="ids are JSON numbers",
    ),
    documented(
        "ITEM-SELECT",
        "$select on an item leaves out the members that it does not name.",
        source=f"{LEARN}/graph/query-parameters",
        broken="$select is ignored",
    ),
    reported(
        "ITEM-DISPLAY-NAME-IS-NO-KEY",
        "Keys in fields are internal names: a display name answers 400 as an unknown field does.",
        source=f"{GITHUB}/microsoftgraph/msgraph-sdk-powershell/issues/3208",
        broken="a display name is accepted as a key",
    ),
    reported(
        "ITEM-WEB-URL",
        "An item's webUrl ends in /Lists/{list}/{id}_.000.",
        source=_PNP,
        broken="it ends in DispForm.aspx?ID={id}",
    ),
    documented(
        "ITEM-SHAREPOINT-IDS",
        "sharepointIds is returned when $select names it, and not otherwise.",
        source=_ITEM,
        broken="it is always returned",
    ),
    reported(
        "ITEM-NO-DRIVE-ITEM",
        "driveItem of an item in a plain list answers 400 invalidRequest.",
        source=f"{GITHUB}/alcionai/corso/blob/main/src/pkg/services/m365/api/graph/errors.go",
        broken="it answers 404",
    ),
)

ETAG: Final[tuple[Rule, ...]] = (
    reported(
        "ETAG-SHAPE",
        'An item\'s eTag is "{guid},{version}" with the quotes; @odata.etag, the eTag in fields and the ETag header '
        "have the same value.",
        source=_PNP,
        broken="the ETag header is a weak one (W/…)",
    ),
    reported(
        "ETAG-GROWS",
        "The number in an eTag grows by one with every write, also with one that changes no value.",
        source=f"{GITHUB}/microsoftgraph/microsoft-graph-docs/issues/4909",
        broken="a write that changes no value leaves the eTag alone",
    ),
    documented(
        "ETAG-IF-MATCH-FIELDS",
        "PATCH …/fields with an If-Match that is not the current eTag answers 412 and changes nothing.",
        source=f"{API}/listitem-update",
        broken="If-Match is ignored on …/fields",
    ),
    documented(
        "ETAG-IF-MATCH-ITEM",
        "PATCH of an item with an If-Match that is not the current eTag answers 412 and changes nothing.",
        source=f"{API}/listitem-update",
        broken="If-Match is ignored on the item",
    ),
    documented(
        "ETAG-IF-MATCH-DELETE",
        "DELETE with an If-Match that is not the current eTag answers 412 and deletes nothing.",
        source=f"{API}/listitem-delete",
        broken="If-Match is ignored on DELETE",
    ),
    assumed(
        "ETAG-IF-MATCH-STAR",
        "If-Match: * always matches.",
        because="RFC 9110 section 13.1.1 says so; Graph's pages do not mention it for list items.",
        broken="* answers 412",
    ),
    assumed(
        "ETAG-412-BODY",
        "A 412 says resourceModified with the inner code entityTagDoesNotMatch.",
        because="the general error tables pair these two; clients should go by the status.",
        broken="it says notAllowed with the inner code preconditionFailed",
        knob="precondition_body",
    ),
    documented(
        "ETAG-LAST-WRITER-WINS",
        "If-Match is optional: a write without it succeeds over any earlier write.",
        source=f"{API}/listitem-update",
        broken="a write without If-Match answers 412",
        knob="sporadic_conflict_rate",
    ),
    reported("ETAG-STARTS-AT-ONE", "A new item's eTag ends in 1.", source=_PNP, broken="it ends in 0"),
    documented(
        "ETAG-IF-MATCH-CURRENT",
        "A write with the current eTag in If-Match succeeds.",
        source=f"{API}/listitem-update",
        broken="every If-Match answers 412",
    ),
)

VER: Final[tuple[Rule, ...]] = (
    documented(
        "VER-EACH-WRITE",
        "Every write makes a version: …/items/{id}/versions lists them, newest first.",
        source=f"{API}/listitem-list-versions",
        broken="only the newest version is kept",
        knob="versioning_default",
    ),
    documented(
        "VER-FIELDS",
        "…/versions/{v}/fields holds the values of that version.",
        source=f"{API}/listitemversion-get",
        broken="it holds today's values",
    ),
    documented(
        "VER-RESTORE",
        "…/versions/{v}/restoreVersion answers 204 and makes the old values current, as a new version.",
        source=f"{API}/listitemversion-restore",
        broken="it answers 204 and changes nothing",
    ),
    reported(
        "VER-UI-VERSION",
        '_UIVersionString is "1.0" on a new item and grows by one with every write.',
        source=_PNP,
        broken='it is always "1.0"',
    ),
    assumed(
        "VER-RESTORE-SAME-ID",
        "An item restored from the recycle bin has its old id and its old values.",
        because="SharePoint restores the same row; no Graph page says it.",
        broken="it comes back under a new id",
    ),
    documented(
        "VER-RECYCLED-LEAVES",
        "A deleted item waits in the recycle bin, from which a person can restore it.",
        source="https://support.microsoft.com/en-us/office/restore-deleted-items-from-the-site-collection-recycle-bin-5fa924ee-16d7-487b-9a0a-021b9062d14b",
        broken="a deleted item is gone for good and cannot be restored",
    ),
)
