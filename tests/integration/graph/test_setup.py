"""Sites, lists, rights, health and subscriptions, as set-up and the webhooks use them."""

from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from shared.adapters.graph.admin import GraphAdmin
from shared.adapters.graph.auth import ClientSecret, token_source
from shared.adapters.graph.rights import PROBE_LIST
from shared.adapters.graph.sites import team_site
from shared.adapters.graph.subscriptions import Subscriptions
from shared.core.catalog import Health
from shared.core.days import DayColumn, probes, zone_problem
from shared.core.definition import FieldKind
from shared.core.errors import (
    ConfigurationError,
    GraphUnavailable,
    InvariantViolated,
    NotFound,
    PermissionMissing,
    SyncError,
)
from shared.core.naming import CHECK_KEY
from shared.core.problems import Severity
from shared.core.provisioning import CheckedList, ColumnPlan, ProvisionedList
from shared.core.watching import LIFE, MAX_LIFE
from tests.integration.graph.rig import COLUMNS, CONNECTION, READER, SELECTED, SYNC, TENANT, RealClock, Rig, plan

HOST = "https://contoso.sharepoint.com"


def admin(rig: Rig, app: tuple[str, str] = SYNC) -> GraphAdmin:
    return GraphAdmin(rig.client(app), CONNECTION)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (f"{HOST}/sites/hr", "/sites/hr"),
        (f"{HOST}/sites/hr/", "/sites/hr"),
        (f"{HOST}:443/sites/hr?web=1#x", "/sites/hr"),
        (f"{HOST}/sites/hr/Lists/Projects/AllItems.aspx", "/sites/hr"),
        (f"{HOST}/sites/hr/SitePages/Home.aspx", "/sites/hr"),
        (f"{HOST}/sites/hr/Shared%20Documents/Forms/AllItems.aspx", "/sites/hr"),
        (f"{HOST}/sites/hr/onboarding/Lists/X", "/sites/hr/onboarding"),
        (f"{HOST}/sites/hr/onboarding", "/sites/hr/onboarding"),
        (f"{HOST}/sites/hr/nothing/here", "/sites/hr"),
        (f"{HOST}/sites/field-team", "/sites/field-team"),
        (f"{HOST}/sites/field-team-planning", "/sites/field-team-planning"),
    ],
)
def test_a_site_is_found_by_any_url_in_it(rig: Rig, url: str, path: str) -> None:
    (found,) = admin(rig).find_sites(url=url)
    assert found.site_id == rig.sites[path]
    assert found.display_name


def test_an_endless_path_asks_only_a_few_times(rig: Rig) -> None:
    client = rig.client()
    (found,) = GraphAdmin(client, CONNECTION).find_sites(url=f"{HOST}/sites/hr" + "/x" * 500)
    assert found.site_id == rig.sites["/sites/hr"]
    assert client.requests <= 8


def test_the_root_site_is_found_by_the_bare_host(rig: Rig) -> None:
    (found,) = admin(rig).find_sites(url=HOST)
    assert found.web_url.rstrip("/") == HOST


@pytest.mark.parametrize(
    "url",
    ["", "contoso", "http://contoso.sharepoint.com/sites/hr", "https://", "https://a:b@contoso.sharepoint.com/sites/hr",
     "https://contoso.sharepoint.com:444/sites/hr", "https://contoso.sharepoint.com/sites/..%2fhr",
     "https://contoso.sharepoint.com/sites/%2e%2e/hr", "https://contoso.sharepoint.com/sites/\r\nhr", "file:///etc/passwd",
     "https://[::1", "https://contoso.sharepoint.com/" + "x" * 3000],
)  # fmt: skip
def test_what_is_no_url_of_a_site_is_refused_before_anything_is_asked(rig: Rig, url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        admin(rig).find_sites(url=url)
    assert caught.value.code == "bad_site_url"


def test_an_unknown_site_and_a_foreign_host_are_told_apart(rig: Rig) -> None:
    with pytest.raises(NotFound):
        admin(rig).find_sites(url=f"{HOST}/sites/nowhere")
    with pytest.raises(ConfigurationError) as caught:
        admin(rig).find_sites(url="https://fabrikam.sharepoint.com/sites/hr")
    assert caught.value.code == "wrong_host"


def test_sites_are_searched_by_words_unless_only_some_are_granted(rig: Rig) -> None:
    found = admin(rig).find_sites(search="Field")
    assert {one.site_id for one in found} == {rig.sites["/sites/field-team"], rig.sites["/sites/field-team-planning"]}
    with pytest.raises(PermissionMissing) as caught:
        admin(rig, SELECTED).find_sites(search="Field")
    assert "URL" in caught.value.remedy
    assert admin(rig, SELECTED).find_sites(url=f"{HOST}/sites/hr")


def test_a_site_is_asked_for_in_one_way(rig: Rig) -> None:
    for arguments in ({}, {"search": "x", "url": HOST}, {"search": "  "}, {"search": "x" * 300}):
        with pytest.raises(ConfigurationError):
            admin(rig).find_sites(**arguments)


def test_a_teams_site_is_found_by_its_group(rig: Rig) -> None:
    (found,) = admin(rig).find_sites(team=UUID("55555555-5555-5555-5555-555555555555"))
    assert found.site_id in rig.sites.values()
    with pytest.raises(InvariantViolated):
        team_site(rig.client(), CONNECTION, "../x")


def test_lists_are_an_inventory_that_says_which_cannot_be_used(rig: Rig) -> None:
    made = rig.provisioner().provision(plan())
    known = {one.list_id: one for one in admin(rig).lists(rig.site)}
    assert known[made.list_id].display_name == "Projects"
    assert GraphAdmin.refusal(known[made.list_id]) is None
    (library,) = [one for one in admin(rig).lists(rig.sites["/sites/sales"]) if one.template == "documentLibrary"]
    assert "document library" in str(GraphAdmin.refusal(library))


def test_columns_are_shown_with_their_kinds_hidden_ones_too(rig: Rig) -> None:
    made = rig.provisioner().provision(plan())
    columns = {one.name: one for one in admin(rig).columns(rig.site, made.list_id)}
    assert columns["SyncBridgeKey"].hidden
    assert (columns["amount"].kind, columns["status"].kind) == (FieldKind.NUMBER, FieldKind.CHOICE)
    assert (columns["ID"].kind, columns["Modified"].read_only) == (FieldKind.COUNTER, True)


# ---------------------------------------------------------------- rights


def own(made: ProvisionedList, zone: str | None = None) -> CheckedList:
    """With a zone, its column `due` keeps days."""
    days = None if zone is None else DayColumn(name="due", zone=ZoneInfo(zone))
    return CheckedList(list_id=made.list_id, key_column=made.key_column, days=days)


def left_over(rig: Rig) -> bool:
    return any(one["title"] == PROBE_LIST for one in rig.all_lists())


def test_an_application_with_all_rights_has_no_problem_and_leaves_nothing_behind(rig: Rig) -> None:
    assert admin(rig).check_rights(rig.site) == ()
    assert admin(rig, SELECTED).check_rights(rig.site) == ()
    assert not left_over(rig)


def test_a_reader_lacks_managing_and_with_a_list_writing(rig: Rig) -> None:
    made = rig.provisioner().provision(plan())
    unknown = admin(rig, READER).check_rights(rig.site)
    assert [(one.code, one.severity) for one in unknown] == [
        ("manage_right_missing", Severity.WARNING),
        ("write_right_unknown", Severity.WARNING),
    ]
    known = admin(rig, READER).check_rights(rig.site, own(made))
    assert [(one.code, one.severity) for one in known] == [
        ("manage_right_missing", Severity.WARNING),
        ("write_right_missing", Severity.ERROR),
    ]
    assert all("Sites.Selected" in str(one.remedy) for one in known)


def test_a_site_that_was_not_granted_lacks_reading(rig: Rig) -> None:
    (problem,) = admin(rig, SELECTED).check_rights(rig.sites["/sites/sales"])
    assert problem.code == "read_right_missing"


@pytest.mark.parametrize(
    ("site", "zone", "begins"),
    [
        ("Europe/Berlin", "Europe/Berlin", None),
        ("America/Los_Angeles", "America/Los_Angeles", None),
        ("Asia/Kolkata", "UTC", "at 18:30 UTC in January and at 18:30 UTC in July"),
        ("Europe/Berlin", "America/Los_Angeles", "at 23:00 UTC in January and at 22:00 UTC in July"),
        ("Pacific/Fiji", "UTC", "at 12:00 UTC in January and at 12:00 UTC in July"),
    ],
)
def test_a_zone_that_is_not_the_sites_is_found_out_by_what_becomes_of_two_days(
    rig: Rig, site: str, zone: str, begins: str | None
) -> None:
    only_writes = [{"client_id": SELECTED[0], "roles": ["write"]}]
    rig.ask(
        "POST", "tenants", {"id": TENANT, "sites": [{"path": "/sites/hr", "timezone": site, "grants": only_writes}]}
    )
    column = ColumnPlan(name="due", display_name="Due", kind=FieldKind.DATE)
    made = rig.provisioner().provision(plan(*COLUMNS, column))
    for app in (SYNC, SELECTED):
        problems = admin(rig, app).check_rights(rig.site, own(made, zone))
        found = [one for one in problems if one.code == "site_zone"]
        assert [one.severity for one in found] == ([] if begins is None else [Severity.ERROR])
        assert all(begins in one.message and zone in one.message for one in found)
    assert not left_over(rig)
    assert rig.rows(made.list_id) == []


def test_a_check_of_the_zone_that_fails_half_way_leaves_no_item_in_the_list(rig: Rig) -> None:
    only_writes = [{"client_id": SELECTED[0], "roles": ["write"]}]
    rig.ask("POST", "tenants", {"id": TENANT, "sites": [{"path": "/sites/hr", "grants": only_writes}]})
    column = ColumnPlan(name="due", display_name="Due", kind=FieldKind.DATE)
    made = rig.provisioner().provision(plan(*COLUMNS, column))
    rig.faults(({"method": "PATCH", "path": "/fields$"}, {"kind": "reset"}))
    with pytest.raises(SyncError):
        admin(rig, SELECTED).check_rights(rig.site, own(made, "UTC"))
    assert rig.fired()
    rig.calm()
    assert rig.rows(made.list_id) == []


def test_an_item_of_a_check_that_was_killed_says_that_it_stands_for_no_row_and_goes_with_the_next_check(
    rig: Rig,
) -> None:
    only_writes = [{"client_id": SELECTED[0], "roles": ["write"]}]
    rig.ask("POST", "tenants", {"id": TENANT, "sites": [{"path": "/sites/hr", "grants": only_writes}]})
    made = rig.provisioner().provision(plan())
    rig.faults(({"method": "DELETE", "path": "/items/"}, {"kind": "reset"}))
    with pytest.raises(SyncError):
        admin(rig, SELECTED).check_rights(rig.site, own(made))
    rig.calm()
    assert [one["fields"][made.key_column] for one in rig.rows(made.list_id)] == [CHECK_KEY]
    assert [one.code for one in admin(rig, READER).check_rights(rig.site, own(made))] == [
        "manage_right_missing",
        "write_right_missing",
    ]
    assert [one.code for one in admin(rig, SELECTED).check_rights(rig.site, own(made))] == ["manage_right_missing"]
    assert rig.rows(made.list_id) == []


def test_a_list_that_keeps_times_as_they_are_written_says_nothing_about_the_zone() -> None:
    written = probes(2026)
    assert zone_problem(ZoneInfo("Asia/Tokyo"), dict(zip(written, written, strict=True))) is None


def test_a_check_that_was_killed_is_cleaned_up_by_the_next(rig: Rig) -> None:
    rig.faults(({"method": "DELETE", "path": "/lists/[^/]+$"}, {"kind": "reset"}))
    with pytest.raises(SyncError):
        admin(rig).check_rights(rig.site)
    assert left_over(rig)
    rig.calm()
    assert admin(rig).check_rights(rig.site) == ()
    assert not left_over(rig)


def test_of_two_checks_at_one_site_the_one_whose_list_the_other_took_away_asks_to_be_made_again(rig: Rig) -> None:
    """Nobody's site or list is gone for it."""
    rig.faults(({"method": "POST", "path": "/items$"}, {"kind": "status", "status": 404}))
    with pytest.raises(GraphUnavailable, match="Another check"):
        admin(rig).check_rights(rig.site)
    rig.calm()
    assert admin(rig).check_rights(rig.site) == ()
    assert not left_over(rig)


# ---------------------------------------------------------------- health


def test_health_says_whether_credentials_are_accepted(rig: Rig) -> None:
    assert admin(rig).health().health is Health.HEALTHY
    assert admin(rig, SELECTED).health().health is Health.HEALTHY
    bad = admin(rig, (SYNC[0], "canary-secret")).health()
    assert bad.health is Health.DEGRADED
    assert bad.details["code"] == "credentials_refused"
    assert "AADSTS7000215" in bad.details["graph"]
    assert "canary" not in repr(bad)
    rig.faults(({"path": "/sites/root"}, {"kind": "reset"}))
    assert admin(rig).health().health is Health.UNREACHABLE


def test_a_secret_stands_in_no_error_and_no_repr(rig: Rig) -> None:
    credential = ClientSecret(secret="canary-secret")
    source = token_source(
        rig.endpoints, tenant=TENANT, client_id=SYNC[0], credential=credential, http=rig.http, clock=RealClock()
    )
    with pytest.raises(ConfigurationError) as caught:
        source.bearer()
    for text in (repr(caught.value), caught.value.message, repr(credential), repr(source)):
        assert "canary" not in text


def test_a_token_is_fetched_once_and_renewed_when_asked(rig: Rig) -> None:
    source = rig.tokens()
    first = source.bearer()
    assert source.bearer() == first
    assert source.bearer(renew=True) != first


# ---------------------------------------------------------------- subscriptions


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        token = parse_qs(urlsplit(self.path).query).get("validationToken", [""])[0]
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(token.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class calls it so
        pass


@pytest.fixture
def receiver() -> object:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook"
    server.shutdown()
    server.server_close()
    thread.join()


def soon(hours: float) -> datetime:
    return (RealClock().now() + timedelta(hours=hours)).replace(microsecond=0)


def test_a_subscription_is_made_found_renewed_and_deleted(rig: Rig, receiver: str) -> None:
    rig.knobs(allow_loopback_http=True)
    made = rig.provisioner().provision(plan())
    subscriptions = Subscriptions(rig.client())
    one = subscriptions.create(
        rig.site, made.list_id, notification_url=receiver, client_state="s" * 40, expires=soon(1)
    )
    assert made.list_id in one.resource
    assert subscriptions.mine() == [one]
    longer = subscriptions.renew(one.id, expires=soon(48))
    assert longer is not None
    assert longer.expires > one.expires
    subscriptions.delete(one.id)
    subscriptions.delete(one.id)
    assert subscriptions.mine() == []
    assert subscriptions.renew(one.id, expires=soon(48)) is None


def test_a_subscription_that_graph_cannot_validate_is_refused_with_words(rig: Rig) -> None:
    made = rig.provisioner().provision(plan())
    subscriptions = Subscriptions(rig.client())
    with pytest.raises(ConfigurationError) as caught:
        subscriptions.create(
            rig.site, made.list_id, notification_url="http://127.0.0.1:9/x", client_state="s", expires=soon(1)
        )
    assert caught.value.code == "subscription_refused"
    with pytest.raises(ConfigurationError):
        subscriptions.create(
            rig.site, made.list_id, notification_url="https://x.example", client_state="s" * 200, expires=soon(1)
        )


def test_the_longest_life_that_is_asked_for_is_granted_and_no_more_would_be(rig: Rig, receiver: str) -> None:
    rig.knobs(allow_loopback_http=True)
    made = rig.provisioner().provision(plan())
    subscriptions = Subscriptions(rig.client())
    now = RealClock().now()
    granted = subscriptions.create(
        rig.site, made.list_id, notification_url=receiver, client_state="s", expires=now + LIFE
    )
    assert granted.expires - now > timedelta(days=29)
    with pytest.raises(ConfigurationError):
        subscriptions.create(
            rig.site,
            made.list_id,
            notification_url=receiver,
            client_state="s",
            expires=now + MAX_LIFE + 2 * (MAX_LIFE - LIFE),
        )
