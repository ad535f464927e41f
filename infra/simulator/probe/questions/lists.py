"""Questions about lists."""

from typing import Any

from infra.simulator.probe.ask import (
    GUID,
    asks,
    code,
    expect,
    looks_like,
    refused,
    same,
    status,
)
from infra.simulator.probe.questions.columns import column_of
from infra.simulator.probe.rig import Rig, text


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
    title = column_of(rig, rig.new_list(), "Title")
    same(title["readOnly"], False, "readOnly")
    expect("text" in title, f"members {sorted(title)}")


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
