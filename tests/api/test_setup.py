"""Setting up through the API, and what is refused on the way: a sentence each, all problems at once."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.api.world import PASSWORD, World

pytestmark = pytest.mark.slow


def test_a_database_is_registered_tested_and_introspected(world: World) -> None:
    instance = world.instance()

    tested = world.post(f"/database-instances/{instance}/test")
    (seen,) = world.post(f"/database-instances/{instance}/introspect", {"schema": "app", "table": "things"})["tables"]
    (again,) = world.post(f"/database-instances/{instance}/introspect", {"schema": "app"})["tables"]

    assert (tested["health"], tested["secret"]) == ("HEALTHY", "sealed")
    assert tested["health_checked_at"] is not None
    assert (seen["primary_key"], seen["changed"], again["changed"]) == (["id"], True, False)
    assert world.get(f"/database-instances/{instance}/tables") == [{"schema": "app", "table": "things"}]


def test_a_wrong_password_and_a_host_that_is_not_listed_are_said_in_a_sentence(world: World) -> None:
    wrong = world.instance(name="wrong", secret={"value": "not-the-password"})
    private = world.instance(name="private", host="10.1.2.3")

    refused = world.post(f"/database-instances/{wrong}/test")
    outside = world.post(f"/database-instances/{private}/test")

    assert refused["health"] == "DEGRADED"
    assert "password" in refused["health_details"]["problem"]
    assert outside["health_details"]["code"] == "host_not_allowed"
    assert "SYNCBRIDGE_ALLOWED_HOSTS" in outside["health_details"]["problem"]
    assert (
        world.refused("POST", f"/database-instances/{private}/introspect", {}, status=422)["code"] == "host_not_allowed"
    )


def test_a_secret_by_reference_is_resolved_where_it_is_used(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUSINESS_DATABASE", PASSWORD)
    world = make_world()
    known = world.instance(secret={"reference": "env:BUSINESS_DATABASE"})
    missing = world.instance(name="other", secret={"reference": "env:NOT_THERE"})

    assert world.post(f"/database-instances/{known}/test")["health"] == "HEALTHY"
    unresolved = world.post(f"/database-instances/{missing}/test")
    assert "NOT_THERE" in unresolved["health_details"]["problem"]
    assert unresolved["secret"] == "env:NOT_THERE"


def test_provisioning_twice_changes_nothing(world: World) -> None:
    definition = world.define()["id"]
    planned = world.post(f"/sync-definitions/{definition}/plan")

    first = world.post(f"/sync-definitions/{definition}/provision")
    second = world.post(f"/sync-definitions/{definition}/provision")

    assert planned["counts"]["create"] == 12
    assert (first["created"], second["created"], second["changes"]) == (True, False, [])
    assert first["version"] == second["version"]


def test_activation_names_the_right_that_is_missing_at_the_source(world: World) -> None:
    definition = world.define()["id"]
    world.post(f"/sync-definitions/{definition}/provision")
    world.sql(f"revoke select on app.things from {world.role}")

    problem = world.refused("POST", f"/sync-definitions/{definition}/activate", {}, status=422)

    assert "grant select" in problem["detail"].lower()
    assert world.get(f"/sync-definitions/{definition}")["state"] == "DRAFT"


def test_activation_names_the_zone_that_is_not_the_sites(world: World) -> None:
    world.sql("alter table app.things add column due date")
    fields = [{"source_column_name": "name", "target_column_name": "Title"}, {"source_column_name": "due"}]
    definition = world.define(field_mappings=fields, site_zone="Asia/Tokyo")["id"]
    world.post(f"/sync-definitions/{definition}/provision")

    problem = world.refused("POST", f"/sync-definitions/{definition}/activate", {}, status=422)

    assert (
        "days begin at 23:00 UTC in January and at 22:00 UTC in July, and in Asia/Tokyo they do not"
        in problem["detail"]
    )
    world.change(definition, site_zone="Europe/Berlin")
    assert world.post(f"/sync-definitions/{definition}/activate")["state"] == "ACTIVE"


def test_a_definition_without_a_list_is_not_activated_and_a_draft_does_not_run(world: World) -> None:
    definition = world.define()["id"]

    problem = world.refused("POST", f"/sync-definitions/{definition}/activate", {}, status=422)

    assert problem["code"] == "not_provisioned"
    with pytest.raises(Exception, match="DRAFT"):
        world.start(definition)


def test_two_definitions_on_one_list_are_refused(world: World) -> None:
    world.live()
    second = world.define(name="Second")["id"]

    problem = world.refused("POST", f"/sync-definitions/{second}/provision", status=422)

    assert problem["code"] == "list_taken"


def test_a_list_of_others_and_a_document_library_are_refused_with_words(world: World) -> None:
    site = world.site(world.connection())
    for name, template in (("Documents", "documentLibrary"), ("Theirs", "genericList")):
        made = world.sim(
            "POST", "/_sim/people/lists", {"site": site, "displayName": name, "list": {"template": template}}
        )
        if template == "genericList":
            world.sim("POST", f"/_sim/people/lists/{made['id']}/items", {"fields": {"Title": "theirs"}})
    library = world.define(name="Documents", list_name="Documents")["id"]
    foreign = world.define(name="Theirs", list_name="Theirs")["id"]

    refused = world.refused("POST", f"/sync-definitions/{library}/provision", status=422)
    mixed = world.refused("POST", f"/sync-definitions/{foreign}/provision", status=422)

    assert (refused["code"], mixed["code"]) == ("unusable_list", "list_not_empty")
    assert "library" in refused["detail"]


def test_a_table_without_a_key_is_refused_and_all_problems_are_said_at_once(world: World) -> None:
    world.sql("create table app.keyless (a integer, b text)")
    world.sql(f"grant select on app.keyless to {world.role}")

    keyless = world.refused(
        "POST", "/sync-definitions", world.body(source_table_name="keyless", field_mappings=[]), status=422
    )
    many = world.refused(
        "POST",
        "/sync-definitions",
        world.body(schedule="now and then", row_filter="qty >", site_zone="Mars/Base", cursor_column="none"),
        status=422,
    )

    assert "key" in keyless["detail"]
    assert len(many["problems"]) >= 4
    assert world.get("/sync-definitions") == []


def test_a_paused_field_that_is_mapped_to_another_column_goes_on_there(world: World) -> None:
    definition = world.live()
    world.run(definition)
    world.sql("alter table app.things rename column note to remark")
    world.sql("update app.things set qty = 100, remark = 'new' where id = 1")
    run = world.run(definition)
    assert run["status"] == "COMPLETED"
    assert any("note is gone" in note for note in run["notes"])
    fields = world.get(f"/sync-definitions/{definition}/paused-fields")
    assert [(field["source_column_name"], field["paused"]["seen_by"]) for field in fields] == [("note", "run")]
    refused = world.refused("POST", f"/field-mappings/{fields[0]['id']}/resume", status=409)
    assert "stays paused" in refused["detail"]
    first = world.items(definition)["thing 1"]["fields"]
    assert (first["qty"], first["note"]) == (100, "note 1")
    world.sql("alter table app.things add column note text")
    resumed = world.post(f"/field-mappings/{fields[0]['id']}/resume")
    assert resumed["run"]["starts"] == "NEXT_TICK", "no queue takes hints here"
    world.sql("alter table app.things drop column note")
    world.run(definition)
    fields = world.get(f"/sync-definitions/{definition}/paused-fields")
    world.call(
        "PUT",
        f"/field-mappings/{fields[0]['id']}",
        {"source_column_name": "remark", "target_column_name": fields[0]["target_column_name"]},
    )
    assert world.get(f"/sync-definitions/{definition}/paused-fields") == []
    world.run(definition)
    assert world.items(definition)["thing 1"]["fields"]["note"] == "new"


def test_a_definition_is_deactivated_then_deleted_and_its_name_is_free_again(world: World) -> None:
    definition = world.live()
    world.run(definition)

    early = world.refused("DELETE", f"/sync-definitions/{definition}", status=422)
    world.post(f"/sync-definitions/{definition}/deactivate", {"reason": "done"})
    said = world.call("DELETE", f"/sync-definitions/{definition}", ledger="forget", runs="forget")

    assert "deactivate" in early["detail"].lower()
    assert said["state"] == "DELETED"
    assert "Things" in said["list"]
    assert world.metastore("select count(*) from syncbridge.sync_ledger") == [(0,)]
    assert world.get("/runs") == []
    assert world.get("/sync-definitions") == []
    assert [kept["id"] for kept in world.get("/sync-definitions", deleted=True)] == [definition]
    world.define(list_name="Things again")
    for path in ("activate", "provision"):
        world.refused("POST", f"/sync-definitions/{definition}/{path}", {}, status=409 if path == "provision" else 422)
    world.refused("POST", f"/ops/sync/{definition}/backfill", {}, status=409)


def test_deleting_keeps_ledger_and_runs_unless_told_otherwise(world: World) -> None:
    definition = world.live()
    run = world.run(definition)
    world.post(f"/sync-definitions/{definition}/deactivate")

    said = world.call("DELETE", f"/sync-definitions/{definition}")

    assert "kept" in said["ledger"]
    assert "kept" in said["runs"]
    assert world.seen(run["id"])["created"] == 12
    assert world.metastore("select count(*) from syncbridge.sync_ledger") == [(12,)]


def test_changes_are_audited_with_who_and_what_and_without_secrets(world: World) -> None:
    definition = world.live()

    actions = [(entry["subject_kind"], entry["action"]) for entry in world.get("/audit")]
    of_one = world.get("/audit", subject_id=definition)

    assert ("database_instance", "added") in actions
    assert ("sharepoint_connection", "added") in actions
    assert [entry["action"] for entry in of_one] == ["state", "changed", "added"]
    assert {entry["actor"] for entry in of_one} == {"function key"}


def test_names_that_are_taken_and_things_in_use_are_conflicts(world: World) -> None:
    body = world.body()
    world.post("/sync-definitions", body, expect=201)

    assert "named" in world.refused("POST", "/sync-definitions", body, status=409)["detail"]
    assert "named" in world.refused("POST", "/database-instances", world.instance_body(), status=409)["detail"]
    assert (
        "source" in world.refused("DELETE", f"/database-instances/{body['source_instance_id']}", status=409)["detail"]
    )
    path = f"/sharepoint-connections/{body['sharepoint_connection_id']}"
    assert "target" in world.refused("DELETE", path, status=409)["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/database-instances/{id}",
        "/database-instances/{id}/tables",
        "/sharepoint-connections/{id}",
        "/sharepoint-connections/{id}/sites",
        "/sync-definitions/{id}",
        "/sync-definitions/{id}/versions",
        "/sync-definitions/{id}/backlog",
        "/sync-definitions/{id}/parked",
        "/sync-definitions/{id}/awaiting-approval",
        "/sync-definitions/{id}/field-mappings",
        "/field-mappings/{id}",
        "/runs/{id}",
        "/runs/{id}/failures",
        "/conflicts?definition_id={id}",
        "/holds?definition_id={id}",
    ],
)
def test_what_is_not_there_is_not_found(world: World, path: str) -> None:
    assert world.refused("GET", path.format(id=uuid4()), status=404)["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/database-instances", {"name": "x", "surprise": 1}),
        ("POST", "/database-instances", {"name": "x\x00y", "host": "h", "db_name": "d", "db_user": "u"}),
        ("POST", "/database-instances", {"name": "x\ny", "host": "h", "db_name": "d", "db_user": "u"}),
        ("POST", "/database-instances", {"name": "x", "host": "a,b", "db_name": "d", "db_user": "u"}),
        ("POST", "/database-instances", {"name": "x", "host": "/var/run", "db_name": "d", "db_user": "u"}),
        ("POST", "/database-instances", {"name": "x", "host": "h", "port": 10**30, "db_name": "d", "db_user": "u"}),
        ("POST", "/database-instances", {"name": "x", "host": "h", "db_name": "d\x00", "db_user": "u"}),
        ("POST", "/database-instances", [1, 2]),
        ("POST", "/sharepoint-connections", {"name": "x", "tenant_id": "../..", "client_id": "c", "auth_method": "SECRET"}),
        (
            "POST",
            "/sharepoint-connections",
            {"name": "x", "tenant_id": "t", "client_id": "c", "auth_method": "MANAGED_IDENTITY", "licence_count": 10**12},
        ),
        (
            "POST",
            "/sharepoint-connections",
            {"name": "x", "tenant_id": "t", "client_id": "c", "auth_method": "MANAGED_IDENTITY", "user_agent": "a\r\nb: c"},
        ),
        (
            "POST",
            "/sharepoint-connections",
            {
                "name": "x",
                "tenant_id": "t",
                "client_id": "c",
                "auth_method": "MANAGED_IDENTITY",
                "cloud": "CUSTOM",
                "graph_url": "http://169.254.169.254",
                "login_url": "http://169.254.169.254",
            },
        ),
        ("POST", "/sync-definitions", {"name": "x"}),
        ("GET", "/runs/not-a-uuid", None),
        ("GET", "/runs?limit=100000", None),
        ("GET", "/audit?subject_id=%00", None),
        ("POST", "/ops/sync/..%2f..%2fadmin/backfill", {}),
    ],
)  # fmt: skip
def test_requests_that_make_no_sense_are_refused_with_a_problem(
    world: World, method: str, path: str, body: Any
) -> None:
    answer = world.client.request(method, f"/api/v1{path}", json=body)

    assert answer.status_code in (400, 404, 405, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_a_body_that_is_too_large_is_refused(world: World) -> None:
    answer = world.client.post("/api/v1/database-instances", content=b'{"name": "' + b"x" * (2 << 20) + b'"}')

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_hostile_site_ids_never_leave_their_place_in_a_url(world: World) -> None:
    connection = world.connection()

    for site in ("..", "a,b,c/../../x", "..%2f..%2fusers", "x?y", "x%23y", "'; drop table--"):
        answer = world.client.get(f"/api/v1/sharepoint-connections/{connection}/sites/{site}/lists")
        assert 400 <= answer.status_code < 500, (site, answer.text)


def test_sql_in_names_is_a_name_that_is_not_there(world: World) -> None:
    instance = world.instance()
    name = "things; drop table app.things; --"

    found = world.post(f"/database-instances/{instance}/introspect", {"schema": "app", "table": name})
    refused = world.refused("POST", "/sync-definitions", world.body(source_table_name=name), status=404)

    assert found == {"tables": []}
    assert refused["detail"]
    assert world.sql("select count(*) from app.things") == [(12,)]


def test_no_secret_and_no_row_value_leaves_through_an_answer_a_log_or_the_audit(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canaries = ["C4N4RY-row-name", "C4N4RY-row-note", "C4N4RY-sealed", PASSWORD, world.tenant.client_secret]
    world.sql(
        "update app.things set name = 'C4N4RY-row-name' || repeat('x', 300), note = 'C4N4RY-row-note' where id = 1"
    )
    definition = world.live()
    world.run(definition)
    wrong = world.instance(name="wrong", secret={"value": "C4N4RY-sealed"})
    world.post(f"/database-instances/{wrong}/test")
    world.refused("POST", "/database-instances", world.instance_body(port="C4N4RY-sealed"), status=422)
    world.refused(
        "POST", "/database-instances", world.instance_body(secret={"value": {"x": "C4N4RY-sealed"}}), status=422
    )
    for path in ("/database-instances", "/sharepoint-connections", "/sync-definitions", "/audit", "/runs"):
        world.get(path)
    for path in ("versions", "parked", "backlog", "field-mappings"):
        world.get(f"/sync-definitions/{definition}/{path}")
    world.answers.append(world.client.get("/api/openapi.json").text)
    world.answers.append(world.client.get("/api/docs").text)

    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    for canary in canaries:
        assert not [answer[:500] for answer in world.answers if canary in answer], canary
        assert canary not in logged, canary


def test_an_unexpected_error_is_a_problem_and_its_message_stays_out_of_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("C4N4RY of a row")

    monkeypatch.setattr(type(world.engine.stores.instances), "list", broken)

    problem = world.refused("GET", "/database-instances", status=500)

    assert problem["code"] == "internal"
    assert "ValueError at test_setup.py" in caplog.text
    assert "C4N4RY" not in caplog.text + str(problem)


def test_the_document_has_every_route_and_the_start_of_a_run(world: World) -> None:
    document = world.client.get("/api/openapi.json").json()

    assert "post" in document["paths"]["/api/v1/ops/sync/{definition_id}"]
    assert document["paths"]["/api/v1/ops/sync/{definition_id}"]["post"]["responses"]["202"]
    assert document["paths"]["/api/v1/ops/ingress/{definition_id}"]["post"]["responses"]["202"]
    page = world.client.get("/api/docs")
    assert (page.status_code, "default-src 'none'" in page.headers["content-security-policy"]) == (200, True)
    assert "/api/v1/ops/sync/{definition_id}/backfill" in page.text


def test_health_is_ok_while_the_metastore_answers(world: World) -> None:
    answer = world.client.get("/api/health")

    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
