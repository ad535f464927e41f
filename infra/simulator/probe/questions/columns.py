"""Questions about columns."""

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


def column_of(rig: Rig, path: str, name: str) -> dict[str, Any]:
    for one in status(rig.get(f"{path}/columns"), 200).json()["value"]:
        if one["name"] == name:
            return dict(one)
    raise Refuted(f"column {name} is not listed")


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
        seen = column_of(rig, path, name)
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
    same(sorted(FACETS & set(column_of(rig, rig.every(), "Link"))), [], "facets")


@asks("COL-DISPLAY-NAME-FREE")
def display_name(rig: Rig) -> None:
    path = rig.new_list(text("Extra"))
    column = column_of(rig, path, "Extra")
    status(rig.patch(f"{path}/columns/{column['id']}", {"displayName": "Something else"}), 200)
    same(column_of(rig, path, "Extra")["displayName"], "Something else", "displayName")
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
    column = column_of(rig, path, "Extra")
    answer = rig.patch(f"{path}/columns/{column['id']}", {"enforceUniqueValues": True})
    expect(400 <= answer.status_code < 500, f"PATCH answered {answer.status_code}")
    same(column_of(rig, path, "Extra")["enforceUniqueValues"], False, "enforceUniqueValues")


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
    column = column_of(rig, path, "Extra")
    refused(rig.patch(f"{path}/columns/{column['id']}", {"number": {}}), code_is="invalidRequest")
    same(sorted(FACETS & set(column_of(rig, path, "Extra"))), ["text"], "facets")


@asks("COL-DELETE")
def column_delete(rig: Rig) -> None:
    path = rig.new_list(text("Extra"))
    status(rig.delete(f"{path}/columns/{column_of(rig, path, 'Extra')['id']}"), 204)
    names = {one["name"] for one in status(rig.get(f"{path}/columns"), 200).json()["value"]}
    expect("Extra" not in names, "the column is still listed")


@asks("COL-DELETE-DROPS-VALUES")
def delete_drops_values(rig: Rig) -> None:
    path = rig.new_list(text("Extra"))
    item = rig.add(path, Extra="old")
    rig.delete(f"{path}/columns/{column_of(rig, path, 'Extra')['id']}")
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
    answer = rig.delete(f"{path}/columns/{column_of(rig, path, 'Created')['id']}")
    expect(400 <= answer.status_code < 500, f"answered {answer.status_code}")
    column_of(rig, path, "Created")


@asks("COL-CHECKBOXES-MULTI")
def checkboxes_multi(rig: Rig) -> None:
    path = rig.new_list({"name": "Picks", "choice": {"choices": ["red", "green"], "displayAs": "checkBoxes"}})
    item = rig.add(path, **{"Picks@odata.type": "Collection(Edm.String)", "Picks": ["red", "green"]})
    seen = rig.read(path, item["id"])["Picks"]
    expect(isinstance(seen, list) and sorted(seen) == ["green", "red"], f"Picks {seen!r}")
