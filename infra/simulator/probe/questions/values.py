"""Questions about writing and reading each type of column."""

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from infra.simulator.probe.ask import INSTANT, Unasked, asks, expect, looks_like, refused, same, status
from infra.simulator.probe.rig import Rig


def _kept(rig: Rig, **fields: Any) -> dict[str, Any]:
    """Write an item and give its fields as a later read shows them."""
    return rig.read(rig.every(), rig.add(rig.every(), **fields)["id"])


def _count(rig: Rig) -> int:
    return sum(len(page["value"]) for page in rig.pages(f"{rig.every()}/items?$top=2000"))


def _not_stored(rig: Rig, fields: dict[str, Any], *wanted: int) -> None:
    """Refute unless a creation with these fields is refused and leaves no item."""
    before = _count(rig)
    status(rig.post(f"{rig.every()}/items", {"fields": fields}), *wanted)
    same(_count(rig), before, "number of items after the refused creation")


@asks("VAL-TEXT-255")
def text_255(rig: Rig) -> None:
    same(_kept(rig, Plain="x" * 255)["Plain"], "x" * 255, "255 characters")
    _not_stored(rig, {"Plain": "x" * 256}, 400)


@asks("VAL-NOTE-63999")
def note_63999(rig: Rig) -> None:
    same(len(_kept(rig, Note="x" * 63_999)["Note"]), 63_999, "length")
    _not_stored(rig, {"Note": "x" * 64_000}, 400)


@asks("VAL-TEXT-AS-SENT")
def as_sent(rig: Rig) -> None:
    sent = "  both ends  é Ж 漢 \U0001f600 '\"<>&;#|  "
    same(_kept(rig, Plain=sent)["Plain"], sent, "Plain")


@asks("VAL-TEXT-EMPTY-IS-NULL")
def empty_is_null(rig: Rig) -> None:
    item = rig.add(rig.every(), Plain="a")
    status(rig.patch(f"{rig.every()}/items/{item['id']}/fields", {"Plain": ""}), 200)
    expect("Plain" not in rig.read(rig.every(), item["id"]), "Plain is in fields after an empty string")


@asks("VAL-TEXT-XML")
def xml(rig: Rig) -> None:
    for bad in ("\u0001", "\u000b", "\uffff"):
        _not_stored(rig, {"Plain": f"a{bad}b"}, 400)


@asks("VAL-NUMBER")
def number(rig: Rig) -> None:
    for sent in (0, -1, 3, 2**53, 0.1, -2.5, 1e300):
        seen = _kept(rig, Num=sent)["Num"]
        expect(isinstance(seen, int | float) and not isinstance(seen, bool), f"Num {seen!r} for {sent!r}")
        expect(seen == sent, f"Num {seen!r} for {sent!r}")


@asks("VAL-NUMBER-WRONG-TYPE")
def number_wrong_type(rig: Rig) -> None:
    _not_stored(rig, {"Num": "three"}, 400)


@asks("VAL-BOOLEAN")
def boolean(rig: Rig) -> None:
    for sent in (True, False):
        same(_kept(rig, Flag=sent)["Flag"], sent, "Flag")


@asks("VAL-DATETIME-UTC")
def datetime_utc(rig: Rig) -> None:
    same(_kept(rig, Moment="2026-03-01T10:20:30+05:30")["Moment"], "2026-03-01T04:50:30Z", "Moment")


@asks("VAL-DATETIME-WHOLE-SECONDS")
def datetime_seconds(rig: Rig) -> None:
    same(_kept(rig, Moment="2026-03-01T10:20:30.999Z")["Moment"], "2026-03-01T10:20:30Z", "Moment")


def _midnight(rig: Rig, day: str) -> str:
    if rig.zone is None:
        raise Unasked("the site's time zone is not known; give it with --zone")
    local = datetime.combine(date.fromisoformat(day), time(0), ZoneInfo(rig.zone))
    return local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@asks("VAL-DATE-ONLY-SITE-MIDNIGHT")
def date_only(rig: Rig) -> None:
    for day in ("2026-01-15", "2026-07-15"):
        same(_kept(rig, Day=day)["Day"], _midnight(rig, day), f"Day for {day}")


@asks("VAL-DATE-ECHO-WRONG")
def date_echo(rig: Rig) -> None:
    if rig.zone == "UTC":
        raise Unasked("in a site whose zone is UTC the echo cannot be wrong")
    sent = "2026-01-15T12:00:00Z"
    item = rig.add(rig.every(), Moment=sent)
    same(rig.read(rig.every(), item["id"])["Moment"], sent, "Moment of a read")
    echo = item["fields"]["Moment"]
    expect(looks_like(echo, INSTANT) and echo != sent, f"Moment of the echo: {echo!r}")


@asks("VAL-CHOICE-OUTSIDE-STORED")
def choice_outside(rig: Rig) -> None:
    same(_kept(rig, Pick="mauve")["Pick"], "mauve", "Pick")


@asks("VAL-MULTI-CHOICE-NEEDS-TYPE")
def multi_choice_needs_type(rig: Rig) -> None:
    answer = rig.post(f"{rig.every()}/items", {"fields": {"Picks": ["red"]}})
    expect(answer.status_code >= 400, f"answered {answer.status_code}")


@asks("VAL-MULTI-CHOICE-ARRAY")
def multi_choice_array(rig: Rig) -> None:
    seen = _kept(rig, **{"Picks@odata.type": "Collection(Edm.String)", "Picks": ["red", "blue"]})["Picks"]
    expect(isinstance(seen, list) and sorted(seen) == ["blue", "red"], f"Picks {seen!r}")


@asks("VAL-LOOKUP-STRING")
def lookup_string(rig: Rig) -> None:
    for sent in (2, "2"):
        same(_kept(rig, RefLookupId=sent)["RefLookupId"], "2", "RefLookupId")


@asks("VAL-LOOKUP-TARGET")
def lookup_target(rig: Rig) -> None:
    answer = rig.post(f"{rig.every()}/items", {"fields": {"RefLookupId": 4711}})
    refused(answer, code_is="invalidRequest", says="One of the provided arguments is not acceptable.")


@asks("VAL-LOOKUP-TEXT-ON-SELECT")
def lookup_text(rig: Rig) -> None:
    item = rig.add(rig.every(), RefLookupId=2)
    expect("Ref" not in rig.read(rig.every(), item["id"]), "the text is in fields without $select")
    same(rig.read(rig.every(), item["id"], "Ref").get("Ref"), "two", "Ref")


@asks("VAL-LOOKUP-MULTI")
def lookup_multi(rig: Rig) -> None:
    seen = _kept(rig, **{"RefsLookupId@odata.type": "Collection(Edm.Int32)", "RefsLookupId": [1, 3]})["Refs"]
    expect(isinstance(seen, list) and all(isinstance(one, dict) for one in seen), f"Refs {seen!r}")
    pairs = sorted((one.get("LookupId"), one.get("LookupValue")) for one in seen)
    same(pairs, [(1, "one"), (3, "three")], "Refs")


@asks("VAL-HYPERLINK-NOT-WRITABLE")
def hyperlink(rig: Rig) -> None:
    _not_stored(rig, {"Link": {"Url": "https://example.com/", "Description": "example"}}, 400, 500)


@asks("VAL-CALCULATED-NOT-WRITABLE")
def calculated(rig: Rig) -> None:
    _not_stored(rig, {"Num": 2, "Calc": 5}, 400)


@asks("VAL-TEXT-MAX-LENGTH")
def text_max_length(rig: Rig) -> None:
    path = rig.new_list({"name": "Short", "text": {"maxLength": 10}})
    rig.add(path, Short="x" * 10)
    status(rig.post(f"{path}/items", {"fields": {"Short": "x" * 11}}), 400)


@asks("VAL-CURRENCY")
def currency(rig: Rig) -> None:
    path = rig.new_list({"name": "Price", "currency": {"locale": "en-us"}})
    seen = rig.read(path, rig.add(path, Price=12.5)["id"])["Price"]
    same(seen, 12.5, "Price")


@asks("VAL-DATETIME-WRONG-TYPE")
def datetime_wrong_type(rig: Rig) -> None:
    _not_stored(rig, {"Moment": "yesterday"}, 400)


@asks("VAL-LOOKUP-MULTI-NEEDS-TYPE")
def lookup_multi_needs_type(rig: Rig) -> None:
    answer = rig.post(f"{rig.every()}/items", {"fields": {"RefsLookupId": [1, 3]}})
    expect(answer.status_code >= 400, f"answered {answer.status_code}")


@asks("VAL-PERSON-UNKNOWN")
def person_unknown(rig: Rig) -> None:
    _not_stored(rig, {"WhoLookupId": 47110}, 400)


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
