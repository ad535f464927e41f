"""Rules of filters, indexes, the threshold, paging and delta."""

from typing import Final

from .model import API, GITHUB, LEARN, Rule, assumed, documented, reported

_ITEM_LIST = f"{API}/listitem-list"
_DELTA = f"{API}/listitem-delta"
_DOCS = f"{GITHUB}/microsoftgraph/microsoft-graph-docs/issues"

FILTER: Final[tuple[Rule, ...]] = (
    documented(
        "FILTER-INDEXED",
        "$filter=fields/{column} eq '…' on an indexed column returns the matching items and no other.",
        source=_ITEM_LIST,
        broken="the filter is ignored",
    ),
    documented(
        "FILTER-OPERATORS",
        "eq, ne, lt, gt, le, ge and startswith are understood.",
        source=_ITEM_LIST,
        broken="ge is read as gt",
    ),
    reported(
        "FILTER-NOT-INDEXED",
        "A filter on a column without an index answers 400 invalidRequest and names the column and the Prefer header.",
        source=f"{_DOCS}/2351",
        broken="it is answered as if the column had an index",
    ),
    reported(
        "FILTER-PREFER",
        "Prefer: HonorNonIndexedQueriesWarningMayFailRandomly lets a filter use a column without an index.",
        source=f"{_DOCS}/2351",
        broken="the header is ignored",
    ),
    reported(
        "FILTER-THRESHOLD",
        "With that header and more than 5,000 items in the list the query fails: 429 activityLimitReached with the "
        "inner code throttledRequest, however long one waits.",
        source=f"{GITHUB}/microsoftgraph/msgraph-sdk-dotnet/issues/827",
        broken="the query is answered at any size",
        knob="threshold_flavour",
    ),
    documented(
        "FILTER-ONE-INDEXED-FIELD",
        "Without the Prefer header a filter on two fields answers 400: one indexed field is filtered at a time.",
        source=_ITEM_LIST,
        broken="and over two fields is answered",
    ),
    documented(
        "FILTER-QUOTES",
        "A quote inside a literal is doubled.",
        source="https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html",
        broken="a doubled quote is read as two quotes",
    ),
    assumed(
        "FILTER-BOOLEAN",
        "fields/{yes/no column} eq 1 selects the items with true.",
        because="a yes/no value is a bit in SharePoint's store; people report the numeric form to work.",
        broken="1 never equals true",
    ),
    reported(
        "FILTER-LOOKUP-ID",
        "fields/{column}LookupId eq 7 selects by the id of a lookup or a person.",
        source=f"{_DOCS}/2351",
        broken="{column}LookupId is not recognized in a filter",
    ),
    reported(
        "FILTER-NO-COUNT",
        "$count on items answers 400 invalidRequest.",
        source=f"{GITHUB}/pnp/pnpjs/issues/2432",
        broken="@odata.count is returned",
    ),
    reported(
        "FILTER-NO-SKIP",
        "$skip on items answers 400 invalidRequest.",
        source=f"{GITHUB}/pnp/pnpjs/issues/2432",
        broken="$skip is honoured",
    ),
    documented(
        "FILTER-LOOKUP-LIMIT",
        "Selecting more than 12 lookup and person columns answers an error that names the lookup column threshold.",
        source=f"{API}/resources/fieldvalueset",
        broken="any number may be selected",
    ),
    assumed(
        "FILTER-UNKNOWN-FIELD",
        "A filter on an unknown field answers 400 invalidRequest.",
        because="an unknown key is refused on writes (msgraph-sdk-powershell issue 3208); no page says it for filters.",
        broken="it matches nothing and answers 200",
    ),
    documented(
        "FILTER-MALFORMED",
        "A filter that does not parse answers 400 invalidRequest.",
        source=f"{LEARN}/graph/filter-query-parameter",
        broken="it is ignored",
    ),
)

PAGE: Final[tuple[Rule, ...]] = (
    reported(
        "PAGE-DEFAULT-200",
        "A page holds 200 items when $top is not given.",
        source=f"{GITHUB}/microsoftgraph/microsoft-graph-docs-contrib/issues/28",
        broken="it holds 100",
        knob="page_size_default",
    ),
    documented(
        "PAGE-TOP",
        "$top sets the size of a page.",
        source=f"{LEARN}/graph/paging",
        broken="$top is ignored",
    ),
    documented(
        "PAGE-NEXT-LINK",
        "@odata.nextLink is an absolute URL with the first request's options and a $skiptoken.",
        source=f"{LEARN}/graph/paging",
        broken="the link is relative to the version root",
    ),
    reported(
        "PAGE-SKIPTOKEN",
        "A $skiptoken is base64 of a SharePoint paging string that names the last id (Paged=TRUE&p_ID=…).",
        source=f"{GITHUB}/pnp/pnpcore/tree/dev/src/sdk/PnP.Core.Test",
        broken="it is a plain offset",
    ),
    documented(
        "PAGE-EVERY-ITEM-ONCE",
        "Following the links to the end gives every item of a quiet list exactly once.",
        source=f"{LEARN}/graph/paging",
        broken="each page repeats the last item of the page before",
    ),
    assumed(
        "PAGE-BY-ID",
        "Items come in ascending order of their ids.",
        because="the recorded paging string is a position in the id order; no page promises an order.",
        broken="the items of a page come in descending order",
    ),
    assumed(
        "PAGE-BAD-SKIPTOKEN",
        "A $skiptoken that the service did not make answers 400 invalidRequest.",
        because="a refused token is the cautious reading; no page says what happens.",
        broken="the enumeration starts again",
    ),
    documented(
        "PAGE-LAST-WITHOUT-LINK",
        "The last page has no @odata.nextLink.",
        source=f"{LEARN}/graph/paging",
        broken="the last page links to an empty one for ever",
    ),
    assumed(
        "PAGE-NOT-A-SNAPSHOT",
        "An item created during an enumeration shows on a later page.",
        because="the paging string is a position, not a snapshot; only delta promises a complete reading.",
        broken="pages show the list as it was at the first page",
    ),
)

DELTA: Final[tuple[Rule, ...]] = (
    documented(
        "DELTA-START",
        "Without a token delta gives every item that exists, then a deltaLink.",
        source=_DELTA,
        broken="it gives nothing and a deltaLink",
        knob="delta_available",
    ),
    documented(
        "DELTA-LATEST",
        "token=latest gives an empty page and a deltaLink from now on.",
        source=_DELTA,
        broken="it gives every item that exists",
    ),
    documented(
        "DELTA-CHANGES",
        "A deltaLink gives the items that were created or changed since it was made, in their last state.",
        source=_DELTA,
        broken="it gives created items only",
    ),
    documented(
        "DELTA-ONE-LINK",
        "Each page has exactly one of @odata.nextLink and @odata.deltaLink.",
        source=_DELTA,
        broken="a page with a nextLink has a deltaLink too",
    ),
    documented(
        "DELTA-TOP",
        "$top sets the size of a delta page, and following the links gives every change.",
        source=_DELTA,
        broken="$top is ignored",
    ),
    documented(
        "DELTA-TOMBSTONE",
        "A deleted item shows as its id and deleted.state, without eTag and without fields.",
        source=_DELTA,
        broken="deleted items are not shown",
        knob="delta_unmarked_deletes",
    ),
    documented(
        "DELTA-TOMBSTONE-BARE",
        "The entry of a deleted item has no eTag and no fields.",
        source=_DELTA,
        broken="it carries the last eTag and the last fields",
    ),
    documented(
        "DELTA-FIELDS-ON-EXPAND",
        "Entries carry fields only with $expand=fields.",
        source=_DELTA,
        broken="they always carry fields",
    ),
    documented(
        "DELTA-OPTIONS-IN-LINK",
        "The options of the first request are part of its links: a deltaLink of an expanded request expands.",
        source=f"{LEARN}/graph/delta-query-overview",
        broken="a deltaLink forgets $expand",
    ),
    reported(
        "DELTA-NO-LAST-MODIFIED-BY",
        "Entries have no lastModifiedBy.",
        source=f"{LEARN}/answers/questions/5768708/graph-listitem-delta-api-does-not-return-lastmodif",
        broken="they have it",
    ),
    reported(
        "DELTA-PARENTHESES",
        "items/delta() and items/microsoft.graph.delta() are the same as items/delta.",
        source=f"{GITHUB}/microsoftgraph/msgraph-sdk-dotnet/issues/2734",
        broken="forms with parentheses answer 404",
    ),
    reported(
        "DELTA-TOKEN-ARGUMENT",
        "items/delta(token='…') answers 404.",
        source=f"{GITHUB}/microsoftgraph/msgraph-sdk-dotnet/issues/2734",
        broken="it is answered as ?token=… is",
    ),
    assumed(
        "DELTA-REPEATABLE",
        "The same deltaLink gives the same changes again, and later ones.",
        because="a token is a position in the change log, so reading does not use it up.",
        broken="a deltaLink works once and answers 410 afterwards",
    ),
    assumed(
        "DELTA-BAD-TOKEN",
        "A token that the service did not make answers 400 invalidRequest.",
        because="the natural reading of the error table; no page says what happens.",
        broken="it is read as no token",
    ),
    assumed(
        "DELTA-EXPIRES",
        "A token older than 60 days answers 410.",
        because="SharePoint's change log keeps 60 days by default; the life of Graph's token is not published.",
        broken="tokens never expire",
        knob="delta_retention_days",
    ),
    documented(
        "DELTA-410-CODE",
        "A 410 says resyncChangesApplyDifferences or resyncChangesUploadDifferences.",
        source=_DELTA,
        broken="it says itemNotFound",
        knob="delta_gone_code",
    ),
    documented(
        "DELTA-410-LOCATION",
        "A 410 has a Location header whose link starts a full enumeration.",
        source=_DELTA,
        broken="the header is left out",
    ),
    assumed(
        "DELTA-RESTORED",
        "An item restored from the recycle bin shows as present.",
        because="a restore is a change of the item; no page says it.",
        broken="a restore is not shown",
    ),
    assumed(
        "DELTA-NO-SCHEMA-CHANGES",
        "Adding a column shows no item as changed.",
        because="a schema change writes no item; no page says it.",
        broken="every item shows as changed",
    ),
    documented(
        "DELTA-LATEST-STATE",
        "An item that changed several times shows in its last state.",
        source=_DELTA,
        broken="it shows in the state of its first change",
    ),
    documented(
        "DELTA-ETAG-OF-READ",
        "An entry's eTag is the one that a read of the item gives.",
        source=f"{API}/resources/listitem",
        broken="entries have no eTag",
    ),
)
