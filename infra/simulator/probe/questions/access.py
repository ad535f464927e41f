"""Questions about tokens and site addresses."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from infra.simulator.probe.ask import (
    GUID,
    Unasked,
    asks,
    code,
    expect,
    inner_codes,
    looks_like,
    message,
    refused,
    same,
    status,
)
from infra.simulator.probe.rig import Json, Rig


@asks("AUTH-TOKEN-CLIENT-CREDENTIALS")
def token(rig: Rig) -> None:
    body = status(rig.ask_token(), 200).json()
    expect(looks_like(body.get("access_token"), r".{20,}"), "no access_token")
    same(body.get("token_type"), "Bearer", "token_type")
    expect(isinstance(body.get("expires_in"), int) and isinstance(body.get("ext_expires_in"), int), "no lifetimes")
    expect("refresh_token" not in body, "a refresh_token")


@asks("AUTH-TOKEN-BAD-SECRET")
def bad_secret(rig: Rig) -> None:
    answer = status(rig.ask_token(client_secret="wrong-on-purpose"), 401)  # noqa: S106  # wrong on purpose
    same(answer.json().get("error"), "invalid_client", "error")
    expect("AADSTS7000215" in answer.text, "no AADSTS7000215")


@asks("AUTH-TOKEN-BAD-SCOPE")
def bad_scope(rig: Rig) -> None:
    answer = status(rig.ask_token(scope=rig.login.scope.removesuffix("/.default") + "/Sites.Read.All"), 400)
    same(answer.json().get("error"), "invalid_scope", "error")


@asks("AUTH-BEARER-REQUIRED")
def bearer_required(rig: Rig) -> None:
    same(code(status(rig.get(rig.root, token=""), 401)), "InvalidAuthenticationToken", "error.code")


@asks("AUTH-TOKEN-UNKNOWN")
def unknown_token(rig: Rig) -> None:
    same(code(status(rig.get(rig.root, token="not.a.token"), 401)), "InvalidAuthenticationToken", "code")  # noqa: S106  # no secret


@asks("SITE-COMPOSITE-ID")
def composite_id(rig: Rig) -> None:
    expect(looks_like(rig.site()["id"], rf"{rig.hostname},{GUID},{GUID}"), f"id {rig.site()['id']}")


@asks("SITE-ENCODED-COMMAS")
def encoded_commas(rig: Rig) -> None:
    same(status(rig.get("/sites/" + rig.site()["id"].replace(",", "%2C")), 200).json()["id"], rig.site()["id"], "id")


def _root(rig: Rig) -> Json:
    answer = rig.get("/sites/root")
    if answer.status_code == 403:
        raise Unasked("this app may not read the root site")
    return dict(status(answer, 200).json())


@asks("SITE-ROOT")
def root_site(rig: Rig) -> None:
    root = _root(rig)
    expect("root" in root, "/sites/root without the root facet")
    if not rig.site_path:
        raise Unasked("the probe's site is the root site itself")
    expect("root" not in rig.site(), "the root facet on a site that is no root")


def _by_path(rig: Rig) -> str:
    if not rig.site_path:
        raise Unasked("the probe's site is the root site, which has no path")
    return f"{rig.hostname}:/{rig.site_path}"


@asks("SITE-BY-PATH")
def by_path(rig: Rig) -> None:
    path = _by_path(rig)
    web_url = status(rig.get(f"/sites/{path}"), 200).json()["webUrl"]
    expect(web_url.lower().endswith("/" + rig.site_path.lower()), f"webUrl {web_url}")


@asks("SITE-BY-PATH-CONTINUES")
def by_path_continues(rig: Rig) -> None:
    path = rig.new_list()
    found = status(rig.get(f"/sites/{_by_path(rig)}:/lists?$select=id,displayName&$top=500"), 200).json()["value"]
    expect(path.rpartition("/")[2] in {one["id"] for one in found}, "the site's list is not among them")


@asks("SITE-BY-PATH-ENCODED")
def by_path_encoded(rig: Rig) -> None:
    same(status(rig.get("/sites/" + quote(_by_path(rig), safe="")), 200).json()["id"], rig.site()["id"], "id")


@asks("SITE-GET-BY-PATH-FUNCTION")
def get_by_path(rig: Rig) -> None:
    _by_path(rig)
    path = quote("/" + rig.site_path, safe="")
    same(status(rig.get(f"/sites/{rig.hostname}/getByPath(path='{path}')"), 200).json()["id"], rig.site()["id"], "id")


@asks("SITE-SEARCH")
def search(rig: Rig) -> None:
    word = str(rig.site().get("displayName") or rig.site_path).split()[0]
    answer = rig.get(f"/sites?search={quote(word)}")
    if answer.status_code == 403:
        raise Unasked("this app may not search sites")
    found = {one["id"] for one in status(answer, 200).json()["value"]}
    expect(rig.site()["id"] in found, "the site is not found by its name")
    nothing = status(rig.get("/sites?search=no-site-has-this-name-4711"), 200).json()["value"]
    expect(not nothing, "sites are found by a text that none has")


@asks("SITE-GET-ALL")
def get_all(rig: Rig) -> None:
    for form in ("getAllSites", "getAllSites()"):
        answer = rig.get(f"/sites/{form}")
        if answer.status_code == 403:
            raise Unasked("this app may not enumerate sites")
        status(answer, 200)
        found = {one["id"] for page in rig.pages(f"/sites/{form}") for one in page["value"]}
        expect(rig.site()["id"] in found, "the probe's site is not among all sites")
        root = status(rig.get("/sites/root"), 200).json()["id"]
        expect(root in found, "the root site is not among all sites")


@asks("SITE-UNKNOWN")
def unknown_site(rig: Rig) -> None:
    answer = status(rig.get(f"/sites/{rig.hostname}:/sites/no-such-site-4711"), 404)
    same(code(answer), "itemNotFound", "error.code")
    expect("could not be found" in message(answer), f"message {message(answer)!r}")


@asks("SITE-UNKNOWN-HOST")
def unknown_host(rig: Rig) -> None:
    answer = rig.get("/sites/no-such-tenant-4711.sharepoint.com:/sites/any")
    refused(answer, code_is="invalidRequest", says="hostname")


@asks("SITE-CONTEXT-ENCODED")
def context_encoded(rig: Rig) -> None:
    context = str(status(rig.get(f"{rig.every()}/items"), 200).json().get("@odata.context"))
    expect(rig.site()["id"].replace(",", "%2C") in context, f"@odata.context {context}")


@asks("ERR-SHAPE")
def error_shape(rig: Rig) -> None:
    answer = rig.get(f"{rig.root}/lists/no-such-list-4711")
    body = answer.json()
    same(sorted(body), ["error"], "members of an error's body")
    expect({"code", "message", "innerError"} <= set(body["error"]), f"members of error: {sorted(body['error'])}")


@asks("ERR-INNER-IDS")
def error_inner(rig: Rig) -> None:
    mine = "0f0f0f0f-1111-4222-8333-444444444444"
    answer = rig.get(f"{rig.root}/lists/no-such-list-4711", headers={"client-request-id": mine})
    inner = answer.json()["error"].get("innerError", {})
    same(inner.get("client-request-id"), mine, "innerError.client-request-id")
    same(inner.get("request-id"), answer.headers.get("request-id"), "innerError.request-id")
    expect(looks_like(inner.get("date"), r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*"), f"innerError.date {inner.get('date')!r}")


@asks("ERR-UNKNOWN-SEGMENT")
def unknown_segment(rig: Rig) -> None:
    refused(rig.get(f"{rig.root}/nonsense"), code_is="BadRequest", says="Resource not found for the segment 'nonsense'")


@asks("ERR-BAD-JSON")
def bad_json(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    for broken in ('{"Title": ', "Title=b", "[1, 2]"):
        status(rig.patch(f"{rig.every()}/items/{item['id']}/fields", broken), 400)
    same(rig.read(rig.every(), item["id"])["Title"], "a", "Title")


@asks("ERR-METHOD")
def method(rig: Rig) -> None:
    status(rig.call("PUT", f"{rig.every()}/items", {}), 405)


@asks("HDR-REQUEST-ID")
def request_id(rig: Rig) -> None:
    ids = {rig.get(rig.root).headers.get("request-id", "") for _ in range(3)}
    expect(len(ids) == 3 and all(looks_like(one, GUID) for one in ids), f"request-id {sorted(ids)}")


@asks("HDR-CLIENT-REQUEST-ID")
def client_request_id(rig: Rig) -> None:
    mine = "0f0f0f0f-1111-4222-8333-555555555555"
    same(
        rig.get(rig.root, headers={"client-request-id": mine}).headers.get("client-request-id"),
        mine,
        "client-request-id",
    )


@asks("HDR-CONTENT-TYPE")
def content_type(rig: Rig) -> None:
    seen = rig.get(rig.root).headers.get("Content-Type", "").replace(" ", "")
    expect(
        seen.startswith("application/json;odata.metadata=minimal") and "charset=utf-8" in seen, f"Content-Type {seen}"
    )


@asks("HDR-ODATA-VERSION")
def odata_version(rig: Rig) -> None:
    same(rig.get(rig.root).headers.get("OData-Version"), "4.0", "OData-Version")


@asks("HDR-CACHE-CONTROL")
def cache_control(rig: Rig) -> None:
    seen = rig.get(rig.root).headers.get("Cache-Control", "")
    expect("no-cache" in seen, f"Cache-Control {seen!r}")


@asks("HDR-DIAGNOSTIC")
def diagnostic(rig: Rig) -> None:
    seen = rig.get(rig.root).headers.get("x-ms-ags-diagnostic", "")
    expect(seen.startswith('{"ServerInfo":'), f"x-ms-ags-diagnostic {seen!r}")


@asks("ETAG-412-BODY")
def precondition_body(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    rig.patch(f"{rig.every()}/items/{item['id']}/fields", {"Title": "b"})
    answer = rig.patch(f"{rig.every()}/items/{item['id']}/fields", {"Title": "c"}, headers={"If-Match": item["eTag"]})
    same(code(status(answer, 412)), "resourceModified", "error.code")
    expect("entityTagDoesNotMatch" in inner_codes(answer), f"inner codes {inner_codes(answer)}")


@asks("AUTH-TOKEN-LIFETIME")
def lifetime(rig: Rig) -> None:
    seconds = status(rig.ask_token(), 200).json()["expires_in"]
    expect(3540 <= seconds <= 5400, f"expires_in {seconds}")


@asks("AUTH-TOKEN-BAD-GRANT")
def bad_grant(rig: Rig) -> None:
    answer = status(rig.ask_token(grant_type="no_such_grant"), 400)
    same(answer.json().get("error"), "unsupported_grant_type", "error")


@asks("AUTH-OPENID-CONFIGURATION")
def openid_configuration(rig: Rig) -> None:
    base = f"{rig.login.url.rstrip('/')}/{rig.login.tenant}"
    document = status(rig.client.get(f"{base}/v2.0/.well-known/openid-configuration"), 200).json()
    endpoint = str(document.get("token_endpoint"))
    expect(endpoint.endswith("/oauth2/v2.0/token"), f"token_endpoint {endpoint}")


@asks("SITE-PATH-CASE")
def path_case(rig: Rig) -> None:
    path = _by_path(rig)
    host, _, below = path.partition(":")
    same(status(rig.get(f"/sites/{host}:{below.swapcase()}"), 200).json()["id"], rig.site()["id"], "id")


@asks("ERR-ITEM-UNKNOWN")
def item_unknown(rig: Rig) -> None:
    same(code(status(rig.get(f"{rig.every()}/items/471100"), 404)), "itemNotFound", "error.code")


@asks("ERR-ITEM-ID-NOT-NUMERIC")
def item_id_not_numeric(rig: Rig) -> None:
    same(code(status(rig.get(f"{rig.every()}/items/seven"), 404)), "itemNotFound", "error.code")


@asks("AUTH-WWW-AUTHENTICATE")
def www_authenticate(rig: Rig) -> None:
    seen = status(rig.get(rig.root, token=""), 401).headers.get("WWW-Authenticate", "")
    expect(seen.startswith("Bearer"), f"WWW-Authenticate {seen!r}")


@asks("SITE-BY-HOST")
def by_host(rig: Rig) -> None:
    root = _root(rig)["id"]
    same(status(rig.get(f"/sites/{rig.hostname}"), 200).json()["id"], root, "id")


@asks("SITE-BY-COLLECTION-GUID")
def by_collection(rig: Rig) -> None:
    collection = rig.site()["id"].split(",")[1]
    same(status(rig.get(f"/sites/{collection}"), 200).json()["id"], rig.site()["id"], "id")


@asks("SITE-SUBSITES")
def subsites(rig: Rig) -> None:
    for one in status(rig.get(f"{rig.root}/sites"), 200).json()["value"]:
        expect(one["webUrl"].startswith(rig.site()["webUrl"] + "/"), "a site that is not below this one")


@asks("HDR-STRICT-TRANSPORT")
def strict_transport(rig: Rig) -> None:
    seen = rig.get(rig.root).headers.get("Strict-Transport-Security", "")
    expect("max-age=31536000" in seen, f"Strict-Transport-Security {seen!r}")


@asks("HDR-DATE")
def date_header(rig: Rig) -> None:
    item = status(rig.post(f"{rig.every()}/items", {"fields": {"Title": "a"}}), 201)
    made = datetime.fromisoformat(item.json()["createdDateTime"])
    seen = parsedate_to_datetime(item.headers.get("Date", "Thu, 01 Jan 1970 00:00:00 GMT"))
    expect(abs((seen - made).total_seconds()) < 60, f"Date {seen}, created {made}")


@asks("ERR-CONTENT-TYPE")
def wrong_content_type(rig: Rig) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        status(rig.post(f"{rig.every()}/items", {"fields": {"Title": "a"}}, headers={"Content-Type": kind}), 400, 415)
