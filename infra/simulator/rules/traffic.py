"""Rules of batches, throttling, errors and headers."""

from typing import Final

from .model import GITHUB, LEARN, THROTTLING, Rule, assumed, documented, reported

_BATCH = f"{LEARN}/graph/json-batching"
_ERRORS = f"{LEARN}/graph/errors"
_PNP = f"{GITHUB}/pnp/pnpcore/tree/dev/src/sdk/PnP.Core.Test"

BATCH: Final[tuple[Rule, ...]] = (
    documented(
        "BATCH-RESPONSES",
        "A batch answers 200 with one response per request: id, status, headers, body.",
        source=_BATCH,
        broken="failed requests are left out of the responses",
    ),
    documented(
        "BATCH-MAX-20",
        "A batch of more than 20 requests answers 400 and runs none of them.",
        source=_BATCH,
        broken="any number is run",
    ),
    documented(
        "BATCH-DUPLICATE-ID",
        "Two requests with one id, compared without regard to case, answer 400 for the whole batch.",
        source=_BATCH,
        broken="both are run",
    ),
    documented(
        "BATCH-ANY-ORDER",
        "Responses come in any order.",
        source=_BATCH,
        broken="responses come in the order of the requests",
        knob="batch_shuffle",
    ),
    documented(
        "BATCH-BODY-NEEDS-TYPE",
        "A request with a body and without a Content-Type header fails.",
        source=_BATCH,
        broken="application/json is assumed",
    ),
    documented(
        "BATCH-DEPENDS-ON-FAILED",
        "A request whose dependency failed answers 424 and is not run.",
        source=_BATCH,
        broken="it is run",
    ),
    documented(
        "BATCH-DEPENDS-ON-ORDER",
        "A chain of dependsOn runs one after the other.",
        source=_BATCH,
        broken="dependsOn is ignored and the requests run in reverse order",
    ),
    documented(
        "BATCH-DEPENDS-ON-UNKNOWN",
        "A dependsOn that names no request of the batch answers 400 for the whole batch.",
        source=_BATCH,
        broken="an unknown id is ignored",
    ),
    documented(
        "BATCH-NOT-ATOMIC",
        "A failed request leaves the effects of the others in place.",
        source=_BATCH,
        broken="after a failure the rest is not run and answers 424",
    ),
    documented(
        "BATCH-INNER-HEADERS",
        "Headers of a request inside a batch count: a stale If-Match answers 412 inside a 200.",
        source=_BATCH,
        broken="they are ignored",
    ),
    documented(
        "BATCH-INNER-429",
        "Throttled requests of a batch answer 429 with their own Retry-After inside a 200.",
        source=f"{LEARN}/graph/throttling",
        broken="the whole batch answers 429",
    ),
    documented(
        "BATCH-MALFORMED",
        "An envelope without a requests array answers 400.",
        source=_BATCH,
        broken="it answers 200 with no responses",
    ),
    documented(
        "BATCH-URL-SLASH",
        "The url of a request is relative to the version root, with or without a leading slash.",
        source=_BATCH,
        broken="a url without a leading slash answers 400",
    ),
    documented(
        "BATCH-URL-VERSION",
        "The url of a request does not name the version again: /v1.0/sites/root inside a batch answers 400.",
        source=_BATCH,
        broken="/v1.0/ before a url is taken off",
    ),
)

RU: Final[tuple[Rule, ...]] = (
    documented(
        "RU-READ-ONE",
        "Reading one item costs 1 resource unit.",
        source=THROTTLING,
        broken="it costs 3",
    ),
    documented(
        "RU-READ-MANY",
        "Reading many items costs 2 resource units a page.",
        source=THROTTLING,
        broken="it costs 1",
    ),
    documented(
        "RU-WRITE",
        "Creating, changing and deleting cost 2 resource units each.",
        source=THROTTLING,
        broken="they cost 1",
    ),
    documented(
        "RU-DELTA-WITH-TOKEN",
        "Delta costs 1 resource unit with a token and 2 without.",
        source=THROTTLING,
        broken="it costs 2 with a token too",
    ),
    documented(
        "RU-PERMISSIONS",
        "A permission resource costs 5 resource units.",
        source=THROTTLING,
        broken="it costs 1",
    ),
    documented(
        "RU-BATCH-SUM",
        "Requests inside a batch are charged one by one.",
        source=f"{LEARN}/graph/throttling",
        broken="a batch costs 2 whatever is inside",
    ),
    documented(
        "RU-MINUTE-BUDGET",
        "An app that spends more than its budget of a minute (1,250 units in the smallest tier) gets 429.",
        source=THROTTLING,
        broken="the minute's budget is not enforced",
        knob="throttling",
    ),
    documented(
        "RU-DAY-BUDGET",
        "An app that spends more than its budget of 24 hours (1,200,000 units in the smallest tier) gets 429.",
        source=THROTTLING,
        broken="the day's budget is not enforced",
    ),
    documented(
        "RU-TIER",
        "The budgets grow with the tenant's licences: 2,500 units a minute from 1,001 licences on.",
        source=THROTTLING,
        broken="every tenant has the smallest budget",
    ),
    documented(
        "RU-RETRY-AFTER",
        "A 429 carries Retry-After in seconds, and a call after that time is answered.",
        source=THROTTLING,
        broken="Retry-After is left out",
        knob="retry_after",
    ),
    documented(
        "RU-HEADERS-FROM-80",
        "RateLimit-Limit, -Remaining and -Reset appear once 80 percent of the minute's budget is used, not before.",
        source=THROTTLING,
        broken="they never appear",
        knob="ratelimit_share",
    ),
    documented(
        "RU-HEADERS-ON-429",
        "A 429 of the minute's budget has RateLimit-Remaining 0.",
        source=THROTTLING,
        broken="RateLimit-Remaining is 1",
    ),
    documented(
        "RU-THROTTLED-CHARGED",
        "Throttled calls count against the budget.",
        source=THROTTLING,
        broken="throttled calls are free",
    ),
    documented(
        "RU-APPS-APART",
        "Each app of a tenant has a budget of its own: one that is throttled does not throttle another.",
        source=THROTTLING,
        broken="one app's 429 throttles every app of the tenant",
    ),
    documented(
        "RU-TENANT-BUDGET",
        "All apps of a tenant share a budget of 5 minutes (18,750 units in the smallest tier).",
        source=THROTTLING,
        broken="the tenant's budget is not enforced",
    ),
    reported(
        "RU-429-BODY",
        "A throttled call says activityLimitReached with the inner code throttledRequest.",
        source=f"{GITHUB}/microsoftgraph/msgraph-sdk-dotnet/issues/703",
        broken="it says TooManyRequests without an inner code",
        knob="throttle_body",
    ),
)

ERR: Final[tuple[Rule, ...]] = (
    documented(
        "ERR-SHAPE",
        "An error is {error: {code, message, innerError}}.",
        source=_ERRORS,
        broken="code and message stand at the top level",
    ),
    documented(
        "ERR-INNER-IDS",
        "innerError has date, request-id and client-request-id.",
        source=_ERRORS,
        broken="innerError is empty",
    ),
    reported(
        "ERR-UNKNOWN-SEGMENT",
        "An unknown path segment answers 400 BadRequest, \"Resource not found for the segment '…'\".",
        source=f"{GITHUB}/microsoftgraph/microsoft-graph-docs/issues/7757",
        broken="it answers 404 itemNotFound",
    ),
    documented(
        "ERR-BAD-JSON",
        "A body that is not JSON answers 400.",
        source=_ERRORS,
        broken="it is read as an empty object",
    ),
    documented(
        "ERR-METHOD",
        "A method that a resource does not have answers 405.",
        source=_ERRORS,
        broken="it answers 404",
    ),
    reported(
        "ERR-ITEM-UNKNOWN",
        "An unknown item answers 404 itemNotFound.",
        source=f"{GITHUB}/microsoftgraph/msgraph-sdk-java/issues/293",
        broken="it answers 400 invalidRequest",
    ),
    assumed(
        "ERR-ITEM-ID-NOT-NUMERIC",
        "An item id that is no number answers 404 itemNotFound.",
        because="the natural reading of the error table.",
        broken="it answers 400 BadRequest",
    ),
    documented(
        "ERR-CONTENT-TYPE",
        "A body whose Content-Type is not JSON answers 400.",
        source=_ERRORS,
        broken="every body is read as JSON",
    ),
)

HDR: Final[tuple[Rule, ...]] = (
    documented(
        "HDR-REQUEST-ID",
        "Every answer has a request-id of its own.",
        source=f"{LEARN}/graph/best-practices-concept",
        broken="the header is left out",
    ),
    documented(
        "HDR-CLIENT-REQUEST-ID",
        "client-request-id comes back as the caller sent it.",
        source=f"{LEARN}/graph/best-practices-concept",
        broken="another id comes back",
    ),
    reported(
        "HDR-CONTENT-TYPE",
        "JSON answers are application/json with odata.metadata=minimal and charset=utf-8.",
        source=_PNP,
        broken="they are plain application/json",
    ),
    reported(
        "HDR-ODATA-VERSION",
        "JSON answers have OData-Version 4.0.",
        source=_PNP,
        broken="the header is left out",
    ),
    reported(
        "HDR-CACHE-CONTROL",
        "Answers have Cache-Control: no-cache.",
        source=_PNP,
        broken="the header is left out",
    ),
    reported(
        "HDR-DIAGNOSTIC",
        "Answers have x-ms-ags-diagnostic, a JSON object with ServerInfo.",
        source=_PNP,
        broken="the header is left out",
    ),
    reported(
        "HDR-STRICT-TRANSPORT",
        "Answers have Strict-Transport-Security with a max-age of a year.",
        source=_PNP,
        broken="the header is left out",
    ),
    documented(
        "HDR-DATE",
        "Answers have a Date header that follows the service's clock.",
        source="https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1",
        broken="Date is ten minutes behind",
    ),
)
