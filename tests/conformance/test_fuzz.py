"""Random requests: whatever is sent, the simulator answers with Graph's errors, at once, and goes on."""

import http.client
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from infra.local.simulator import Simulator
from tests.conformance.world import World

SECONDS = 5.0
"""No single answer may take longer."""

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "2500"))
SEED = int(os.environ.get("FUZZ_SEED", "20261121"))
"""The same requests every time, unless somebody asks for others and for more of them."""

METHODS = ("GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS", "MERGE")
CHARACTERS = st.characters(codec="utf-8")
JUNK = st.text(CHARACTERS, max_size=12)
COLUMNS = (
    "Title", "Plain", "Code", "UniqueKey", "Note", "Num", "IdxNum", "Flag", "IdxFlag", "Moment", "Day", "Pick", "Picks",
    "Ref", "RefLookupId", "RefsLookupId", "WhoLookupId", "WhosLookupId", "Link", "Calc", "Created", "id", "ID",
)  # fmt: skip
SEGMENTS = (
    "items", "items/1", "items/2/fields", "items/1/versions", "items/1/versions/1.0/fields", "items/delta", "items/delta()",
    "items/1/versions/1.0/restoreVersion", "items/delta(token='latest')", "items/99999999999999999999", "items/-1", "items/٣",
    "columns", "columns/Title", "contentTypes", "drive", "subscriptions", "permissions", "items/1/driveItem", "items/$count",
)  # fmt: skip
ROOTS = (
    "/sites", "/sites/root", "/sites/getAllSites()", "/sites?search=x", "/subscriptions", "/subscriptions/x", "/$batch",
    "/groups/x/sites/root", "/$metadata", "/", "", "/me", "/sites/{s}/getByPath(path='x')", "/sites/{h}:/sites/hr",
    "/sites/{h}:/sites/hr:/lists", "/sites/{h}:", "/sites/{s}/lists", "/sites/{s}/columns", "/sites/{s}/permissions", "/sites/{s}/sites",
)  # fmt: skip
FIELD = st.sampled_from(
    [f"fields/{name}" for name in COLUMNS] + ["Title", "id", "createdDateTime", "fields/NoSuch", "fields/"]
)
LITERAL = st.sampled_from(
    [
        "'x'",
        "1",
        "1.5e400",
        "true",
        "null",
        "''",
        "'it''s'",
        "'",
        "datetime'2026-01-01'",
        "2026-01-01",
        "-0",
        "1e",
        "'\U0001f600'",
    ]
)
OPERATOR = st.sampled_from(["eq", "ne", "lt", "gt", "le", "ge", "and", "or", "has", "in", "EQ", ""])
COMPARISON = st.tuples(FIELD, OPERATOR, LITERAL).map(" ".join)
FILTER = st.one_of(
    COMPARISON,
    st.lists(COMPARISON, min_size=2, max_size=4).map(" and ".join),
    st.tuples(FIELD, LITERAL).map(lambda pair: f"startswith({pair[0]},{pair[1]})"),
    COMPARISON.map(lambda inner: "(" * 60 + inner),
    COMPARISON.map(lambda inner: f"not ({inner})"),
    JUNK,
)
NUMBER = st.sampled_from(
    ["0", "1", "-1", "5000", "999999999999999999999", "1.5", "٣", "", "x", "1e3", "0x10", "+1", " 1"]
)
OPTION = st.one_of(
    st.tuples(st.sampled_from(["$filter", "filter", "$orderby"]), FILTER),
    st.tuples(st.sampled_from(["$top", "top", "$skip", "$count"]), NUMBER),
    st.tuples(
        st.sampled_from(["$expand", "expand", "$select"]),
        st.one_of(
            st.sampled_from(
                [
                    "fields",
                    "fields(",
                    "fields($select=Title,Num)",
                    "fields(select=)",
                    "columns,items(expand=fields)",
                    "*",
                    ",,",
                    "items",
                ]
            ),
            st.lists(st.sampled_from(COLUMNS), max_size=20).map(",".join),
            JUNK,
        ),
    ),
    st.tuples(st.sampled_from(["$skiptoken", "token", "search", "$search", "$format", "unknown"]), JUNK),
    st.tuples(JUNK, JUNK),
)
HEADER = st.one_of(
    st.tuples(
        st.just("If-Match"), st.sampled_from(["*", '"x"', '"00000000-0000-4000-8000-000000000000,1"', "W/*", ""])
    ),
    st.tuples(
        st.just("Prefer"), st.sampled_from(["HonorNonIndexedQueriesWarningMayFailRandomly", "respond-async", ";;;"])
    ),
    st.tuples(
        st.just("Content-Type"), st.sampled_from(["application/json", "text/plain", "multipart/form-data", "", "a/b;c"])
    ),
    st.tuples(
        st.just("Authorization"),
        st.sampled_from(["", "Bearer", "Bearer x", "Basic eDp5", "Bearer a.b.c", "Bearer " + "x" * 4000]),
    ),
    st.tuples(
        st.just("client-request-id"),
        st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=40),
    ),
    st.tuples(st.just("Accept"), st.sampled_from(["*/*", "application/xml", "application/json;odata.metadata=none"])),
)
HEADERS = st.one_of(st.just([]), st.just([]), st.lists(HEADER, max_size=2))
SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), JUNK,
    st.sampled_from(["2026-01-01", "2026-01-01T00:00:00Z", "0000-00-00", "9999-12-31T23:59:59+14:00", "Collection(Edm.Int32)", "x" * 300, "1e999"]),
)  # fmt: skip
KEY = st.one_of(st.sampled_from([*COLUMNS, *(f"{name}@odata.type" for name in COLUMNS)]), JUNK)
FIELDS = st.dictionaries(
    KEY, st.one_of(SCALAR, st.lists(SCALAR, max_size=3), st.dictionaries(JUNK, SCALAR, max_size=2)), max_size=6
)
FACET = st.sampled_from(
    [
        "text",
        "number",
        "choice",
        "lookup",
        "dateTime",
        "calculated",
        "personOrGroup",
        "boolean",
        "hyperlinkOrPicture",
        "term",
    ]
)
MEMBER = st.sampled_from(
    [
        "name",
        "displayName",
        "indexed",
        "enforceUniqueValues",
        "hidden",
        "required",
        "choices",
        "maxLength",
        "listId",
        "formula",
        "defaultValue",
        "format",
    ]
)
COLUMN = st.dictionaries(
    st.one_of(FACET, MEMBER),
    st.one_of(SCALAR, st.dictionaries(MEMBER, st.one_of(SCALAR, st.lists(SCALAR, max_size=3)), max_size=4)),
    max_size=6,
)
LIST = st.fixed_dictionaries(
    {},
    optional={
        "displayName": SCALAR,
        "columns": st.one_of(SCALAR, st.lists(COLUMN, max_size=3)),
        "list": st.one_of(SCALAR, COLUMN),
    },
)
SUBSCRIPTION = st.fixed_dictionaries(
    {},
    optional={
        "changeType": st.one_of(st.just("updated"), SCALAR),
        "resource": st.one_of(st.just("sites/root/lists/x"), SCALAR),
        "notificationUrl": st.sampled_from(
            ["https://127.0.0.1:9/x", "ftp://127.0.0.1", "https://", "https://[::1", 7, None]
        ),
        "expirationDateTime": SCALAR,
        "clientState": SCALAR,
    },
)
INNER = st.fixed_dictionaries(
    {},
    optional={
        "id": st.one_of(st.sampled_from(["1", "2"]), SCALAR),
        "method": st.one_of(st.sampled_from(METHODS), SCALAR),
        "url": st.one_of(
            st.sampled_from(
                ["/sites/root", "sites/root/lists", "/$batch", "//x", "https://x/y", "/sites/root/lists?$top=x"]
            ),
            SCALAR,
        ),
        "headers": st.one_of(SCALAR, st.dictionaries(JUNK, SCALAR, max_size=2)),
        "body": st.one_of(SCALAR, FIELDS),
        "dependsOn": st.one_of(SCALAR, st.lists(st.one_of(st.sampled_from(["1", "2"]), SCALAR), max_size=2)),
    },
)
BATCH = st.fixed_dictionaries({}, optional={"requests": st.one_of(SCALAR, st.lists(INNER, max_size=4))})
ROLES = st.fixed_dictionaries(
    {},
    optional={
        "roles": st.one_of(SCALAR, st.lists(SCALAR, max_size=2)),
        "grantedToIdentities": st.one_of(SCALAR, st.lists(st.dictionaries(JUNK, SCALAR, max_size=2), max_size=2)),
    },
)
BODY = st.one_of(
    st.none(),
    st.binary(max_size=30),
    st.one_of(
        FIELDS.map(lambda fields: {"fields": fields}),
        FIELDS,
        COLUMN,
        LIST,
        SUBSCRIPTION,
        BATCH,
        ROLES,
        SCALAR,
        st.lists(SCALAR, max_size=3),
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from(
        [
            b'{"a":' * 3000,
            b"[" * 100_000,
            b'{"fields":{"Num":1e400}}',
            b'{"fields":{"Title":"\\ud800"}}',
            b"\xff\xfe",
            b'{"fields":NaN}',
        ]
    ),
)


# Requests that are nearly right, so that the random ones reach past the first check.
GOOD = {
    "Title": st.one_of(JUNK, st.just("a")),
    "Plain": st.one_of(JUNK, st.just("x" * 255), st.just("x" * 256), st.none()),
    "UniqueKey": st.one_of(JUNK, st.integers(0, 9).map(str)),
    "Note": st.text(CHARACTERS, max_size=40),
    "Num": st.one_of(st.floats(allow_nan=False), st.integers(), st.none()),
    "Flag": st.one_of(st.booleans(), st.none()),
    "Moment": st.one_of(st.datetimes().map(lambda moment: moment.isoformat() + "Z"), SCALAR),
    "Day": st.one_of(st.dates().map(str), SCALAR),
    "Pick": st.one_of(st.sampled_from(["red", "mauve"]), JUNK),
    "RefLookupId": st.one_of(st.sampled_from([1, "2", 3]), SCALAR),
    "WhoLookupId": st.one_of(st.sampled_from([1, "7"]), SCALAR),
}
VALUES = st.fixed_dictionaries({}, optional=GOOD)
NAMED_COLUMN = st.tuples(st.sampled_from("ABCDEFGH"), FACET, COLUMN).map(
    lambda parts: {"name": parts[0], parts[1]: {}, **parts[2]}
)
LIST_ITEM = VALUES.map(lambda values: {"fields": values})
NEARLY = st.one_of(
    st.tuples(st.just("POST"), st.just("items"), LIST_ITEM),
    st.tuples(st.just("PATCH"), st.sampled_from(["items/1/fields", "items/2/fields"]), VALUES),
    st.tuples(st.just("PATCH"), st.just("items/1"), LIST_ITEM),
    st.tuples(st.just("POST"), st.just("columns"), NAMED_COLUMN),
    st.tuples(st.just("PATCH"), st.sampled_from(["columns/A", "columns/Plain", "columns/Code"]), COLUMN),
    st.tuples(st.just("GET"), st.sampled_from([one for one in SEGMENTS if "restore" not in one]), st.none()),
    st.tuples(st.just("GET"), st.sampled_from(["items", "items/delta", "items/1", "", "columns"]), st.none()),
)
RANDOM = st.tuples(st.sampled_from(METHODS), st.one_of(st.sampled_from(SEGMENTS), JUNK), BODY)
ROOT = st.one_of(st.sampled_from(ROOTS), JUNK.map(lambda junk: "/" + junk.replace("{", "").replace("}", "")))
REQUEST = st.one_of(
    st.tuples(st.just("{l}/"), NEARLY),
    st.tuples(st.just("{l}/"), RANDOM),
    st.tuples(ROOT, st.tuples(st.sampled_from(METHODS), st.just(""), BODY)),
    st.tuples(st.just("/$batch"), st.tuples(st.just("POST"), st.just(""), BATCH)),
    st.tuples(st.just("/subscriptions"), st.tuples(st.just("POST"), st.just(""), SUBSCRIPTION)),
    st.tuples(st.just("/sites/{s}/lists"), st.tuples(st.just("POST"), st.just(""), LIST)),
)


def _path(world: World, root: str, tail: str, options: list[tuple[str, str]]) -> str:
    path = root.format(s=world.rig.site()["id"], h=world.rig.hostname, l=world.rig.every())
    path = quote(path + tail, safe="/:,'()$?=%@")
    query = "&".join(f"{quote(name, safe='$')}={quote(value, safe='')}" for name, value in options)
    return path + (("&" if "?" in path else "?") + query if query else "")


@pytest.fixture
def connections(world: World) -> Iterator[http.client.HTTPConnection]:
    parts = urlsplit(world.rig.graph_url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=SECONDS)
    yield connection
    connection.close()


def _assert_graph_error(status: int, kind: str, body: bytes) -> None:
    assert kind.startswith("application/json"), (status, kind, body[:200])
    error = json.loads(body)["error"]
    assert isinstance(error["code"], str)
    assert error["code"]
    assert isinstance(error["message"], str)
    assert {"date", "request-id"} <= set(error["innerError"])
    assert "Traceback" not in body.decode()


def is_wide(reached: Counter[tuple[str, int]]) -> bool:
    """Whether the requests changed something, and met what requests meet. On a busy machine that takes longer than its time."""
    statuses = {status for _, status in reached}
    return {200, 201, 400, 404, 405} <= statuses and {("POST", 201), ("PATCH", 200)} <= set(reached)


@pytest.mark.slow
def test_no_random_request_makes_the_simulator_fail_hang_or_forget_how_graph_says_no(
    world: World, simulator: Simulator, connections: http.client.HTTPConnection
) -> None:
    world.sim.knobs(throttling=False)
    rig, every = world.rig, world.rig.every()
    for _ in range(3):
        rig.add(every, Title="a")
    token, deadline = rig.token(), time.monotonic() + 20 * REQUESTS / 2500
    reached: Counter[tuple[str, int]] = Counter()

    @seed(SEED)
    @settings(
        max_examples=REQUESTS, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(request=REQUEST, options=st.one_of(st.just([]), st.lists(OPTION, max_size=3)), headers=HEADERS)
    def run(
        request: tuple[str, tuple[str, str, Any]], options: list[tuple[str, str]], headers: list[tuple[str, str]]
    ) -> None:
        if time.monotonic() > deadline and is_wide(reached):
            return  # the time is over, the seed makes the same beginning every time
        root, (method, tail, content) = request
        body = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
        path = "/v1.0" + _path(world, root, tail, options)
        sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **dict(headers)}
        connections.request(
            method, path, body=body, headers={key: value.encode("latin-1") for key, value in sent.items()}
        )
        answer = connections.getresponse()
        got = answer.read()
        reached[method, answer.status] += 1
        assert "x-simulator-defect" not in answer.headers, (method, path, body, got)
        if answer.status >= 400:
            _assert_graph_error(answer.status, answer.headers.get("Content-Type", ""), got)
        if answer.status >= 500:
            asked_for = method in ("POST", "PATCH") and b"null" in (body or b"")  # a null default is a known trap
            assert answer.status == 501 or asked_for, (method, path, body, got)

    run()

    log = (simulator.data / "log").read_text(encoding="utf-8")
    assert "Traceback" not in log, log[-3000:]
    assert is_wide(reached), f"the random requests reached {sorted(reached)} only"
    assert rig.get("/sites/root").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1.0/sites HTTP/1.1\r\nHost: x\r\nContent-Length: nope\r\n\r\n",
        b"GET /v1.0/sites HTTP/1.1\r\nno colon here\r\n\r\n",
        b"POST /v1.0/sites HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        b"GET /v1.0/sites HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    ],
    ids=["no request line", "unknown version", "bad length", "bad header", "bad chunk", "huge header"],
)
def test_bytes_that_are_no_request_get_an_answer_in_4xx_and_the_next_request_is_served(
    world: World, raw: bytes
) -> None:
    parts = urlsplit(world.rig.graph_url)
    with socket.create_connection((parts.hostname, parts.port), timeout=SECONDS) as line:
        line.sendall(raw)
        line.shutdown(socket.SHUT_WR)
        answer = line.recv(65536)

    assert answer.startswith(b"HTTP/1.1 4"), answer[:100]
    assert world.rig.get("/sites/root").status_code == 200


@pytest.mark.slow
def test_the_token_endpoint_refuses_random_forms_as_entra_does(world: World) -> None:
    parts = urlsplit(world.rig.login.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=SECONDS)

    @seed(7)
    @settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        tenant=st.one_of(st.just(world.rig.login.tenant), JUNK),
        body=st.one_of(st.binary(max_size=60), JUNK.map(lambda x: f"grant_type={quote(x)}&client_id=a".encode())),
    )
    def run(tenant: str, body: bytes) -> None:
        path = f"/{quote(tenant, safe='')}/oauth2/v2.0/token"
        connection.request("POST", path, body=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        document = json.loads(answer.read())
        assert 400 <= answer.status < 500
        assert "error" in document

    run()
    connection.close()
