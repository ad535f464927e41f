"""host.json and local.settings.json, read as the real host reads them and refused with a sentence where they are wrong.

Sources: learn.microsoft.com/azure/azure-functions/functions-host-json, functions-app-settings and functions-develop-local.
"""

import copy
import json
import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from infra.local.host.errors import HostError
from infra.local.host.spans import parse_span

_KNOWN_SECTIONS = {
    "$schema",
    "version",
    "functionTimeout",
    "functions",
    "extensions",
    "extensionBundle",
    "logging",
    "telemetryMode",
}
_KNOWN_EXTENSIONS = {"http", "queues", "durableTask"}
_CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueConfig:
    """extensions.queues. ``visibility_timeout`` is the delay before a failed message is tried again."""

    max_polling_interval: timedelta = timedelta(minutes=1)
    batch_size: int = 16
    new_batch_threshold: int = 8 * _CORES
    max_dequeue_count: int = 5
    visibility_timeout: timedelta = timedelta(0)
    base64: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableConfig:
    """extensions.durableTask."""

    hub_name: str = "TestHubName"
    max_activities: int = 10 * _CORES
    max_orchestrators: int = 10 * _CORES
    default_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """What the host uses of host.json, the whole document, and what it could only warn about."""

    route_prefix: str = "api"
    custom_headers: Mapping[str, str] = field(default_factory=dict)
    function_timeout: timedelta | None = timedelta(minutes=30)
    only_functions: frozenset[str] | None = None
    queues: QueueConfig = field(default_factory=QueueConfig)
    durable: DurableConfig = field(default_factory=DurableConfig)
    document: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """``Values`` of local.settings.json, and the port of its ``Host`` section."""

    values: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    warnings: tuple[str, ...] = ()


class _Section:
    """One object of host.json; each getter refuses a wrong value with its full path."""

    def __init__(self, path: str, raw: object) -> None:
        if raw is not None and not isinstance(raw, dict):
            raise HostError(f"host.json: {path} must be an object, not {_shown(raw)}.")
        self.path, self.raw = path, dict(raw or {})

    def _bad(self, key: str, wanted: str) -> HostError:
        return HostError(f"host.json: {self.path}.{key} must be {wanted}, not {_shown(self.raw[key])}.")

    def text(self, key: str, default: str) -> str:
        value = self.raw.get(key, default)
        if not isinstance(value, str):
            raise self._bad(key, "a text")
        return value

    def number(self, key: str, default: int, low: int, high: int) -> int:
        value = self.raw.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._bad(key, f"a whole number from {low} to {high}")
        return value

    def span(self, key: str, default: timedelta, low: timedelta, high: timedelta) -> timedelta:
        if key not in self.raw:
            return default
        wanted = f"a time span (hh:mm:ss) from {low} to {high}"
        try:
            value = parse_span(str(self.raw[key]))
        except ValueError:
            raise self._bad(key, wanted) from None
        if not low <= value <= high:
            raise self._bad(key, wanted)
        return value


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file, with an error that names the file and the line."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise HostError(f"{path} does not exist: start the host with --root set to the folder that holds it.") from None
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise HostError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(document, dict):
        raise HostError(f"{path} must hold a JSON object.")
    return document


_OVERRIDE = "azurefunctionsjobhost__"


def overridden(document: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """host.json under the app settings that stand above it: AzureFunctionsJobHost__extensions__queues__batchSize, say.
    Names are matched whatever their case; texts that are whole numbers or true or false become those."""
    result = copy.deepcopy(dict(document))
    for name, text in sorted(environment.items()):
        if not name.lower().startswith(_OVERRIDE):
            continue
        section, (*path, last) = result, name[len(_OVERRIDE) :].split("__")
        for part in path:
            key = _named(section, part)
            if not isinstance(section.get(key), dict):
                section[key] = {}
            section = section[key]
        section[_named(section, last)] = _typed(text)
    return result


def _named(section: Mapping[str, Any], name: str) -> str:
    return next((key for key in section if key.lower() == name.lower()), name)


def _typed(text: str) -> str | int | bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else text


def parse_host(document: Mapping[str, Any]) -> HostConfig:
    """host.json -> configuration. HostError on a value that the real host would refuse too."""
    if document.get("version") != "2.0":
        raise HostError(f'host.json: version must be "2.0", not {_shown(document.get("version"))}.')
    extensions = _Section("extensions", document.get("extensions"))
    http = _Section("extensions.http", extensions.raw.get("http"))
    headers = _Section("extensions.http.customHeaders", http.raw.get("customHeaders")).raw
    listed = document.get("functions")
    if listed is not None and not (isinstance(listed, list) and all(isinstance(name, str) for name in listed)):
        raise HostError("host.json: functions must be a list of function names.")
    unknown = [key for key in document if key not in _KNOWN_SECTIONS]
    unknown += [f"extensions.{key}" for key in extensions.raw if key not in _KNOWN_EXTENSIONS]
    return HostConfig(
        route_prefix=http.text("routePrefix", "api").strip("/"),
        custom_headers={str(name): str(value) for name, value in headers.items()},
        function_timeout=_function_timeout(document),
        only_functions=None if listed is None else frozenset(listed),
        queues=_queues(extensions),
        durable=_durable(extensions),
        document=dict(document),
        warnings=tuple(f"host.json: the section {key} is kept but does nothing in this host." for key in unknown),
    )


def _function_timeout(document: Mapping[str, Any]) -> timedelta | None:
    if document.get("functionTimeout") == "-1":  # documented: no limit
        return None
    root = _Section("functionTimeout", {k: v for k, v in document.items() if k == "functionTimeout"})
    root.path = "(root)"
    return root.span("functionTimeout", timedelta(minutes=30), timedelta(seconds=1), timedelta(days=10))


def _queues(extensions: _Section) -> QueueConfig:
    queues = _Section("extensions.queues", extensions.raw.get("queues"))
    batch = queues.number("batchSize", 16, 1, 32)
    encoding = queues.text("messageEncoding", "base64").lower()
    if encoding not in ("base64", "none"):
        raise HostError(f'host.json: extensions.queues.messageEncoding must be "base64" or "none", not "{encoding}".')
    return QueueConfig(
        max_polling_interval=queues.span(
            "maxPollingInterval", timedelta(minutes=1), timedelta(milliseconds=100), timedelta(days=1)
        ),
        batch_size=batch,
        new_batch_threshold=queues.number("newBatchThreshold", batch // 2 * _CORES, 0, 1000),
        max_dequeue_count=queues.number("maxDequeueCount", 5, 1, 10_000),
        visibility_timeout=queues.span("visibilityTimeout", timedelta(0), timedelta(0), timedelta(days=7)),
        base64=encoding == "base64",
    )


def _durable(extensions: _Section) -> DurableConfig:
    durable = _Section("extensions.durableTask", extensions.raw.get("durableTask"))
    hub = durable.text("hubName", "TestHubName")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,44}|%[^%]+%", hub):  # the Azure Storage provider's rule
        raise HostError(
            "host.json: extensions.durableTask.hubName must be 1 to 45 letters and digits and start with a letter, "
            f"not {_shown(hub)}."
        )
    version = durable.raw.get("defaultVersion")
    return DurableConfig(
        hub_name=hub,
        max_activities=durable.number("maxConcurrentActivityFunctions", 10 * _CORES, 1, 10_000),
        max_orchestrators=durable.number("maxConcurrentOrchestratorFunctions", 10 * _CORES, 1, 10_000),
        default_version=None if version is None else str(version),
    )


def parse_local(document: Mapping[str, Any], name: str) -> LocalSettings:
    """local.settings.json -> values. ``name`` is the file's name for error texts; values never appear in them."""
    if document.get("IsEncrypted"):
        raise HostError(f"{name} is encrypted: run `func settings decrypt`, this host reads plain settings only.")
    values = document.get("Values", {})
    if not isinstance(values, dict):
        raise HostError(f"{name}: Values must be an object of texts.")
    for key, value in values.items():
        if not isinstance(value, str):
            raise HostError(f"{name}: the value of {key} must be a text in quotes, as environment variables are texts.")
    host = document.get("Host", {})
    port = host.get("LocalHttpPort") if isinstance(host, dict) else None
    if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535):
        raise HostError(f"{name}: Host.LocalHttpPort must be a port number, not {_shown(port)}.")
    cors = isinstance(host, dict) and any(str(key).startswith("CORS") for key in host)
    return LocalSettings(
        values=values, port=port, warnings=(f"{name}: Host.CORS does nothing in this host.",) if cors else ()
    )


def apply_values(values: Mapping[str, str], environment: MutableMapping[str, str]) -> None:
    """Puts ``Values`` into the environment; what stands there already wins, as with the real host."""
    for name, value in values.items():
        environment.setdefault(name, value)
    environment.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")  # as Core Tools does
    runtime = environment.get("FUNCTIONS_WORKER_RUNTIME", "python")
    if runtime.lower() != "python":
        raise HostError(f"FUNCTIONS_WORKER_RUNTIME is {runtime!r}: this host runs Python function apps only.")


Lookup = Callable[[str], str | None]


def resolve(text: str, lookup: Lookup, where: str) -> str:
    """Replaces each ``%NAME%`` by the app setting NAME, as the host does in binding properties."""

    def setting(match: re.Match[str]) -> str:
        value = lookup(match[1])
        if value is None:
            raise HostError(
                f"{where} uses %{match[1]}%, but no app setting or environment variable {match[1]} exists: "
                "add it to Values in local.settings.json."
            )
        return value

    return re.sub(r"%([^%\s]+)%", setting, text)


def script_name(environment: Mapping[str, str]) -> str:
    """PYTHON_SCRIPT_FILE_NAME under the worker's rule: a bare file name at the app's root."""
    name = environment.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
    if not re.fullmatch(r"[a-zA-Z0-9_][a-zA-Z0-9_\-]*\.py", name):
        raise HostError(
            f"PYTHON_SCRIPT_FILE_NAME is {name!r}: the worker takes a bare file name such as function_app.py."
        )
    return name
