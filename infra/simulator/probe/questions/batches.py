"""Questions about $batch."""

from typing import Any

from infra.simulator.probe.ask import asks, expect, same, status
from infra.simulator.probe.rig import Json, Rig

JSON = {"Content-Type": "application/json"}


def _make(path: str, number: str, title: str, **more: Any) -> Json:
    body = {"fields": {"Title": title}}
    return {"id": number, "method": "POST", "url": f"{path}/items", "headers": JSON, "body": body, **more}


def _read(path: str, number: str, item: str, **more: Any) -> Json:
    return {"id": number, "method": "GET", "url": f"{path}/items/{item}", **more}


def _statuses(answer: Any) -> dict[str, int]:
    return {str(one["id"]): one["status"] for one in status(answer, 200).json()["responses"]}


def _count(rig: Rig, path: str) -> int:
    return len(status(rig.get(f"{path}/items"), 200).json()["value"])


@asks("BATCH-RESPONSES")
def responses(rig: Rig) -> None:
    path = rig.new_list()
    answer = status(rig.batch(_make(path, "a", "x"), _read(path, "b", "4711")), 200)
    seen = {one["id"]: one for one in answer.json()["responses"]}
    same({key: one["status"] for key, one in seen.items()}, {"a": 201, "b": 404}, "statuses")
    same(seen["a"]["body"]["fields"]["Title"], "x", "Title in the body")
    same(seen["b"]["body"]["error"]["code"], "itemNotFound", "error.code in the body")
    expect("content-type" in {key.lower() for key in seen["a"]["headers"]}, f"headers {seen['a']['headers']}")


@asks("BATCH-MAX-20")
def max_20(rig: Rig) -> None:
    path = rig.new_list()
    status(rig.batch(*(_make(path, str(number), "x") for number in range(21))), 400)
    same(_count(rig, path), 0, "number of items")


@asks("BATCH-DUPLICATE-ID")
def duplicate_id(rig: Rig) -> None:
    path = rig.new_list()
    for second in ("a", "A"):
        status(rig.batch(_make(path, "a", "x"), _make(path, second, "y")), 400)
    same(_count(rig, path), 0, "number of items")


@asks("BATCH-ANY-ORDER")
def any_order(rig: Rig) -> None:
    ids = [str(number) for number in range(20)]
    reads = [{"id": one, "method": "GET", "url": rig.every()} for one in ids]
    orders = [[one["id"] for one in status(rig.batch(*reads), 200).json()["responses"]] for _ in range(3)]
    expect(all(sorted(order) == sorted(ids) for order in orders), "responses are missing")
    expect(any(order != ids for order in orders), "60 responses in the order of their requests")


@asks("BATCH-BODY-NEEDS-TYPE")
def body_needs_type(rig: Rig) -> None:
    path = rig.new_list()
    answer = rig.batch({**_make(path, "a", "x"), "headers": {}})
    failed = answer.status_code == 400 or _statuses(answer)["a"] >= 400
    expect(failed, "a body without a Content-Type was accepted")
    same(_count(rig, path), 0, "number of items")


@asks("BATCH-DEPENDS-ON-FAILED")
def depends_on_failed(rig: Rig) -> None:
    path = rig.new_list()
    answer = rig.batch(_read(path, "a", "4711"), _make(path, "b", "x", dependsOn=["a"]))
    same(_statuses(answer), {"a": 404, "b": 424}, "statuses")
    same(_count(rig, path), 0, "number of items")


@asks("BATCH-DEPENDS-ON-ORDER")
def depends_on_order(rig: Rig) -> None:
    path = rig.new_list()
    titles = [f"t{number}" for number in range(8)]
    chain = [
        _make(path, str(number), title, **({"dependsOn": [str(number - 1)]} if number else {}))
        for number, title in enumerate(titles)
    ]
    same(set(_statuses(rig.batch(*chain)).values()), {201}, "statuses")
    page = status(rig.get(f"{path}/items?$expand=fields($select=Title)"), 200).json()["value"]
    by_id = [one["fields"]["Title"] for one in sorted(page, key=lambda one: int(one["id"]))]
    same(by_id, titles, "titles in the order of creation")


@asks("BATCH-DEPENDS-ON-UNKNOWN")
def depends_on_unknown(rig: Rig) -> None:
    path = rig.new_list()
    status(rig.batch(_make(path, "a", "x", dependsOn=["nobody"])), 400)
    same(_count(rig, path), 0, "number of items")


@asks("BATCH-NOT-ATOMIC")
def not_atomic(rig: Rig) -> None:
    path = rig.new_list()
    requests = [
        _read(path, "0", "4711"),
        *(_make(path, str(number), "x") for number in range(1, 6)),
        _read(path, "6", "4712"),
    ]
    seen = _statuses(rig.batch(*requests))
    same([seen[key] for key in sorted(seen)], [404, *[201] * 5, 404], "statuses")
    same(_count(rig, path), 5, "number of items")


@asks("BATCH-INNER-HEADERS")
def inner_headers(rig: Rig) -> None:
    item = rig.add(rig.every(), Title="a")
    path = f"{rig.every()}/items/{item['id']}"
    status(rig.patch(f"{path}/fields", {"Title": "b"}), 200)
    request = {
        "id": "1",
        "method": "PATCH",
        "url": f"{path}/fields",
        "headers": {**JSON, "If-Match": item["eTag"]},
        "body": {"Title": "c"},
    }
    same(_statuses(rig.batch(request)), {"1": 412}, "statuses")
    same(status(rig.get(f"{path}/fields"), 200).json()["Title"], "b", "Title")


@asks("BATCH-MALFORMED")
def malformed(rig: Rig) -> None:
    bodies: tuple[Any, ...] = ({}, {"requests": "none"}, {"requests": [{"id": "1"}]}, [])
    for body in bodies:
        status(rig.post("/$batch", body), 400)


@asks("BATCH-URL-SLASH")
def url_slash(rig: Rig) -> None:
    urls = [rig.every(), rig.every().removeprefix("/")]
    requests = [{"id": str(number), "method": "GET", "url": url} for number, url in enumerate(urls)]
    same(_statuses(rig.batch(*requests)), {"0": 200, "1": 200}, "statuses")


@asks("BATCH-URL-VERSION")
def url_version(rig: Rig) -> None:
    requests = [{"id": "1", "method": "GET", "url": f"/v1.0{rig.every()}"}]
    same(_statuses(rig.batch(*requests)), {"1": 400}, "statuses")
