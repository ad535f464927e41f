"""Everything under /_sim/: what no real service has. Knobs, rules, faults, clock, log, tenants, people, dump and load."""

import sys
import traceback
from typing import TYPE_CHECKING, Any

import orjson

from infra.simulator import defaults, dumps, errors
from infra.simulator.clock import iso, parse_iso
from infra.simulator.errors import Unfit
from infra.simulator.knobs import KNOBS
from infra.simulator.page import Page
from infra.simulator.people import People
from infra.simulator.registry import Registry
from infra.simulator.wire import Answer, Request, Response, segments

if TYPE_CHECKING:
    from infra.simulator.service import Service


class Control:
    def __init__(self, service: "Service") -> None:
        self._service = service
        self._world = service.world
        self._registry = Registry(service.world)
        self._people = People(service)
        self._page = Page(service, self._people)

    def handle(self, request: Request) -> Answer:
        """Answer a control request. What it is told wrongly it refuses with 400 and a sentence."""
        if request.method not in ("GET", "HEAD") and _foreign(request):
            return _refusal(403, "The request comes from a page of another site.")
        try:
            answer = self._run(request, segments(request.path)[1:])
        except errors.GraphError as error:
            answer = _refusal(error.status, error.message)
        except orjson.JSONDecodeError:
            answer = _refusal(400, "The body is no JSON.")
        except ValueError as error:
            answer = _refusal(400, str(error))
        except Exception:
            traceback.print_exc(file=sys.stderr)
            answer = _refusal(500, "The simulator has a defect; its standard error says where.")
            answer = answer.with_headers(("x-simulator-defect", "1"))
        if answer.status >= 400 and request.method != "GET":
            self._world.rollback()
        self._world.commit()
        return answer

    def _run(self, request: Request, parts: list[str]) -> Response:
        method = request.method
        match parts:
            case [] | ["page", *_]:
                return self._page.handle(request, parts[1:])
            case ["health"] if method == "GET":
                return Response(
                    status=200,
                    content={"status": "ok", "lists": len(self._world.lists), "time": self._world.clock.text()},
                )
            case ["rules", *rest]:
                return self._rules(request, rest)
            case ["knobs"]:
                return self._knobs(request)
            case ["faults"]:
                return self._faults(request)
            case ["requests"]:
                return self._requests(request)
            case ["clock"]:
                return self._clock(request)
            case ["tenants"]:
                return self._tenants(request)
            case ["budget"]:
                return self._budget(request)
            case ["people", *rest]:
                return self._people.handle(request, rest)
            case ["notifications"] if method == "GET":
                notices = self._service.notices
                return Response(status=200, content={"sent": list(notices.sent), "endpoints": notices.state()})
            case ["subscriptions", *rest]:
                return self._subscriptions(request, rest)
            case ["lists", name, "expire-tokens"] if method == "POST":
                return self._expire_tokens(name)
            case ["dump"] if method == "GET":
                return Response(status=200, content=dumps.dump(self._world), content_type="application/x-ndjson")
            case ["load"] if method == "POST":
                self._forget()
                count = dumps.load(self._world, request.body)
                self._service.access.forget()
                return Response(status=200, content={"records": count})
            case ["reset"] if method == "POST":
                return self._reset()
            case _:
                return _refusal(404, "There is nothing here; the simulator's README lists what is under /_sim/.")

    def configure(self, config: dict[str, Any]) -> None:
        """Apply a configuration document. Raises ValueError."""
        unknown = set(config) - {"knobs", "broken", "tenants", "faults", "clock"}
        if unknown:
            raise Unfit(
                f"the configuration knows knobs, broken, tenants, faults and clock, not {', '.join(sorted(unknown))}"
            )
        self._world.knobs.set(config.get("knobs", {}))
        for rule in config.get("broken", []):
            try:
                self._world.rules.set(rule, broken=True)
            except KeyError:
                raise Unfit(f"the catalogue has no rule {rule}") from None
        for tenant in config.get("tenants", []):
            if not isinstance(tenant, dict):
                raise Unfit("a tenant is an object")
            self._registry.put(tenant)
        if "faults" in config:
            self._service.faults.set(config["faults"])
        if "clock" in config:
            self._set_clock(config["clock"])
        self._world.save_state()

    # -- switches

    def _rules(self, request: Request, parts: list[str]) -> Response:
        rules = self._world.rules
        match parts:
            case [] if request.method == "GET":
                return Response(status=200, content={"rules": rules.catalogue(), "broken": rules.broken()})
            case [] if request.method == "DELETE":
                rules.mend_all()
                self._world.save_state()
                return Response(status=204)
            case [name] if request.method == "PUT":
                body = _object(request)
                if not isinstance(body.get("broken"), bool):
                    raise Unfit('the body is {"broken": true} or {"broken": false}')
                try:
                    rules.set(name, broken=body["broken"])
                except KeyError:
                    return _refusal(404, f"The catalogue has no rule {name}.")
                self._world.save_state()
                return Response(status=200, content={"id": name, "broken": body["broken"]})
            case [name] if request.method == "GET":
                found = next((entry for entry in rules.catalogue() if entry["id"] == name), None)
                return (
                    Response(status=200, content=found)
                    if found
                    else _refusal(404, f"The catalogue has no rule {name}.")
                )
        return _refusal(405, "GET the rules, PUT one of them, DELETE to mend all.")

    def _knobs(self, request: Request) -> Response:
        knobs = self._world.knobs
        if request.method == "PUT":
            was_paused = knobs["notification_paused"]
            knobs.set(_object(request))
            self._world.save_state()
            if was_paused and not knobs["notification_paused"]:
                self._service.notices.resume()
        elif request.method == "DELETE":
            knobs.reset()
            self._world.save_state()
        elif request.method != "GET":
            return _refusal(405, "GET, PUT or DELETE the knobs.")
        described = request.query.get("describe") is not None
        if described:
            table = [
                {
                    "name": k.name,
                    "value": knobs[k.name],
                    "default": k.default,
                    "choices": list(k.choices),
                    "reason": k.reason,
                }
                for k in KNOBS
            ]
            return Response(status=200, content={"knobs": table})
        return Response(status=200, content=knobs.all())

    def _faults(self, request: Request) -> Response:
        faults = self._service.faults
        if request.method == "PUT":
            faults.set(_object(request))
        elif request.method == "DELETE":
            faults.clear()
        elif request.method != "GET":
            return _refusal(405, "GET, PUT or DELETE the fault plan.")
        return Response(status=200, content=faults.state())

    def _requests(self, request: Request) -> Response:
        journal = self._world.journal
        if request.method == "DELETE":
            journal.clear()
            return Response(status=204)
        query = request.query
        found = journal.since(
            int(query.get("since", 0)), list_id=query.get("list", ""), limit=int(query.get("limit", 1000))
        )
        return Response(status=200, content={"seq": journal.seq, "requests": found})

    # -- time and money

    def _clock(self, request: Request) -> Response:
        clock = self._world.clock
        if request.method == "POST":
            self._set_clock(_object(request))
            self._world.save_state()
        elif request.method != "GET":
            return _refusal(405, "GET or POST the clock.")
        now = clock.now()
        return Response(
            status=200, content={"now": iso(int(now)), "epoch": now, "mode": clock.mode, "timers": clock.pending()}
        )

    def _set_clock(self, body: dict[str, Any]) -> None:
        clock = self._world.clock
        unknown = set(body) - {"mode", "set", "advance"}
        if unknown:
            raise Unfit("the clock takes mode, set and advance")
        if "mode" in body:
            clock.use(body["mode"])
        if "set" in body:
            clock.move_to(parse_iso(str(body["set"])))
        if "advance" in body:
            seconds = body["advance"]
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not abs(seconds) < 1e10:
                raise Unfit("advance takes seconds")
            clock.advance(seconds)

    def _budget(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._world.budget.clear()
        return Response(status=200, content={"windows": self._world.budget.state()})

    # -- tenants, subscriptions, lists

    def _tenants(self, request: Request) -> Response:
        if request.method == "POST":
            return Response(status=200, content=self._registry.put(_object(request)))
        if request.method != "GET":
            return _refusal(405, "GET or POST tenants.")
        return Response(status=200, content={"tenants": self._registry.all()})

    def _subscriptions(self, request: Request, parts: list[str]) -> Response:
        known = self._world.subscriptions
        match parts:
            case [] if request.method == "GET":
                return Response(status=200, content={"subscriptions": list(known.values())})
            case [name] if request.method == "DELETE" and name in known:
                known.pop(name)
                self._world.store.drop("subscription", name)
                return Response(status=204)
            case [name, "lifecycle"] if request.method == "POST" and name in known:
                sent = self._service.notices.lifecycle(
                    known[name], str(_object(request).get("event", "reauthorizationRequired"))
                )
                return Response(status=200, content={"queued": sent})
        return _refusal(404, "There is no such subscription.")

    def _expire_tokens(self, name: str) -> Response:
        """What a site restore or a database move does: every delta token of the list dies."""
        lst = self._world.list_by_id(name)
        if lst is None:
            return _refusal(404, "There is no such list.")
        lst.epoch += 1
        self._world.save_list(lst)
        return Response(status=200, content={"list": lst.id, "epoch": lst.epoch})

    # -- all of it

    def _forget(self) -> None:
        self._service.faults.clear()
        self._service.notices.forget()
        self._world.reset()
        self._service.access.forget()

    def _reset(self) -> Response:
        self._forget()
        defaults.populate(self._world)
        return Response(status=200, content={"tenants": self._registry.all()})


def _object(request: Request) -> dict[str, Any]:
    body = request.json()
    if not isinstance(body, dict):
        raise Unfit("the body must be a JSON object")
    return body


def _foreign(request: Request) -> bool:
    """Sent by a browser from a page that is not ours; browsers say so in Sec-Fetch-Site, old ones in Origin."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    return request.headers.get("origin", request.base()) != request.base()


def _refusal(status: int, message: str) -> Response:
    return Response(status=status, content={"error": {"code": "simulator", "message": message}})
