"""The durable HTTP API: the loopback address that the durable client calls, and its public twin behind a key.

Paths and status codes: HttpApiHandler.cs of the Durable extension.
"""

import json
from typing import Any

from aiohttp import web

from infra.local.host.clock import parse_iso
from infra.local.host.durable.binding import Addresses
from infra.local.host.durable.engine import Engine, InstanceExists
from infra.local.host.durable.history import EventType, event, public_history
from infra.local.host.durable.store import DurableStore, Filter, Instance


class Management:
    def __init__(self, engine: Engine, store: DurableStore, addresses: Addresses) -> None:
        self._engine, self._store, self._addresses = engine, store, addresses

    async def handle(self, request: web.Request, tail: str) -> web.Response:
        """``tail`` is the decoded path below the API's root."""
        parts = [part for part in tail.split("/") if part]
        try:
            match request.method, parts:
                case "POST", ["orchestrators", name, *rest] if len(rest) <= 1:
                    return await self._start(request, name, rest[0] if rest else None)
                case "GET", ["instances"]:
                    return self._list(request)
                case "DELETE", ["instances"]:
                    return self._purge_many(request)
                case method, ["instances", instance_id, *rest]:
                    return await self._one(request, method, instance_id, rest)
                case _, ["entities", *_]:
                    return _message(501, "durable entities are not supported by the local host")
        except InstanceExists as error:
            return _message(409, str(error))
        except ValueError as error:  # BadRequest, JSON, dates: the caller's fault
            return _message(400, str(error))
        return web.Response(status=404)

    async def _start(self, request: web.Request, name: str, instance_id: str | None) -> web.Response:
        text = await request.text()
        if text:
            json.loads(text)
        started = self._engine.start(name, instance_id, text or None, request.query.get("version"))
        return self._accepted(request, started)

    def _accepted(self, request: web.Request, instance_id: str) -> web.Response:
        links = self._addresses.links(instance_id, str(request.url.origin()))
        headers = {"Location": links["statusQueryGetUri"], "Retry-After": "10"}
        return web.json_response(links, status=202, headers=headers)

    def _list(self, request: web.Request) -> web.Response:
        show_input = _flag(request, "showInput", default=False)
        return web.json_response(
            [_status(one, show_input=show_input) for one in self._store.instances(_filter(request))]
        )

    def _purge_many(self, request: web.Request) -> web.Response:
        if "createdTimeFrom" not in request.query:
            return web.json_response("Please provide value for 'createdTimeFrom' parameter.", status=400)
        count = self._engine.purge(_filter(request))
        return web.json_response({"instancesDeleted": count}) if count else web.Response(status=404)

    async def _one(self, request: web.Request, method: str, instance_id: str, rest: list[str]) -> web.Response:
        instance = self._store.instance(instance_id)
        if instance is None:
            return web.Response(status=404)
        match method, [part.lower() for part in rest]:
            case "GET", []:
                return self._get(request, instance)
            case "DELETE", []:
                if not instance.final:
                    return _message(
                        412,
                        "Only orchestrations in a terminal state can be purged, but the orchestration with instance ID "
                        f"{instance.id} has status {instance.status}",
                    )
                return web.json_response({"instancesDeleted": self._engine.purge(instance_id)})
            case "POST", ["raiseevent", _]:
                return await self._raise_event(request, instance, rest[1])
            case "POST", ["terminate" | "suspend" | "resume" as command]:
                if instance.final:
                    return web.Response(status=410)
                self._engine.send(instance_id, _command(command, request.query.get("reason", "")))
                return web.Response(status=202)
            case "POST", ["restart"]:
                new_id = _flag(request, "restartWithNewInstanceId", default=True)
                return self._accepted(request, self._engine.restart(instance_id, new_id=new_id))
            case "POST", ["rewind"]:
                if instance.status != "Failed":
                    return _message(
                        412,
                        f"This orchestration has status {instance.status}, but only orchestrations in the "
                        '"Failed" state can be rewound.',
                    )
                return _message(501, "Rewind is not supported by the local host.")
        return web.Response(status=404)

    def _get(self, request: web.Request, instance: Instance) -> web.Response:
        body = _status(instance, show_input=_flag(request, "showInput", default=True))
        if _flag(request, "showHistory", default=False):
            outputs = _flag(request, "showHistoryOutput", default=False)
            body["historyEvents"] = public_history(self._store.history(instance.id), outputs=outputs)
        if not instance.final:
            return web.json_response(body, status=202, headers={"Location": str(request.url), "Retry-After": "5"})
        failed = instance.status == "Failed" and _flag(request, "returnInternalServerErrorOnFailure", default=False)
        return web.json_response(body, status=500 if failed else 200)

    async def _raise_event(self, request: web.Request, instance: Instance, name: str) -> web.Response:
        if instance.final:
            return web.Response(status=410)
        if request.content_type != "application/json":
            return _message(400, "Only application/json request content is supported")
        data = json.dumps(json.loads(await request.text() or "null"))
        self._engine.send(instance.id, event(EventType.EVENT_RAISED, Name=name, Input=data))
        return web.Response(status=202)


def _command(name: str, reason: str) -> dict[str, Any]:
    match name:
        case "terminate":
            return event(EventType.EXECUTION_TERMINATED, Input=json.dumps(reason))
        case "suspend":
            return event(EventType.SUSPENDED, Reason=reason)
        case _:
            return event(EventType.RESUMED, Reason=reason)


def _filter(request: web.Request) -> Filter:
    query = request.query
    return Filter(
        prefix=query.get("instanceIdPrefix", ""),
        statuses=tuple(part for part in query.get("runtimeStatus", "").split(",") if part),
        created_from=parse_iso(query["createdTimeFrom"]) if query.get("createdTimeFrom") else None,
        created_to=parse_iso(query["createdTimeTo"]) if query.get("createdTimeTo") else None,
    )


def _flag(request: web.Request, name: str, *, default: bool) -> bool:
    value = request.query.get(name, "").lower()
    return default if value not in ("true", "false") else value == "true"


def _status(instance: Instance, *, show_input: bool) -> dict[str, Any]:
    return {
        "name": instance.name,
        "instanceId": instance.id,
        "runtimeStatus": instance.status,
        "input": _json(instance.input) if show_input else None,
        "customStatus": _json(instance.custom),
        "output": _json(instance.output),
        "createdTime": f"{instance.created[:19]}Z",
        "lastUpdatedTime": f"{instance.updated[:19]}Z",
    }


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _message(status: int, text: str) -> web.Response:
    """The error body of the extension; the Python client reads ``ExceptionMessage`` of a 400."""
    return web.json_response({"Message": text, "ExceptionMessage": text}, status=status)
