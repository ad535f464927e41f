"""What people do: edits without an app, a cost or a throttle; the page that shows a list as a grid."""

import re

from tests.simulator.client import Client

SELECTED = ("5afe0000-0000-4000-8000-00000000005e", "simulator-selected-secret")


def _of(path: str) -> str:
    return f"people/lists/{path.rpartition('/')[2]}"


def test_a_persons_edit_costs_nothing_and_names_the_person(sim: Client) -> None:
    path = sim.new_list()
    sim.add(path, Title="a")
    before = sim.control("GET", "budget")

    seen = sim.control("PATCH", f"{_of(path)}/items/1?person=Adele%20Vance", {"Title": "b"})

    assert sim.control("GET", "budget") == before
    assert (seen["editor"], seen["author"], seen["version"]) == ("Adele Vance", "SyncBridge", 2)
    item = sim.graph("GET", f"{path}/items/1?$expand=fields").json()
    assert item["lastModifiedBy"]["user"]["displayName"] == "Adele Vance"
    assert item["fields"]["EditorLookupId"] == "7"
    assert "AppEditorLookupId" not in item["fields"]
    assert item["fields"]["AppAuthorLookupId"] == "20"


def test_people_work_while_every_app_is_throttled(sim: Client) -> None:
    path = sim.new_list()
    sim.control("POST", "tenants", {"name": "contoso", "ru_per_minute": 1})
    assert sim.graph("GET", f"{path}/items").status_code == 429

    sim.control("POST", f"{_of(path)}/items", {"fields": {"Title": "by hand"}})

    assert sim.titles(path) == ["by hand"]


def test_people_add_find_delete_and_restore(sim: Client) -> None:
    path = sim.new_list()
    for title in ("ant", "bee", "beetle"):
        sim.control("POST", f"{_of(path)}/items", {"Title": title})

    found = sim.control("GET", f"{_of(path)}/items?q=BEE&top=1&skip=1")
    assert (found["total"], [item["fields"]["Title"] for item in found["items"]]) == (2, ["beetle"])

    sim.control("DELETE", f"{_of(path)}/items/2")
    assert [item["id"] for item in sim.control("GET", f"{_of(path)}/recycle-bin")["items"]] == [2]
    assert sim.control("POST", f"{_of(path)}/recycle-bin/2/restore")["fields"]["Title"] == "bee"
    assert sim.titles(path) == ["ant", "bee", "beetle"]


def test_an_item_number_that_no_list_can_have_is_not_found(sim: Client) -> None:
    path = sim.new_list()
    for number in ("99999999999999999999", "4294967297", "0"):
        sim.control("POST", f"{_of(path)}/recycle-bin/{number}/restore", status=404)
        sim.control("GET", f"{_of(path)}/items/{number}", status=404)
        assert sim.graph("GET", f"{path}/items/{number}").status_code == 404


def test_a_restored_item_that_would_break_a_unique_column_stays_in_the_bin(sim: Client) -> None:
    path = sim.new_list("Staff", {"name": "Key", "text": {}, "indexed": True, "enforceUniqueValues": True})
    sim.add(path, Title="old", Key="k")
    sim.graph("DELETE", f"{path}/items/1")
    sim.add(path, Title="new", Key="k")

    sim.control("POST", f"{_of(path)}/recycle-bin/1/restore", status=409)

    assert sim.titles(path) == ["new"]


def test_an_item_moved_by_a_person_has_a_new_id_elsewhere_and_is_in_the_bin_here(sim: Client) -> None:
    path, other = sim.new_list("Staff", {"name": "Age", "number": {}}), sim.new_list("Alumni")
    sim.add(path, Title="a", Age=30)
    target = other.rpartition("/")[2]

    copied = sim.control("POST", f"{_of(path)}/items/1/copy", {"list": target})
    moved = sim.control("POST", f"{_of(path)}/items/1/move", {"list": target})

    assert (copied["id"], moved["id"]) == (1, 2)
    assert sim.titles(path) == []
    assert sim.titles(other) == ["a", "a"]
    assert sim.graph("GET", f"{path}/items/1").status_code == 404


def test_people_change_columns_and_a_retyped_one_is_empty(sim: Client) -> None:
    path = sim.new_list("Staff", {"name": "Age", "number": {}}, {"name": "State", "choice": {"choices": ["on"]}})
    sim.add(path, Title="a", Age=30)

    sim.control("PATCH", f"{_of(path)}/columns/State", {"displayName": "Status", "choice": {"choices": ["on", "off"]}})
    sim.control("POST", f"{_of(path)}/columns/Age/retype", {"text": {}})
    sim.control("POST", f"{_of(path)}/columns", {"name": "Extra", "boolean": {}})

    columns = {column["name"]: column for column in sim.graph("GET", f"{path}/columns").json()["value"]}
    assert columns["State"]["displayName"] == "Status"
    assert columns["State"]["choice"]["choices"] == ["on", "off"]
    assert "text" in columns["Age"]
    assert "boolean" in columns["Extra"]
    assert "Age" not in sim.graph("GET", f"{path}/items/1?$expand=fields").json()["fields"]
    assert sim.control("DELETE", f"{_of(path)}/columns/Extra") is None


def test_a_list_brought_back_to_an_older_time_has_old_values_old_etags_and_dead_tokens(sim: Client) -> None:
    path = sim.new_list("Staff", {"name": "Key", "text": {}, "indexed": True, "enforceUniqueValues": True})
    sim.control("POST", "clock", {"mode": "virtual"})
    etag = sim.add(path, Title="old", Key="k")["eTag"]
    sim.add(path, Title="deleted later")
    moment = sim.control("GET", "clock")["now"]
    sim.control("POST", "clock", {"advance": 60})
    sim.graph("PATCH", f"{path}/items/1/fields", {"Title": "new", "Key": "other"})
    sim.graph("PATCH", f"{path}/items/1/fields", {"Title": "newer"})
    sim.graph("DELETE", f"{path}/items/2")
    sim.add(path, Title="made later", Key="late")
    link = sim.graph("GET", f"{path}/items/delta?token=latest").json()["@odata.deltaLink"]

    counts = sim.control("POST", f"{_of(path)}/rollback", {"to": moment})

    assert counts == {"gone": 1, "back": 1, "changed": 1}
    assert sim.titles(path) == ["old", "deleted later"]
    assert sim.graph("GET", f"{path}/items/1").json()["eTag"] == etag
    assert [entry["id"] for entry in sim.graph("GET", f"{path}/items/1/versions").json()["value"]] == ["1.0"]
    assert sim.graph("GET", link).status_code == 410
    assert sim.add(path, Title="again", Key="late")["id"] == "3"
    assert sim.graph("POST", f"{path}/items", {"fields": {"Key": "k"}}).status_code == 409


def test_a_grant_revoked_by_a_person_is_gone_with_the_next_call(sim: Client) -> None:
    token = sim.token(SELECTED)
    headers = {"Authorization": f"Bearer {token}"}
    url = f"/v1.0/sites/{sim.site}"
    assert sim.http.get(url, headers=headers).status_code == 200

    assert sim.control("POST", "people/revoke", {"site": "/sites/hr", "client_id": SELECTED[0]}) == {"revoked": 1}

    answer = sim.http.get(url, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "accessDenied")


def test_the_page_shows_a_grid_and_escapes_what_is_in_it(sim: Client) -> None:
    path = sim.new_list('<i>"list"</i>', {"name": "Note", "text": {}})
    sim.add(path, Title="<script>alert(1)</script>", Note="a & b")
    sim.add(path, Title='"><script>alert(2)</script>')
    sim.graph("DELETE", f"{path}/items/2")
    address = f"/_sim/page/lists/{path.rpartition('/')[2]}"

    page = sim.http.get(address)

    assert "<script>" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "a &amp; b" in page.text
    assert "&lt;i&gt;&quot;list&quot;&lt;/i&gt;" in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert not re.search(r'(src|href)="https?:', page.text)
    for url in ("/_sim/", "/_sim", f"{address}/items/1", f"{address}?q=zzz"):
        shown = sim.http.get(url)
        assert shown.status_code == 200
        assert "<script>" not in shown.text
    hostile = sim.http.get(f"{address}?q=%22%3E%3Cscript%3E").text
    assert "<script>" not in hostile


def test_the_pages_forms_add_edit_delete_and_restore(sim: Client) -> None:
    path = sim.new_list("Staff", {"name": "Age", "number": {}}, {"name": "Ok", "boolean": {}})
    address = f"/_sim/page/lists/{path.rpartition('/')[2]}"

    assert sim.http.post(address, data={"Title": "a", "Age": "3", "Ok": "true"}).status_code == 303
    assert sim.http.post(f"{address}/items/1", data={"Title": "b", "Age": "", "Ok": "false"}).status_code == 303
    fields = sim.graph("GET", f"{path}/items/1?$expand=fields").json()["fields"]
    assert (fields["Title"], fields.get("Age"), fields["Ok"]) == ("b", None, False)

    assert sim.http.post(f"{address}/items/1/delete").status_code == 303
    assert sim.titles(path) == []
    assert sim.http.post(f"{address}/recycle-bin/1/restore").status_code == 303
    assert sim.titles(path) == ["b"]

    refused = sim.http.post(address, data={"Title": "x" * 300})
    assert refused.status_code == 400
    assert 'role="alert"' in refused.text


def test_a_form_from_another_site_is_refused_and_the_pages_own_is_not(sim: Client) -> None:
    path = sim.new_list()
    address = f"/_sim/page/lists/{path.rpartition('/')[2]}"

    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert sim.http.post(address, data={"Title": "a"}, headers=headers).status_code == 403
        assert sim.http.post("/_sim/reset", headers=headers).status_code == 403

    assert sim.titles(path) == []
    own = {"Origin": sim.address, "Sec-Fetch-Site": "same-origin"}
    assert sim.http.post(address, data={"Title": "a"}, headers=own).status_code == 303
