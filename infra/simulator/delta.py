"""items/delta: tokens, pages, tombstones and every known oddity.

Sources: learn.microsoft.com/en-us/graph/api/listitem-delta; SPList.GetChanges for the 60 days of the change log; the
issues named at the knobs. A token is base64 of a SharePoint-like change token; what it carries is nobody's business.
"""

import base64
import binascii
import random
from typing import Any
from urllib.parse import quote

import orjson

from infra.simulator import errors
from infra.simulator.lists import SharePointList
from infra.simulator.options import Options, view
from infra.simulator.rows import Row
from infra.simulator.shapes import Shapes, View
from infra.simulator.store import LIVE
from infra.simulator.world import World

_TICKS = 621_355_968_000_000_000  # .NET ticks at the Unix epoch


class _BadToken(Exception):
    pass


class Delta:
    def __init__(self, world: World, shapes: Shapes) -> None:
        self._world = world
        self._shapes = shapes
        self._used: set[str] = set()

    def page(self, lst: SharePointList, options: Options, base: str, link: str) -> dict[str, Any]:
        """One page. `link`: the URL of the delta function without options. Raises GraphError 400 and 410."""
        world = self._world
        holds, knobs = world.rules.holds, world.knobs
        if not knobs["delta_available"]:
            raise errors.GraphError(501, "notSupported", "Delta is not supported in this cloud.")
        text = options.get("token")
        state = self._state(lst, options, text, link)
        shown = View(self._select(state), bool(state["f"]), tuple(state["s"]) if state["s"] is not None else None)
        top = state["t"] if holds("DELTA-TOP") else None
        limit = min(int(top or knobs["page_size_default"]), int(knobs["page_size_max"]))
        rows, following, last = self._rows(lst, state, limit)
        dice = random.Random(f"{lst.id}/{state['c']}/{state['a']}/{following}")
        if rows and not last and dice.random() < knobs["delta_empty_page_rate"] and not state.get("e"):
            rows, following, last = [], {**state, "e": 1}, False
        entries = [entry for row in rows if (entry := self._entry(lst, row, shown, base)) is not None]
        entries = self._disorder(lst, entries, dice, shown, base)
        if last:
            key, target = (
                "@odata.deltaLink",
                self._link(lst, {**state, "m": "c", "a": following, "u": None, "e": 0}, link),
            )
        else:
            following = following if isinstance(following, dict) else {**state, "a": following, "e": 0}
            key, target = "@odata.nextLink", self._link(lst, following, link)
        doc: dict[str, Any] = {
            "@odata.context": f"{base}/v1.0/$metadata#Collection(listItem)",
            "value": entries,
            key: target,
        }
        if not last and not holds("DELTA-ONE-LINK"):
            doc["@odata.deltaLink"] = target
        return doc

    # -- which rows

    def _rows(self, lst: SharePointList, state: dict[str, Any], limit: int) -> tuple[list[Row], Any, bool]:
        """Rows of this page, the position after it, whether it is the last."""
        rows = self._world.rows
        if state["m"] == "i":  # the start: what exists, by id; the delta link goes back to the moment of the start
            found = rows.page(lst, state["a"], limit + 1) if self._world.rules.holds("DELTA-START") else []
            last = len(found) <= limit
            return found[:limit], (state["c"] if last else found[limit - 1].id), last
        lag = float(self._world.knobs["delta_lag_seconds"])
        until = int(self._world.clock.now() - lag) if lag else None
        found = rows.changes(lst, state["a"], limit + 1, until)
        last = len(found) <= limit
        page = found[:limit]
        after = page[-1].change if page else state["a"]
        if not self._world.rules.holds("DELTA-CHANGES"):
            page = [row for row in page if row.version == 1]
        return page, after, last

    def _entry(self, lst: SharePointList, row: Row, shown: View, base: str) -> dict[str, Any] | None:
        holds, knobs = self._world.rules.holds, self._world.knobs
        if row.state != LIVE:
            if not holds("DELTA-TOMBSTONE") or knobs["delta_lost_deletes"]:
                return None
            whole = self._shapes.item(lst, row, shown, base=base)
            doc = {"id": str(row.id), "parentReference": {"siteId": whole.get("parentReference", {}).get("siteId", "")}}
            doc |= {"contentType": whole.get("contentType", {"name": "Item"})}
            if not holds("DELTA-TOMBSTONE-BARE"):
                doc |= {"eTag": self._shapes.etag(lst, row), "fields": self._shapes.fields(lst, row, None)}
            if not knobs["delta_unmarked_deletes"]:
                doc["deleted"] = {"state": "deleted"}
            return doc
        if not holds("DELTA-LATEST-STATE") and row.version > 1:
            older = self._world.rows.versions(row)
            if older:
                row.values, row.version = older[0].values, older[0].version
        if not holds("DELTA-FIELDS-ON-EXPAND"):
            shown = View(shown.select, True, shown.field_select)
        doc = self._shapes.item(lst, row, shown, base=base)
        doc.pop("fields@odata.context", None)
        if holds("DELTA-NO-LAST-MODIFIED-BY"):
            doc.pop("lastModifiedBy", None)
        if not holds("DELTA-ETAG-OF-READ"):
            doc.pop("eTag", None)
            doc.pop("@odata.etag", None)
        return doc

    def _disorder(
        self, lst: SharePointList, entries: list[dict[str, Any]], dice: random.Random, shown: View, base: str
    ) -> list[dict[str, Any]]:
        """Repeats, strangers, any order, poison: what is reported of the real feed; of repeats the last one counts."""
        knobs = self._world.knobs
        if knobs["delta_shuffle"]:
            dice.shuffle(entries)
        repeats = [dict(entry) for entry in entries if dice.random() < knobs["delta_repeat_rate"]]
        if dice.random() < knobs["delta_unchanged_rate"]:
            strangers = self._world.rows.page(lst, 0, 3)
            known = {entry["id"] for entry in entries}
            unchanged = [self._entry(lst, row, shown, base) for row in strangers if str(row.id) not in known]
            entries = [*(entry for entry in unchanged if entry is not None), *entries]
        deleted = any("deleted" in entry for entry in entries)
        if knobs["delta_poison"] and deleted:
            entries = [entry for entry in entries if "deleted" not in entry]
            message = "A deleted resource cannot be written inside a resource set that is not a delta resource set."
            entries.append({"error": {"code": "InternalServerError", "message": message}})
        return [*repeats, *entries]

    # -- tokens

    def _state(self, lst: SharePointList, options: Options, text: str | None, link: str) -> dict[str, Any]:
        holds = self._world.rules.holds
        fields = view(options)
        fresh: dict[str, Any] = {
            "m": "i",  # i: initial enumeration by id; c: changes by number
            "a": 0,  # position within that
            "c": self._newest(),  # change number at the start
            "f": int(fields.fields),
            "s": list(fields.field_select) if fields.field_select is not None else None,
            "i": sorted(fields.select) if fields.select is not None else None,
            "t": options.top(),
            "u": None,
            "e": 0,
        }
        if text is None or text == "" or (text == "latest" and not holds("DELTA-LATEST")):
            return fresh
        if text == "latest":
            return {**fresh, "m": "c", "a": fresh["c"]}
        try:
            state = self._decode(lst, text, link)
        except _BadToken:
            if holds("DELTA-BAD-TOKEN"):
                raise errors.invalid("The provided token is not valid.", "invalidToken") from None
            return fresh
        if not holds("DELTA-REPEATABLE"):
            if text in self._used:
                raise self._gone(link, state)
            self._used.add(text)
        if state["m"] == "c" and not holds("DELTA-OPTIONS-IN-LINK"):
            state |= {"f": 0, "s": None, "i": None}
        if fields.fields:
            state |= {"f": 1, "s": fresh["s"]}
        if fresh["t"] is not None:
            state["t"] = fresh["t"]
        return state

    def _newest(self) -> int:
        return int(self._world.rows.change)

    def _link(self, lst: SharePointList, state: dict[str, Any], link: str) -> str:
        ticks = _TICKS + int(self._world.clock.now() * 10_000_000)
        payload = base64.urlsafe_b64encode(orjson.dumps({**state, "x": lst.epoch})).decode()
        text = f"3;%234;%231;3;{lst.id};{ticks};{state['a']};%23;%23;%23{payload}"
        return f"{link}?token={quote(base64.b64encode(text.encode()).decode(), safe='')}"

    def _decode(self, lst: SharePointList, text: str, link: str) -> dict[str, Any]:
        try:
            parts = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True).decode("ascii").split(";")
            list_id, ticks, payload = parts[4], int(parts[5]), parts[-1].removeprefix("%23")
            state = orjson.loads(base64.urlsafe_b64decode(payload))
            position, mode = int(state["a"]), state["m"]
        except (binascii.Error, ValueError, IndexError, KeyError, TypeError):
            raise _BadToken from None
        if (
            list_id != lst.id
            or mode not in ("i", "c")
            or not 0 <= position < 2**62
            or not isinstance(state.get("s"), list | None)
        ):
            raise _BadToken
        age = self._world.clock.now() - (ticks - _TICKS) / 10_000_000
        expired = age > float(self._world.knobs["delta_retention_days"]) * 86_400 and self._world.rules.holds(
            "DELTA-EXPIRES"
        )
        if expired or state.get("x") != lst.epoch:
            raise self._gone(link, state)
        return dict(state)

    def _gone(self, link: str, state: dict[str, Any]) -> errors.GraphError:
        """410 with a link that starts a full enumeration under the same options."""
        holds, knobs = self._world.rules.holds, self._world.knobs
        expand = ""
        if state.get("f"):
            inner = f"($select={quote(','.join(state['s']), safe=',')})" if state.get("s") else ""
            expand = f"?$expand=fields{inner}"
        headers = (("Location", f"{link}{expand}"),) if holds("DELTA-410-LOCATION") else ()
        code = knobs["delta_gone_code"] if holds("DELTA-410-CODE") else "itemNotFound"
        return errors.GraphError(
            int(knobs["delta_gone_flavour"]),
            code,
            "The provided sync token is no longer valid. A full resync is needed.",
            headers=headers,
        )

    @staticmethod
    def _select(state: dict[str, Any]) -> frozenset[str] | None:
        return frozenset(state["i"]) if state.get("i") is not None else None
