"""Questions about filters, paging and delta."""

import base64
import re
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from infra.simulator.probe.ask import asks, expect, message, refused, same, status
from infra.simulator.probe.rig import PREFER, Json, Rig, text


def _titles(rig: Rig, path: str, condition: str, **more: Any) -> list[str]:
    answer = rig.get(f"{path}/items?$expand=fields&$filter={quote(condition)}", **more)
    return sorted(one["fields"]["Title"] for one in status(answer, 200).json()["value"])


def _filtered(rig: Rig, condition: str, **more: Any) -> Any:
    return rig.get(f"{rig.every()}/items?$expand=fields&$filter={quote(condition)}", **more)


def _coded(rig: Rig) -> str:
    path = rig.new_list(text("Code", indexed=True), {"name": "Amount", "number": {}, "indexed": True}, text("Plain"))
    for number, title in enumerate(("a", "b", "c"), start=1):
        rig.add(path, Title=title, Code=f"code-{title}", Amount=number, Plain=f"plain-{title}")
    return path


@asks("FILTER-INDEXED")
def indexed(rig: Rig) -> None:
    same(_titles(rig, _coded(rig), "fields/Code eq 'code-b'"), ["b"], "items")


@asks("FILTER-OPERATORS")
def operators(rig: Rig) -> None:
    path = _coded(rig)
    cases = {
        "fields/Amount eq 2": ["b"],
        "fields/Amount ne 2": ["a", "c"],
        "fields/Amount lt 2": ["a"],
        "fields/Amount le 2": ["a", "b"],
        "fields/Amount gt 2": ["c"],
        "fields/Amount ge 2": ["b", "c"],
        "startswith(fields/Code,'code-')": ["a", "b", "c"],
        "startswith(fields/Code,'code-c')": ["c"],
    }
    for condition, wanted in cases.items():
        same(_titles(rig, path, condition), wanted, condition)


@asks("FILTER-NOT-INDEXED")
def not_indexed(rig: Rig) -> None:
    answer = _filtered(rig, "fields/Plain eq 'x'")
    refused(answer, code_is="invalidRequest", says="HonorNonIndexedQueriesWarningMayFailRandomly")
    expect("'Plain'" in message(answer), f"message {message(answer)!r}")


@asks("FILTER-PREFER")
def prefer(rig: Rig) -> None:
    same(_titles(rig, _coded(rig), "fields/Plain eq 'plain-b'", headers=PREFER), ["b"], "items")


@asks("FILTER-ONE-INDEXED-FIELD")
def one_field(rig: Rig) -> None:
    status(_filtered(rig, "fields/Code eq 'x' and fields/IdxNum eq 1"), 400)


@asks("FILTER-QUOTES")
def quotes(rig: Rig) -> None:
    path = rig.new_list(text("Code", indexed=True))
    rig.add(path, Title="right", Code="O'Neil")
    rig.add(path, Title="wrong", Code="O''Neil")
    same(_titles(rig, path, "fields/Code eq 'O''Neil'"), ["right"], "items")


@asks("FILTER-BOOLEAN")
def boolean(rig: Rig) -> None:
    path = rig.new_list({"name": "Flag", "boolean": {}, "indexed": True})
    rig.add(path, Title="yes", Flag=True)
    rig.add(path, Title="no", Flag=False)
    same(_titles(rig, path, "fields/Flag eq 1"), ["yes"], "items")


@asks("FILTER-LOOKUP-ID")
def lookup_id(rig: Rig) -> None:
    rig.add(rig.every(), Title="refers to two", RefLookupId=2)
    rig.add(rig.every(), Title="refers to three", RefLookupId=3)
    same(_titles(rig, rig.every(), "fields/RefLookupId eq 3"), ["refers to three"], "items")


@asks("FILTER-NO-COUNT")
def no_count(rig: Rig) -> None:
    refused(rig.get(f"{rig.every()}/items?$count=true"), code_is="invalidRequest")


@asks("FILTER-NO-SKIP")
def no_skip(rig: Rig) -> None:
    refused(rig.get(f"{rig.every()}/items?$skip=1"), code_is="invalidRequest")


@asks("FILTER-LOOKUP-LIMIT")
def lookup_limit(rig: Rig) -> None:
    target = rig.target().rpartition("/")[2]
    names = [f"L{number}" for number in range(13)]
    path = rig.new_list(*({"name": name, "lookup": {"listId": target, "columnName": "Title"}} for name in names))
    rig.add(path, Title="a")
    status(rig.get(f"{path}/items?$expand=fields($select={','.join(names[:12])})"), 200)
    answer = rig.get(f"{path}/items?$expand=fields($select={','.join(names)})")
    expect(answer.status_code >= 400, f"13 lookup columns answered {answer.status_code}")
    expect("lookup" in message(answer).lower(), f"message {message(answer)!r}")


def _filled(rig: Rig, count: int) -> str:
    path = rig.new_list()
    for start in range(0, count, 20):
        requests = [
            {
                "id": str(number),
                "method": "POST",
                "url": f"{path}/items",
                "headers": {"Content-Type": "application/json"},
                "body": {"fields": {"Title": f"t{number}"}},
            }
            for number in range(start, min(start + 20, count))
        ]
        for one in status(rig.batch(*requests), 200).json()["responses"]:
            if one["status"] in (409, 500, 503, 504):  # parallel writes to one list may collide: once more, alone
                rig.add(path, Title=f"t{one['id']}")
            else:
                same(one["status"], 201, "status of a creation in a batch")
    return path


@asks("PAGE-DEFAULT-200")
def default_200(rig: Rig) -> None:
    page = status(rig.get(f"{_filled(rig, 201)}/items"), 200).json()
    same(len(page["value"]), 200, "items of the first page")
    expect("@odata.nextLink" in page, "no @odata.nextLink")


@asks("PAGE-TOP")
def top(rig: Rig) -> None:
    sizes = [len(page["value"]) for page in rig.pages(f"{_filled(rig, 7)}/items?$top=3")]
    same(sizes, [3, 3, 1], "sizes of the pages")


@asks("PAGE-NEXT-LINK")
def next_link(rig: Rig) -> None:
    link = status(rig.get(f"{_filled(rig, 3)}/items?$top=2&$expand=fields($select=Title)"), 200).json()[
        "@odata.nextLink"
    ]
    expect(link.startswith(rig.graph_url), f"link {link}")
    options = {key.lstrip("$"): value for key, value in parse_qs(urlsplit(link).query).items()}
    expect({"top", "expand", "skiptoken"} <= set(options), f"options {sorted(options)}")
    second = status(rig.get(link), 200).json()["value"]
    same([sorted(key for key in one["fields"] if key == "Title") for one in second], [["Title"]], "the second page")


def _skiptoken(link: str) -> str:
    options = {key.lstrip("$"): value[0] for key, value in parse_qs(urlsplit(link).query).items()}
    return options["skiptoken"]


@asks("PAGE-SKIPTOKEN")
def skiptoken(rig: Rig) -> None:
    page = status(rig.get(f"{_filled(rig, 3)}/items?$top=2"), 200).json()
    token = _skiptoken(page["@odata.nextLink"])
    try:
        plain = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except ValueError:
        plain = ""
    expect(re.search(rf"Paged=TRUE.*p_ID={page['value'][-1]['id']}\b", plain), f"token {token!r}, decoded {plain!r}")


@asks("PAGE-EVERY-ITEM-ONCE")
def every_item_once(rig: Rig) -> None:
    ids = [int(one["id"]) for page in rig.pages(f"{_filled(rig, 11)}/items?$top=4") for one in page["value"]]
    same(sorted(ids), sorted(set(ids)), "ids")
    same(len(ids), 11, "number of items")


@asks("PAGE-BY-ID")
def by_id(rig: Rig) -> None:
    ids = [int(one["id"]) for page in rig.pages(f"{_filled(rig, 7)}/items?$top=3") for one in page["value"]]
    same(ids, sorted(ids), "ids")


@asks("PAGE-BAD-SKIPTOKEN")
def bad_skiptoken(rig: Rig) -> None:
    refused(rig.get(f"{rig.every()}/items?$top=2&$skiptoken=bm8gdG9rZW4gb2YgeW91cnM"), code_is="invalidRequest")


def _delta(path: str, options: str = "") -> str:
    return f"{path}/items/delta{options}"


@asks("DELTA-START")
def delta_start(rig: Rig) -> None:
    path = _filled(rig, 5)
    entries, link = rig.delta(_delta(path))
    same({one["id"] for one in entries}, {str(number) for number in range(1, 6)}, "ids")
    expect("token=" in link, f"deltaLink {link}")


@asks("DELTA-LATEST")
def delta_latest(rig: Rig) -> None:
    path = _filled(rig, 2)
    entries, link = rig.delta(_delta(path, "?token=latest"))
    same(entries, [], "entries")
    item = rig.add(path, Title="later")
    same([one["id"] for one in rig.delta(link)[0]], [item["id"]], "ids after one creation")


@asks("DELTA-CHANGES")
def delta_changes(rig: Rig) -> None:
    path = _filled(rig, 4)
    _, link = rig.delta(_delta(path, "?$expand=fields"))
    for title in ("x", "y"):
        status(rig.patch(f"{path}/items/2/fields", {"Title": title}), 200)
    item = rig.add(path, Title="new")
    last = {one["id"]: one for one in rig.delta(link)[0]}
    same(set(last), {"2", item["id"]}, "ids")
    same(last["2"]["fields"]["Title"], "y", "Title of the changed item")


@asks("DELTA-ONE-LINK")
def one_link(rig: Rig) -> None:
    pages = list(rig.pages(_delta(_filled(rig, 5), "?$top=2")))
    links = [sorted({"@odata.nextLink", "@odata.deltaLink"} & set(page)) for page in pages]
    expect(len(pages) > 1, "$top=2 of 5 items gave one page")
    same(links, [["@odata.nextLink"]] * (len(pages) - 1) + [["@odata.deltaLink"]], "links of the pages")


@asks("DELTA-TOP")
def delta_top(rig: Rig) -> None:
    pages = list(rig.pages(_delta(_filled(rig, 5), "?$top=2")))
    expect(all(len(page["value"]) <= 2 for page in pages), f"sizes {[len(page['value']) for page in pages]}")
    same({one["id"] for page in pages for one in page["value"]}, {"1", "2", "3", "4", "5"}, "ids")


def _deleted(rig: Rig) -> list[Json]:
    path = _filled(rig, 3)
    _, link = rig.delta(_delta(path, "?$expand=fields"))
    status(rig.delete(f"{path}/items/2"), 204)
    return rig.delta(link)[0]


@asks("DELTA-TOMBSTONE")
def tombstone(rig: Rig) -> None:
    entries = _deleted(rig)
    same([one["id"] for one in entries], ["2"], "ids")
    same(entries[0].get("deleted", {}).get("state"), "deleted", "deleted.state")


@asks("DELTA-TOMBSTONE-BARE")
def tombstone_bare(rig: Rig) -> None:
    for one in _deleted(rig):
        expect(not {"eTag", "@odata.etag", "fields"} & set(one), f"members {sorted(one)}")


@asks("DELTA-FIELDS-ON-EXPAND")
def delta_fields(rig: Rig) -> None:
    path = _filled(rig, 2)
    expect(all("fields" not in one for one in rig.delta(_delta(path))[0]), "fields without $expand")
    expanded = rig.delta(_delta(path, "?$expand=fields($select=Title)"))[0]
    same(sorted(one["fields"]["Title"] for one in expanded), ["t0", "t1"], "titles")


@asks("DELTA-OPTIONS-IN-LINK")
def options_in_link(rig: Rig) -> None:
    path = _filled(rig, 2)
    _, link = rig.delta(_delta(path, "?$expand=fields"))
    rig.add(path, Title="later")
    entries = rig.delta(link)[0]
    same([one.get("fields", {}).get("Title") for one in entries], ["later"], "titles")


@asks("DELTA-NO-LAST-MODIFIED-BY")
def no_last_modified_by(rig: Rig) -> None:
    entries = rig.delta(_delta(_filled(rig, 2)))[0]
    expect(entries and all("lastModifiedBy" not in one for one in entries), "lastModifiedBy in an entry")


@asks("DELTA-PARENTHESES")
def parentheses(rig: Rig) -> None:
    path = _filled(rig, 2)
    for form in ("delta()", "microsoft.graph.delta()"):
        same(len(rig.delta(f"{path}/items/{form}")[0]), 2, f"entries of {form}")


@asks("DELTA-TOKEN-ARGUMENT")
def token_argument(rig: Rig) -> None:
    status(rig.get(f"{_filled(rig, 1)}/items/delta(token='latest')"), 404)


@asks("DELTA-REPEATABLE")
def repeatable(rig: Rig) -> None:
    path = _filled(rig, 2)
    _, link = rig.delta(_delta(path))
    rig.add(path, Title="first")
    first = {one["id"] for one in rig.delta(link)[0]}
    rig.add(path, Title="second")
    again = {one["id"] for one in rig.delta(link)[0]}
    same([sorted(first), sorted(again)], [["3"], ["3", "4"]], "ids of two readings")


@asks("DELTA-BAD-TOKEN")
def bad_token(rig: Rig) -> None:
    refused(rig.get(_delta(rig.every(), "?token=bm8gdG9rZW4")), code_is="invalidRequest")


@asks("FILTER-UNKNOWN-FIELD")
def unknown_field(rig: Rig) -> None:
    refused(_filtered(rig, "fields/NoSuch eq 'x'"), code_is="invalidRequest")


@asks("FILTER-MALFORMED")
def malformed(rig: Rig) -> None:
    for condition in ("fields/Code eq", "fields/Code === 'x'", "fields/Code eq 'x", "(fields/Code eq 'x'"):
        refused(_filtered(rig, condition), code_is="invalidRequest")


@asks("DELTA-NO-SCHEMA-CHANGES")
def no_schema_changes(rig: Rig) -> None:
    path = _filled(rig, 2)
    _, link = rig.delta(_delta(path))
    status(rig.post(f"{path}/columns", text("Extra", defaultValue={"value": "x"})), 201)
    same([one["id"] for one in rig.delta(link)[0]], [], "ids after a new column")


@asks("PAGE-LAST-WITHOUT-LINK")
def last_without_link(rig: Rig) -> None:
    page = status(rig.get(f"{_filled(rig, 4)}/items?$top=5"), 200).json()
    expect("@odata.nextLink" not in page, "a link on the only page")


@asks("PAGE-NOT-A-SNAPSHOT")
def not_a_snapshot(rig: Rig) -> None:
    path = _filled(rig, 4)
    first = status(rig.get(f"{path}/items?$top=2"), 200).json()
    added = rig.add(path, Title="late")["id"]
    later = [one["id"] for page in rig.pages(first["@odata.nextLink"]) for one in page["value"]]
    same(later, ["3", "4", added], "ids of the later pages")


@asks("DELTA-LATEST-STATE")
def latest_state(rig: Rig) -> None:
    path = _filled(rig, 2)
    _, link = rig.delta(_delta(path, "?$expand=fields"))
    for title in ("x", "y", "z"):
        status(rig.patch(f"{path}/items/1/fields", {"Title": title}), 200)
    last = {one["id"]: one["fields"]["Title"] for one in rig.delta(link)[0]}
    same(last, {"1": "z"}, "last states")


@asks("DELTA-ETAG-OF-READ")
def etag_of_read(rig: Rig) -> None:
    path = _filled(rig, 1)
    _, link = rig.delta(_delta(path))
    status(rig.patch(f"{path}/items/1/fields", {"Title": "x"}), 200)
    entry = rig.delta(link)[0][-1]
    same(entry.get("eTag"), status(rig.get(f"{path}/items/1"), 200).json()["eTag"], "eTag")
