"""Rules of writing and reading each type of column inside fields."""

from typing import Final

from .model import API, GITHUB, LEARN, Rule, assumed, documented, reported

_COLUMN = f"{API}/resources/columndefinition"
_TYPES = "https://support.microsoft.com/en-us/office/list-and-library-column-types-and-options-0d8ddb7b-7dc7-414d-a283-ee9dca891df7"
_DOCS = f"{GITHUB}/microsoftgraph/microsoft-graph-docs/issues"
_PNP = f"{GITHUB}/pnp/pnpcore/tree/dev/src/sdk/PnP.Core.Test"

VAL: Final[tuple[Rule, ...]] = (
    documented(
        "VAL-TEXT-255",
        "Single-line text holds 255 characters; one more answers 400 and nothing is written.",
        source=_TYPES,
        broken="longer text is stored",
    ),
    documented(
        "VAL-NOTE-63999",
        "Multi-line text holds 63,999 characters; one more answers 400 and nothing is written.",
        source=_TYPES,
        broken="longer text is stored",
    ),
    assumed(
        "VAL-TEXT-AS-SENT",
        "Text comes back as it was sent: leading and trailing blanks, accents, emoji, quotes.",
        because="no page mentions trimming; a knob trims.",
        broken="leading and trailing blanks are cut",
        knob="trim_text",
    ),
    assumed(
        "VAL-TEXT-EMPTY-IS-NULL",
        "An empty string clears the value: the column is absent on read.",
        because="SharePoint stores empty text as null, and reads never show one for user columns; no page says it.",
        broken="an empty string is stored and returned",
    ),
    assumed(
        "VAL-TEXT-XML",
        "Text with characters that XML 1.0 forbids answers 400 and nothing is written.",
        because="SharePoint passes values through XML; the code that Graph answers is not published.",
        broken="such text is stored",
        knob="xml_illegal",
    ),
    documented(
        "VAL-NUMBER",
        "A number comes back as a JSON number: integers exact to 2^53, fractions as a double.",
        source=f"{API}/resources/numbercolumn",
        broken="a number comes back as a string",
        knob="number_digits",
    ),
    assumed(
        "VAL-NUMBER-WRONG-TYPE",
        "Text that is no number answers 400 invalidRequest in a number column.",
        because="reported for wrong types in general (One of the provided arguments is not acceptable).",
        broken="the text is stored",
    ),
    documented(
        "VAL-BOOLEAN",
        "A yes/no column takes and returns JSON true and false.",
        source=f"{API}/resources/booleancolumn",
        broken="it returns 1 and 0",
    ),
    assumed(
        "VAL-BOOLEAN-ABSENT",
        "A yes/no column without a default that was left out of a creation is absent on read.",
        because="a value that was never written is null, and nulls are absent from fields; no page says it.",
        broken="it is false on read",
    ),
    reported(
        "VAL-DATETIME-UTC",
        "A time with an offset comes back as the same instant in UTC, with whole seconds and a Z.",
        source=f"{_DOCS}/5293",
        broken="the offset is dropped and the wall time comes back as UTC",
    ),
    reported(
        "VAL-DATETIME-WHOLE-SECONDS",
        "Fractions of a second are cut off.",
        source=f"{_DOCS}/5293",
        broken="milliseconds come back",
    ),
    reported(
        "VAL-DATE-ONLY-SITE-MIDNIGHT",
        "A date-only value comes back as midnight of its date in the site's time zone, expressed in UTC.",
        source=f"{_DOCS}/13168",
        broken="it comes back as midnight UTC",
    ),
    reported(
        "VAL-DATE-ECHO-WRONG",
        "The answer to a write shows a time as the site's wall time with a Z; a later read is right.",
        source=f"{_DOCS}/10950",
        broken="the answer to a write is right",
        knob="wrong_date_echo",
    ),
    assumed(
        "VAL-CHOICE-OUTSIDE-STORED",
        "A value outside a choice column's choices is stored as it is.",
        because="SharePoint's API layer checks choices only on the form's path; a knob refuses it.",
        broken="it answers 400",
        knob="choice_outside",
    ),
    reported(
        "VAL-MULTI-CHOICE-NEEDS-TYPE",
        'An array for a multi-choice column without "{column}@odata.type": "Collection(Edm.String)" answers 400.',
        source=f"{_DOCS}/2745",
        broken="the annotation is not asked for",
    ),
    reported(
        "VAL-MULTI-CHOICE-ARRAY",
        "A multi-choice value comes back as an array of strings.",
        source=f"{_DOCS}/2745",
        broken="it comes back as one string joined by ;#",
    ),
    documented(
        "VAL-LOOKUP-STRING",
        "A lookup is written as {column}LookupId and comes back there as a string.",
        source=f"{API}/resources/fieldvalueset",
        broken="it comes back as a number",
    ),
    reported(
        "VAL-LOOKUP-TARGET",
        'A lookup to an item that does not exist answers 400, "One of the provided arguments is not acceptable."',
        source=f"{GITHUB}/alcionai/corso/blob/main/src/pkg/services/m365/api/lists.go",
        broken="it is stored",
    ),
    documented(
        "VAL-LOOKUP-TEXT-ON-SELECT",
        "A lookup's text is in fields only when $select names the column.",
        source=f"{API}/resources/fieldvalueset",
        broken="it is always in fields",
    ),
    reported(
        "VAL-LOOKUP-MULTI",
        "A multi-lookup comes back as an array of LookupId and LookupValue.",
        source=f"{LEARN}/answers/questions/891840/graph-api-create-listitem-with-user-column",
        broken="it comes back as an array of ids",
    ),
    reported(
        "VAL-PERSON-STRING",
        "A person is written as {column}LookupId, an id in the User Information List, and comes back as a string.",
        source=_PNP,
        broken="it comes back as a number",
    ),
    reported(
        "VAL-PERSON-MULTI",
        "A multi-person value comes back as an array of LookupId, LookupValue and Email.",
        source=f"{LEARN}/answers/questions/1243699/what-is-the-ms-graph-api-equivalent-to-retrieve-ex",
        broken="it comes back without Email",
    ),
    reported(
        "VAL-HYPERLINK-NOT-WRITABLE",
        "Writing a hyperlink column is refused (invalidRequest or generalException) and nothing is written.",
        source=f"{_DOCS}/12638",
        broken="the value is stored",
        knob="hyperlink_write",
    ),
    assumed(
        "VAL-CALCULATED-NOT-WRITABLE",
        "Writing a calculated column answers 400 and nothing is written.",
        because="its values are read-only by its page; whether Graph refuses or ignores the key is not published.",
        broken="the key is silently ignored",
    ),
    documented(
        "VAL-TEXT-MAX-LENGTH",
        "A text column's maxLength is enforced.",
        source=f"{API}/resources/textcolumn",
        broken="only 255 is enforced",
    ),
    documented(
        "VAL-CURRENCY",
        "A currency comes back as a JSON number.",
        source=f"{API}/resources/currencycolumn",
        broken="a currency comes back as a string",
    ),
    assumed(
        "VAL-DATETIME-WRONG-TYPE",
        "Text that is no ISO 8601 time answers 400 invalidRequest in a date column.",
        because="reported for wrong types in general (One of the provided arguments is not acceptable).",
        broken="the text is stored",
    ),
    reported(
        "VAL-LOOKUP-MULTI-NEEDS-TYPE",
        'An array for a multi-lookup without "{column}LookupId@odata.type" answers 400.',
        source=f"{LEARN}/answers/questions/891840/graph-api-create-listitem-with-user-column",
        broken="the annotation is not asked for",
    ),
    assumed(
        "VAL-PERSON-UNKNOWN",
        "A person who is not in the User Information List answers 400.",
        because="a person is a lookup, and a missing lookup target is reported to answer 400.",
        broken="any id is stored",
    ),
)
