"""Questions about items, their eTags and their versions."""

from infra.simulator.probe.ask import (
    GUID,
    INSTANT,
    Unasked,
    asks,
    code,
    expect,
    looks_like,
    message,
    refused,
    same,
    status,
)
from infra.simulator.probe.rig import Rig, text


@asks("ITEM-CREATE")
def create(rig: Rig) -> None:
    body = rig.add(rig.every(), Title="made")
    expect(looks_like(body["id"], r"[1-9]\d*"), f"id {body['id']!r}")
    expect({"eTag", "createdDateTime", "webUrl", "contentType", "fields"} <= set(body), f"members {sorted(body)}")
    same(body["fields"].get("Title"), "made", "fields.Title")


@asks("ITEM-ID-NOT-REUSED")
def id_not_reused(rig: Rig) -> None:
    path = rig.new_list()
    ids = [int(rig.add(path, Title=str(number))["id"]) for number in range(3)]
    status(rig.delete(f"{path}/items/{ids[-1]}"), 204)
    ids.append(int(rig.add(path, Title="next")["id"]))
    expect(ids == sorted(set(ids)), f"ids in the order of creation, the third deleted: {ids}")


@asks("ITEM-FIELDS-ON-EXPAND")
def fields_on_expand(rig: Rig) -> None:
    path = rig.new_list()
    rig.add(path, Title="a")
    expect("fields" not in status(rig.get(f"{path}/items"), 200).json()["value"][0], "fields without $expand")
    same(status(rig.get(f"{path}/items?$expand=fields"), 200).json()["value"][0]["fields"]["Title"], "a", "Title")


@asks("ITEM-EXPAND-SELECT")
def expand_select(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a", Plain="b", Num=1)
    seen = {key for key in rig.read(rig.every(), item["id"], "Title,Num") if not key.startswith("@")}
    expect({"Title", "Num"} <= seen <= {"Title", "Num", "id"}, f"fields {sorted(seen)}")


@asks("ITEM-OPTIONS-WITHOUT-DOLLAR")
def without_dollar(rig: Rig) -> None:
    path = rig.new_list(text("Plain"))
    for title in "abc":
        rig.add(path, Title=title, Plain="x")
    page = status(rig.get(f"{path}/items?expand=fields(select=Title)&top=2"), 200).json()
    same(len(page["value"]), 2, "items with top=2")
    seen = {key for key in page["value"][0].get("fields", {}) if not key.startswith("@")}
    expect("Title" in seen and "Plain" not in seen, f"fields {sorted(seen)}")


@asks("ITEM-GET-FIELDS")
def get_fields(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a", Plain="b")
    whole = status(rig.get(f"{rig.every()}/items/{item['id']}/fields"), 200).json()
    same([whole.get("Title"), whole.get("Plain")], ["a", "b"], "Title and Plain")
    narrow = status(rig.get(f"{rig.every()}/items/{item['id']}/fields?$select=Title"), 200).json()
    expect("Title" in narrow and "Plain" not in narrow, f"fields {sorted(narrow)}")


@asks("ITEM-PATCH-FIELDS")
def patch_fields(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    answer = status(rig.patch(f"{rig.every()}/items/{item['id']}/fields", {"Title": "b"}), 200)
    same(answer.json().get("Title"), "b", "Title of the answer")
    same(rig.read(rig.every(), item["id"])["Title"], "b", "Title of a read")


@asks("ITEM-PATCH-ITEM")
def patch_item(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    status(rig.patch(f"{rig.every()}/items/{item['id']}", {"fields": {"Title": "b"}}), 200)
    same(rig.read(rig.every(), item["id"])["Title"], "b", "Title of a read")


@asks("ITEM-PATCH-KEEPS-OTHERS")
def keeps_others(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a", Plain="kept", Num=7)
    status(rig.patch(f"{rig.every()}/items/{item['id']}/fields", {"Title": "b"}), 200)
    seen = rig.read(rig.every(), item["id"])
    same([seen.get("Title"), seen.get("Plain"), seen.get("Num")], ["b", "kept", seen.get("Num")], "fields")
    expect(seen.get("Num") == 7, f"Num {seen.get('Num')!r}")


@asks("ITEM-NULL-CLEARS")
def null_clears(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a", Plain="b")
    status(rig.patch(f"{rig.every()}/items/{item['id']}/fields", {"Plain": None}), 200)
    expect(rig.read(rig.every(), item["id"]).get("Plain") is None, "Plain has a value after null")


@asks("ITEM-NULLS-ABSENT")
def nulls_absent(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a", Plain="b")
    status(rig.patch(f"{rig.every()}/items/{item['id']}/fields", {"Plain": None}), 200)
    seen = rig.read(rig.every(), item["id"])
    expect("Plain" not in seen and "Moment" not in seen, "columns without a value are in fields")


@asks("ITEM-UNKNOWN-FIELD")
def unknown_field(rig: Rig) -> None:
    path = rig.new_list()
    answer = rig.post(f"{path}/items", {"fields": {"Title": "a", "NoSuch": 1}})
    refused(answer, code_is="invalidRequest", says="Field 'NoSuch' is not recognized")
    same(status(rig.get(f"{path}/items"), 200).json()["value"], [], "items")


@asks("ITEM-CREATED-NOT-SETTABLE")
def created_not_settable(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    rig.patch(f"{rig.every()}/items/{item['id']}/fields", {"Created": "2001-02-03T04:05:06Z"})
    seen = status(rig.get(f"{rig.every()}/items/{item['id']}?$expand=fields"), 200).json()
    expect("2001-02-03" not in seen["createdDateTime"] + seen["fields"]["Created"], "Created was set")


@asks("ITEM-SYSTEM-FIELDS")
def system_fields(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    wanted = {
        "id",
        "ContentType",
        "Created",
        "Modified",
        "AuthorLookupId",
        "EditorLookupId",
        "_UIVersionString",
        "Attachments",
        "ItemChildCount",
        "FolderChildCount",
    }
    seen = rig.read(rig.every(), item["id"])
    expect(wanted <= set(seen), f"missing {sorted(wanted - set(seen))}")
    same([seen["id"], seen["ItemChildCount"]], [item["id"], "0"], "id and ItemChildCount")


@asks("ITEM-APP-AUTHOR")
def app_author(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    seen = status(rig.get(f"{rig.every()}/items/{item['id']}?$expand=fields"), 200).json()
    same(seen["createdBy"].get("application", {}).get("id"), rig.login.client_id, "createdBy.application.id")
    expect("AppAuthorLookupId" in seen["fields"], "no AppAuthorLookupId")


@asks("ITEM-SDK-ANNOTATIONS")
def sdk_annotations(rig: Rig) -> None:
    fields = {"@odata.type": "#microsoft.graph.fieldValueSet", "Title": "a"}
    body = {"@odata.type": "#microsoft.graph.listItem", "fields": fields}
    item = status(rig.post(f"{rig.every()}/items", body), 201).json()
    expect("@odata.type" not in rig.read(rig.every(), item["id"]), "@odata.type was stored")


@asks("ITEM-WHOLE-SECONDS")
def whole_seconds(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    seen = status(rig.get(f"{rig.every()}/items/{item['id']}?$expand=fields"), 200).json()
    times = [
        seen["createdDateTime"],
        seen["lastModifiedDateTime"],
        seen["fields"]["Created"],
        seen["fields"]["Modified"],
    ]
    expect(all(looks_like(one, INSTANT) for one in times), f"times {times}")


@asks("ITEM-DELETE")
def delete(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    path = f"{rig.every()}/items/{item['id']}"
    same(status(rig.delete(path), 204).content, b"", "body")
    same(code(status(rig.get(path), 404)), "itemNotFound", "error.code of a read")
    same(code(status(rig.delete(path), 404)), "itemNotFound", "error.code of a second delete")


@asks("ITEM-UNIQUE-VIOLATION")
def unique_violation(rig: Rig) -> None:
    path = rig.new_list(text("UniqueKey", indexed=True, enforceUniqueValues=True))
    rig.add(path, UniqueKey="k1")
    answer = rig.post(f"{path}/items", {"fields": {"UniqueKey": "k1"}})
    same(len(status(rig.get(f"{path}/items"), 200).json()["value"]), 1, "number of items")
    same(code(status(answer, 409)), "nameAlreadyExists", "error.code")
    expect("unique" in message(answer).lower(), f"message {message(answer)!r}")


@asks("ITEM-UNIQUE-IGNORES-CASE")
def unique_case(rig: Rig) -> None:
    path = rig.new_list(text("UniqueKey", indexed=True, enforceUniqueValues=True))
    rig.add(path, UniqueKey="Abc")
    answer = rig.post(f"{path}/items", {"fields": {"UniqueKey": "aBC"}})
    expect(answer.status_code >= 400, f"answered {answer.status_code}")


@asks("ETAG-SHAPE")
def etag_shape(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    answer = status(rig.get(f"{rig.every()}/items/{item['id']}?$expand=fields"), 200)
    body = answer.json()
    expect(looks_like(body["eTag"], rf'"{GUID},1"'), f"eTag {body['eTag']!r}")
    seen = [body["@odata.etag"], body["fields"]["@odata.etag"], answer.headers.get("ETag")]
    same(seen, [body["eTag"]] * 3, "@odata.etag, fields' @odata.etag, ETag header")


def _number(etag: str) -> int:
    return int(etag.strip('"').rpartition(",")[2])


@asks("ETAG-GROWS")
def etag_grows(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    path, numbers = f"{rig.every()}/items/{item['id']}", [_number(item["eTag"])]
    for title in ("b", "b"):
        status(rig.patch(f"{path}/fields", {"Title": title}), 200)
        numbers.append(_number(status(rig.get(path), 200).json()["eTag"]))
    same(
        numbers,
        [numbers[0], numbers[0] + 1, numbers[0] + 2],
        "numbers after a change and after a write of the same value",
    )


def _stale(rig: Rig) -> tuple[str, dict[str, str]]:
    item = rig.add(rig.every(), Title="a")
    path = f"{rig.every()}/items/{item['id']}"
    current = status(rig.get(path), 200).json()["eTag"]
    status(rig.patch(f"{path}/fields", {"Title": "b"}, headers={"If-Match": current}), 200)
    return path, {"If-Match": current}


@asks("ETAG-IF-MATCH-FIELDS")
def if_match_fields(rig: Rig) -> None:
    path, headers = _stale(rig)
    status(rig.patch(f"{path}/fields", {"Title": "c"}, headers=headers), 412)
    same(status(rig.get(f"{path}/fields"), 200).json()["Title"], "b", "Title")


@asks("ETAG-IF-MATCH-ITEM")
def if_match_item(rig: Rig) -> None:
    path, headers = _stale(rig)
    status(rig.patch(path, {"fields": {"Title": "c"}}, headers=headers), 412)
    same(status(rig.get(f"{path}/fields"), 200).json()["Title"], "b", "Title")


@asks("ETAG-IF-MATCH-DELETE")
def if_match_delete(rig: Rig) -> None:
    path, headers = _stale(rig)
    status(rig.delete(path, headers=headers), 412)
    status(rig.get(path), 200)


@asks("ETAG-IF-MATCH-STAR")
def if_match_star(rig: Rig) -> None:
    path, _ = _stale(rig)
    status(rig.patch(f"{path}/fields", {"Title": "c"}, headers={"If-Match": "*"}), 200)


@asks("ETAG-LAST-WRITER-WINS")
def last_writer_wins(rig: Rig) -> None:
    path, _ = _stale(rig)
    status(rig.patch(f"{path}/fields", {"Title": "c"}), 200)
    same(status(rig.get(f"{path}/fields"), 200).json()["Title"], "c", "Title")


def _versions(rig: Rig, path: str) -> list[str]:
    return [str(one["id"]) for one in status(rig.get(f"{path}/versions"), 200).json()["value"]]


def _three_versions(rig: Rig) -> tuple[str, list[str]]:
    item = rig.add(rig.every(), Title="first")
    path = f"{rig.every()}/items/{item['id']}"
    for title in ("second", "third"):
        status(rig.patch(f"{path}/fields", {"Title": title}), 200)
    return path, _versions(rig, path)


@asks("VER-EACH-WRITE")
def each_write(rig: Rig) -> None:
    _, versions = _three_versions(rig)
    expect(len(versions) == 3 and versions == sorted(versions, key=float, reverse=True), f"versions {versions}")


@asks("VER-FIELDS")
def version_fields(rig: Rig) -> None:
    path, versions = _three_versions(rig)
    if len(versions) < 3:
        raise Unasked("this list keeps no versions")
    oldest = status(rig.get(f"{path}/versions/{versions[-1]}/fields"), 200).json()
    same(oldest.get("Title"), "first", "Title of the oldest version")


@asks("VER-RESTORE")
def version_restore(rig: Rig) -> None:
    path, versions = _three_versions(rig)
    if len(versions) < 3:
        raise Unasked("this list keeps no versions")
    status(rig.post(f"{path}/versions/{versions[-1]}/restoreVersion"), 204)
    same(status(rig.get(f"{path}/fields"), 200).json()["Title"], "first", "Title after the restore")
    same(len(_versions(rig, path)), 4, "number of versions after the restore")


@asks("VER-UI-VERSION")
def ui_version(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    same(rig.read(rig.every(), item["id"])["_UIVersionString"], "1.0", "_UIVersionString")
    status(rig.patch(f"{rig.every()}/items/{item['id']}/fields", {"Title": "b"}), 200)
    same(rig.read(rig.every(), item["id"])["_UIVersionString"], "2.0", "_UIVersionString after a write")


@asks("ITEM-ID-ASCENDS")
def id_ascends(rig: Rig) -> None:
    ids = [rig.add(rig.every(), Title="a")["id"] for _ in range(3)]
    expect(all(looks_like(one, r"[1-9]\d*") for one in ids), f"ids {ids}")
    same(ids, sorted(ids, key=int), "ids in the order of creation")


@asks("ITEM-SELECT")
def select(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    seen = status(rig.get(f"{rig.every()}/items/{item['id']}?$select=id,webUrl"), 200).json()
    members = {key for key in seen if not key.startswith("@")}
    same(members, {"id", "webUrl"}, "members")


@asks("ITEM-DISPLAY-NAME-IS-NO-KEY")
def display_name_is_no_key(rig: Rig) -> None:
    path = rig.new_list(text("Extra"))
    columns = status(rig.get(f"{path}/columns"), 200).json()["value"]
    column = next(one["id"] for one in columns if one["name"] == "Extra")
    status(rig.patch(f"{path}/columns/{column}", {"displayName": "Shown"}), 200)
    refused(rig.post(f"{path}/items", {"fields": {"Shown": "a"}}), code_is="invalidRequest", says="not recognized")


@asks("ITEM-WEB-URL")
def web_url(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    seen = status(rig.get(f"{rig.every()}/items/{item['id']}"), 200).json()["webUrl"]
    expect(looks_like(seen, rf".*/Lists/[^/]+/{item['id']}_\.000"), f"webUrl {seen}")


@asks("ITEM-SHAREPOINT-IDS")
def sharepoint_ids(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    path = f"{rig.every()}/items/{item['id']}"
    expect("sharepointIds" not in status(rig.get(path), 200).json(), "sharepointIds without $select")
    ids = status(rig.get(f"{path}?$select=id,sharepointIds"), 200).json()["sharepointIds"]
    same(ids.get("listItemId"), item["id"], "listItemId")
    same(ids.get("listId", "").lower(), rig.every().rpartition("/")[2].lower(), "listId")


@asks("ETAG-STARTS-AT-ONE")
def etag_starts_at_one(rig: Rig) -> None:
    same(_number(rig.add(rig.every(), Title="a")["eTag"]), 1, "number of the eTag")


@asks("ITEM-NO-DRIVE-ITEM")
def no_drive_item(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    refused(rig.get(f"{rig.every()}/items/{item['id']}/driveItem"), code_is="invalidRequest")


@asks("ETAG-IF-MATCH-CURRENT")
def if_match_current(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    path = f"{rig.every()}/items/{item['id']}"
    status(rig.patch(f"{path}/fields", {"Title": "b"}, headers={"If-Match": item["eTag"]}), 200)
    current = status(rig.get(path), 200).json()["eTag"]
    status(rig.delete(path, headers={"If-Match": current}), 204)
