"""Questions about lists and columns."""

from typing import Any

from infra.simulator.probe.ask import (
    GUID,
    Refuted,
    Unasked,
    asks,
    code,
    error,
    expect,
    looks_like,
    refused,
    same,
    status,
)
from infra.simulator.probe.rig import Rig, text

FACETS = frozenset(
    [
        "text",
        "number",
        "currency",
        "dateTime",
        "boolean",
        "choice",
        "lookup",
        "personOrGroup",
        "hyperlinkOrPicture",
        "calculated",
        "term",
        "geolocation",
        "thumbnail",
        "contentApprovalStatus",
    ]
)


def _column(rig: Rig, path: str, name: str) -> dict[str, Any]:
    for one in status(rig.get(f"{path}/columns"), 200).json()["value"]:
        if one["name"] == name:
            return dict(one)
    raise Refuted(f"column {name} is not listed")


def _create(rig: Rig, **body: Any) -> Any:
    answer = rig.post(f"{rig.root}/lists", body)
    if answer.status_code < 300:
        rig.made(answer.json()["id"])
    return answer


@asks("LIST-BY-ID-OR-TITLE")
def by_title(rig: Rig) -> None:
    title = rig.title()
    path = rig.new_list(title=title)
    by_id = status(rig.get(path), 200).json()
    same(status(rig.get(f"{rig.root}/lists/{title}"), 200).json()["id"], by_id["id"], "id")


@asks("LIST-CREATE")
def create(rig: Rig) -> None:
    title = rig.title()
    body = status(_create(rig, displayName=title), 201).json()
    expect(looks_like(body["id"], GUID), f"id {body['id']}")
    same(body["displayName"], title, "displayName")
    expect(body["webUrl"].startswith(rig.site()["webUrl"]) and "/Lists/" in body["webUrl"], f"webUrl {body['webUrl']}")
    expect({"template", "hidden", "contentTypesEnabled"} <= set(body["list"]), f"list facet {body['list']}")


@asks("LIST-CREATE-NAME-REFUSED")
def name_refused(rig: Rig) -> None:
    refused(_create(rig, name=rig.title()), code_is="invalidRequest")


@asks("LIST-CREATE-COLUMNS")
def create_columns(rig: Rig) -> None:
    answer = _create(rig, displayName=rig.title(), columns=[text("Extra"), {"name": "Amount", "number": {}}])
    path = f"{rig.root}/lists/{status(answer, 201).json()['id']}"
    names = {one["name"] for one in status(rig.get(f"{path}/columns"), 200).json()["value"]}
    expect({"Extra", "Amount"} <= names, f"columns {sorted(names)}")


@asks("LIST-TEMPLATE-DEFAULT")
def template_default(rig: Rig) -> None:
    same(status(_create(rig, displayName=rig.title()), 201).json()["list"]["template"], "genericList", "template")


@asks("LIST-TEMPLATE-UNKNOWN")
def template_unknown(rig: Rig) -> None:
    answer = _create(rig, displayName=rig.title(), list={"template": "noSuchTemplate"})
    refused(answer, code_is="invalidRequest", says="One of the provided arguments is not acceptable.")


@asks("LIST-TITLE-UNIQUE")
def title_unique(rig: Rig) -> None:
    title = rig.title()
    rig.new_list(title=title)
    same(code(status(_create(rig, displayName=title), 409)), "nameAlreadyExists", "error.code")


@asks("LIST-RENAME-KEEPS-NAME")
def rename(rig: Rig) -> None:
    path, title = rig.new_list(), rig.title()
    before = status(rig.get(path), 200).json()
    status(rig.patch(path, {"displayName": title}), 200)
    after = status(rig.get(path), 200).json()
    same(after["displayName"], title, "displayName")
    same([after[key] for key in ("id", "name", "webUrl")], [before[key] for key in ("id", "name", "webUrl")], "address")


@asks("LIST-DELETE")
def delete(rig: Rig) -> None:
    path = rig.new_list()
    status(rig.delete(path), 204)
    same(code(status(rig.get(path), 404)), "itemNotFound", "error.code")


@asks("LIST-SYSTEM-LEFT-OUT")
def system_left_out(rig: Rig) -> None:
    plain = {one["id"] for page in rig.pages(f"{rig.root}/lists") for one in page["value"]}
    asked = {
        one["id"]: "system" in one
        for page in rig.pages(f"{rig.root}/lists?$select=id,displayName,system")
        for one in page["value"]
    }
    expect(any(asked.values()), "no list with the system facet when $select names system")
    expect(not any(asked.get(one) for one in plain), "lists with the system facet without asking for them")


@asks("LIST-USER-INFORMATION")
def user_information(rig: Rig) -> None:
    page = status(rig.get(f"{rig.root}/lists/User Information List/items?$expand=fields"), 200).json()
    expect(any("EMail" in one["fields"] for one in page["value"]), "no item with an e-mail address")


@asks("LIST-COLUMNS-ON-EXPAND")
def columns_on_expand(rig: Rig) -> None:
    expect("columns" not in status(rig.get(rig.every()), 200).json(), "columns without $expand")
    names = {one["name"] for one in status(rig.get(f"{rig.every()}?$expand=columns"), 200).json()["columns"]}
    expect({"Title", "Plain"} <= names, f"columns {sorted(names)}")


@asks("LIST-ETAG-UNQUOTED-ON-CREATE")
def list_etag(rig: Rig) -> None:
    made = status(_create(rig, displayName=rig.title()), 201).json()
    read = status(rig.get(f"{rig.root}/lists/{made['id']}"), 200).json()
    expect(looks_like(read["eTag"], rf'"{GUID},\d+"'), f"eTag of a read: {read['eTag']}")
    expect(looks_like(made["eTag"], rf"{GUID},\d+"), f"eTag of the creation: {made['eTag']}")


@asks("LIST-UNKNOWN")
def unknown(rig: Rig) -> None:
    for name in ("no-such-list-4711", "00000000-0000-4000-8000-000000004711"):
        same(code(status(rig.get(f"{rig.root}/lists/{name}"), 404)), "itemNotFound", "error.code")


@asks("COL-CREATE")
def column_create(rig: Rig) -> None:
    path = rig.new_list()
    sent = {"name": "Amount", "number": {"decimalPlaces": "two"}}
    body = status(rig.post(f"{path}/columns", sent), 201).json()
    expect(looks_like(body["id"], GUID), f"id {body['id']}")
    same(body["name"], "Amount", "name")
    same(sorted(FACETS & set(body)), ["number"], "facets")


@asks("COL-FACET-MEMBERS")
def facet_members(rig: Rig) -> None:
    target = rig.target().rpartition("/")[2]
    sent: dict[str, dict[str, Any]] = {
        "Short": {"text": {"maxLength": 40, "allowMultipleLines": False}},
        "Shade": {"choice": {"choices": ["red", "green"], "displayAs": "dropDownMenu"}},
        "Born": {"dateTime": {"format": "dateOnly"}},
        "Level": {"number": {"decimalPlaces": "two"}},
        "Other": {"lookup": {"listId": target, "columnName": "Title"}},
    }
    path = rig.new_list(*({"name": name, **facet} for name, facet in sent.items()))
    for name, facet in sent.items():
        seen = _column(rig, path, name)
        for kind, members in facet.items():
            for member, wanted in members.items():
                same(seen.get(kind, {}).get(member), wanted, f"{name}.{kind}.{member}")


@asks("COL-MEMBERS-LEFT-OUT")
def members_left_out(rig: Rig) -> None:
    absent = [
        "isDeletable",
        "isReorderable",
        "isSealed",
        "propagateChanges",
        "validation",
        "type",
        "sourceContentType",
        "sourceColumn",
    ]
    for one in status(rig.get(f"{rig.every()}/columns"), 200).json()["value"]:
        expect(not set(absent) & set(one), f"column {one['name']} has {sorted(set(absent) & set(one))}")


@asks("COL-HYPERLINK-NO-FACET")
def hyperlink_no_facet(rig: Rig) -> None:
    same(sorted(FACETS & set(_column(rig, rig.every(), "Link"))), [], "facets")


@asks("COL-DISPLAY-NAME-FREE")
def display_name(rig: Rig) -> None:
    path = rig.new_list(text("Extra"))
    column = _column(rig, path, "Extra")
    status(rig.patch(f"{path}/columns/{column['id']}", {"displayName": "Something else"}), 200)
    same(_column(rig, path, "Extra")["displayName"], "Something else", "displayName")
    item = rig.add(path, Extra="kept")
    same(rig.read(path, item["id"]).get("Extra"), "kept", "fields.Extra")


@asks("COL-SYSTEM-NAME-SUFFIXED")
def system_name(rig: Rig) -> None:
    path = rig.new_list()
    same(status(rig.post(f"{path}/columns", text("Author")), 201).json()["name"], "Author0", "name")


@asks("COL-NAME-TAKEN")
def name_taken(rig: Rig) -> None:
    path = rig.new_list(text("Extra"))
    same(code(status(rig.post(f"{path}/columns", text("Extra")), 409)), "nameAlreadyExists", "error.code")


@asks("COL-HIDDEN-LEFT-OUT")
def hidden(rig: Rig) -> None:
    path = rig.new_list()
    status(rig.post(f"{path}/columns", text("Secretive", hidden=True)), 201)
    plain = {one["name"] for one in status(rig.get(f"{path}/columns"), 200).json()["value"]}
    asked = {one["name"] for one in status(rig.get(f"{path}/columns?$select=id,name,hidden"), 200).json()["value"]}
    expect("Secretive" in asked, "the hidden column is not listed when $select names hidden")
    expect("Secretive" not in plain, "the hidden column is listed without asking for it")


@asks("COL-UNIQUE-NEEDS-INDEX")
def unique_needs_index(rig: Rig) -> None:
    refused(rig.post(f"{rig.new_list()}/columns", text("Extra", enforceUniqueValues=True)), code_is="invalidRequest")


@asks("COL-UNIQUE-OVER-DUPLICATES")
def unique_over_duplicates(rig: Rig) -> None:
    path = rig.new_list(text("Extra", indexed=True))
    rig.add(path, Extra="same")
    rig.add(path, Extra="same")
    column = _column(rig, path, "Extra")
    answer = rig.patch(f"{path}/columns/{column['id']}", {"enforceUniqueValues": True})
    expect(400 <= answer.status_code < 500, f"PATCH answered {answer.status_code}")
    same(_column(rig, path, "Extra")["enforceUniqueValues"], False, "enforceUniqueValues")


@asks("COL-INDEX-LIMIT")
def index_limit(rig: Rig) -> None:
    path = rig.new_list()
    answers = [rig.post(f"{path}/columns", text(f"C{number}", indexed=True)) for number in range(21)]
    same([answer.status_code for answer in answers[:20]], [201] * 20, "first 20 answers")
    expect(400 <= answers[20].status_code < 500, f"the 21st indexed column answered {answers[20].status_code}")


@asks("COL-INDEX-TYPES")
def index_types(rig: Rig) -> None:
    column = {"name": "Long", "text": {"allowMultipleLines": True}, "indexed": True}
    refused(rig.post(f"{rig.new_list()}/columns", column), code_is="invalidRequest")


@asks("COL-NULL-DEFAULT-FAILS")
def null_default(rig: Rig) -> None:
    answer = rig.post(f"{rig.new_list()}/columns", text("Extra", defaultValue=None))
    expect(answer.status_code >= 400, f"answered {answer.status_code}")
    same(error(answer).get("message"), "General exception while processing", "message")


@asks("COL-DEFAULT-APPLIED")
def default_applied(rig: Rig) -> None:
    path = rig.new_list(text("Extra", defaultValue={"value": "preset"}))
    item = rig.add(path, Title="a")
    same(rig.read(path, item["id"]).get("Extra"), "preset", "fields.Extra")


@asks("COL-TYPE-FIXED")
def type_fixed(rig: Rig) -> None:
    path = rig.new_list(text("Extra"))
    column = _column(rig, path, "Extra")
    refused(rig.patch(f"{path}/columns/{column['id']}", {"number": {}}), code_is="invalidRequest")
    same(sorted(FACETS & set(_column(rig, path, "Extra"))), ["text"], "facets")


@asks("VAL-BOOLEAN-ABSENT")
def boolean_absent(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    expect("Flag" not in rig.read(rig.every(), item["id"]), "Flag is in fields")


@asks("VAL-PERSON-STRING")
def person_string(rig: Rig) -> None:
    person = rig.person()
    item = rig.add(rig.every(), WhoLookupId=int(person))
    same(rig.read(rig.every(), item["id"]).get("WhoLookupId"), person, "WhoLookupId")


@asks("VAL-PERSON-MULTI")
def person_multi(rig: Rig) -> None:
    person = rig.person()
    fields = {"WhosLookupId@odata.type": "Collection(Edm.String)", "WhosLookupId": [person]}
    answer = rig.post(f"{rig.every()}/items", {"fields": fields})
    if answer.status_code == 400:
        raise Unasked("an array of people is not accepted here")
    seen: Any = rig.read(rig.every(), status(answer, 201).json()["id"]).get("Whos")
    expect(isinstance(seen, list) and len(seen) == 1, f"Whos {seen!r}")
    expect({"LookupId", "LookupValue", "Email"} <= set(seen[0]), f"members {sorted(seen[0])}")
    same(seen[0]["LookupId"], int(person), "LookupId")


@asks("LIST-CREATE-NEEDS-TITLE")
def create_needs_title(rig: Rig) -> None:
    refused(_create(rig, list={"template": "genericList"}), code_is="invalidRequest")


@asks("LIST-NO-ITEM-COUNT")
def no_item_count(rig: Rig) -> None:
    body = status(rig.get(rig.every()), 200).json()
    names = {name.lower() for name in (*body, *body["list"])}
    expect(not {"itemcount", "count"} & names, f"members {sorted(names)}")


@asks("LIST-BORN-WITH-TITLE")
def born_with_title(rig: Rig) -> None:
    title = _column(rig, rig.new_list(), "Title")
    same(title["readOnly"], False, "readOnly")
    expect("text" in title, f"members {sorted(title)}")


@asks("COL-DELETE")
def column_delete(rig: Rig) -> None:
    path = rig.new_list(text("Extra"))
    status(rig.delete(f"{path}/columns/{_column(rig, path, 'Extra')['id']}"), 204)
    names = {one["name"] for one in status(rig.get(f"{path}/columns"), 200).json()["value"]}
    expect("Extra" not in names, "the column is still listed")


@asks("COL-DELETE-DROPS-VALUES")
def delete_drops_values(rig: Rig) -> None:
    path = rig.new_list(text("Extra"))
    item = rig.add(path, Extra="old")
    rig.delete(f"{path}/columns/{_column(rig, path, 'Extra')['id']}")
    made = rig.post(f"{path}/columns", text("Extra"))
    if made.status_code != 201:
        raise Unasked("the column could not be made again")
    expect("Extra" not in rig.read(path, item["id"]), "the old value is back")


@asks("COL-ONE-FACET")
def one_facet(rig: Rig) -> None:
    refused(rig.post(f"{rig.new_list()}/columns", text("Extra", number={})), code_is="invalidRequest")


@asks("COL-SYSTEM-READ-ONLY")
def system_read_only(rig: Rig) -> None:
    seen = {one["name"]: one.get("readOnly") for one in status(rig.get(f"{rig.every()}/columns"), 200).json()["value"]}
    wanted = dict.fromkeys(("ID", "Created", "Modified", "Author", "Editor"), True)
    same({name: seen.get(name) for name in wanted}, wanted, "readOnly of the system columns")


@asks("COL-SYSTEM-KEPT")
def system_kept(rig: Rig) -> None:
    path = rig.new_list()
    answer = rig.delete(f"{path}/columns/{_column(rig, path, 'Created')['id']}")
    expect(400 <= answer.status_code < 500, f"answered {answer.status_code}")
    _column(rig, path, "Created")


@asks("COL-CHECKBOXES-MULTI")
def checkboxes_multi(rig: Rig) -> None:
    path = rig.new_list({"name": "Picks", "choice": {"choices": ["red", "green"], "displayAs": "checkBoxes"}})
    item = rig.add(path, **{"Picks@odata.type": "Collection(Edm.String)", "Picks": ["red", "green"]})
    seen = rig.read(path, item["id"])["Picks"]
    expect(isinstance(seen, list) and sorted(seen) == ["green", "red"], f"Picks {seen!r}")


@asks("LIST-FILTER-TITLE")
def filter_title(rig: Rig) -> None:
    path = rig.new_list(title=(title := rig.title()))
    rig.new_list()
    found = status(rig.get(f"{rig.root}/lists?$filter=displayName eq '{title}'"), 200).json()["value"]
    same([one["id"] for one in found], [path.rpartition("/")[2]], "ids")


@asks("LIST-ITEMS-ON-EXPAND")
def items_on_expand(rig: Rig) -> None:
    path = rig.new_list()
    rig.add(path, Title="a")
    seen = status(rig.get(f"{path}?$expand=items(expand=fields(select=Title))"), 200).json()
    same([one.get("fields", {}).get("Title") for one in seen["items"]], ["a"], "titles")


@asks("LIST-SELECT")
def select(rig: Rig) -> None:
    seen = status(rig.get(f"{rig.every()}?$select=id,displayName"), 200).json()
    same({key for key in seen if not key.startswith("@")}, {"id", "displayName"}, "members")
