"""Loads function_app.py and indexes it through azure-functions itself, under the rules of the real Python worker.

The rules are those of azure-functions-runtime (PyPI, 1.3.0): loader.py, functions.py, utils/validators.py.
"""

import importlib
import importlib.util
import inspect
import json
import logging
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import azure.functions as func
from azure.functions import meta

from infra.local.host.errors import HostError
from infra.local.host.logs import origin
from infra.local.host.settings import HostConfig, Lookup, resolve, script_name

log = logging.getLogger("localhost.indexing")
_REGISTRY: Any = func.get_binding_registry()  # type: ignore[no-untyped-call]
_TRIGGERS = {"httpTrigger", "timerTrigger", "queueTrigger", "orchestrationTrigger", "activityTrigger"}
_OTHERS = {"http", "queue", "durableClient"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One binding. ``converter`` is the name of the converter in azure-functions' registry, or ``generic``."""

    name: str
    type: str
    out: bool
    raw: Mapping[str, Any]
    converter: str
    annotation: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One indexed function, ready to be invoked."""

    name: str
    call: Callable[..., Any]
    directory: str
    trigger: Binding
    inputs: tuple[Binding, ...]
    outputs: tuple[Binding, ...]
    returned: Binding | None
    is_async: bool
    wants_context: bool
    disabled: bool = False


class Generic:
    """Converter for parameters annotated ``str`` or ``bytes``: the payload as it is (the worker's GenericBinding)."""

    @staticmethod
    def decode(data: meta.Datum, *, trigger_metadata: object) -> Any:  # noqa: ARG004  the registry's signature
        if data.type not in ("string", "bytes", "json"):
            raise ValueError(f'unexpected type of data received for the "generic" binding: {data.type!r}')
        return data.value

    @staticmethod
    def encode(obj: Any, *, expected_type: object) -> meta.Datum:  # noqa: ARG004  the registry's signature
        if isinstance(obj, str):
            return meta.Datum(obj, "string")
        if isinstance(obj, bytes | bytearray):
            return meta.Datum(bytes(obj), "bytes")
        raise NotImplementedError

    @staticmethod
    def check_input_type_annotation(kind: type) -> bool:
        return issubclass(kind, str | bytes)

    @staticmethod
    def check_output_type_annotation(kind: type) -> bool:
        return issubclass(kind, str | bytes)


def converter(name: str) -> Any:
    """The converter class of azure-functions for a binding type."""
    found = None if name == "generic" else _REGISTRY.get(name)
    return Generic if found is None else found


def load_functions(root: Path, config: HostConfig, environment: Mapping[str, str]) -> list[Function]:
    """Imports the app at ``root`` and indexes it. HostError, in the worker's words where it has some, on any fault.

    Has to run at most once per process: modules stay imported, so a reload is a new process.
    """
    app = _find_app(root, script_name(environment))
    try:
        built = app.get_functions()
    except ValueError as error:  # a name that two functions have
        raise HostError(str(error)) from None
    functions = [_index(one, root, environment.get) for one in built]
    if not functions:
        raise HostError("No functions found: function_app.py registers none on its FunctionApp.")
    names = [f.name for f in functions]
    missing = sorted((config.only_functions or frozenset()) - set(names))
    if missing:
        raise HostError(f"host.json: functions names {', '.join(missing)}, which the app does not have.")
    return [
        replace(
            f,
            disabled=(config.only_functions is not None and f.name not in config.only_functions)
            or _flag(environment, f.name),
        )
        for f in functions
    ]


def _flag(environment: Mapping[str, str], name: str) -> bool:
    dotted, flat = f"AzureWebJobs.{name}.Disabled", f"AzureWebJobs_{name}_Disabled"
    return (environment.get(dotted) or environment.get(flat) or "").lower() in ("true", "1")


def _find_app(root: Path, script: str) -> func.FunctionRegister:
    path = root / script
    if not path.is_file():
        raise HostError(f"{path} does not exist: start the host with --root set to the folder that holds {script}.")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    name = path.stem
    try:
        module = importlib.import_module(name)
    except Exception as error:
        log.debug("stack", exc_info=True)
        raise HostError(
            f"{script} cannot be imported: {type(error).__name__}: {error} (raised at {origin(error)}; "
            "--verbose shows the stack)."
        ) from error
    if Path(module.__file__ or "").resolve() != path.resolve():
        raise HostError(f"the module {name} was found at {module.__file__}, not at {path}.")
    apps = {id(value): value for value in vars(module).values() if isinstance(value, func.FunctionRegister)}
    if len(apps) != 1:
        raise HostError(f"{script} must hold exactly one FunctionApp or DFApp at module level, it holds {len(apps)}.")
    return next(iter(apps.values()))


def _index(built: Any, root: Path, lookup: Lookup) -> Function:
    name, call = built.get_function_name(), built.get_user_function()
    raws = [_resolved(json.loads(raw), lookup, name) for raw in built.get_raw_bindings()]
    unsupported = [raw["type"] for raw in raws if raw["type"] not in _TRIGGERS | _OTHERS]
    if unsupported:
        raise _load_error(name, f"the local host has no binding of type {', '.join(unsupported)}")
    if sum(raw["type"] in _TRIGGERS for raw in raws) != 1:
        raise _load_error(name, "a function has exactly one trigger")
    params = dict(inspect.signature(call).parameters)
    annotations = _annotations(name, call)
    bound = {raw["name"]: raw for raw in raws if raw["name"] != "$return"}
    wants_context = "context" in params and "context" not in bound
    if wants_context:
        params.pop("context")
        kind = annotations.get("context")
        if kind is not None and getattr(kind, "__name__", "") != "Context":
            raise _load_error(
                name, f'the "context" parameter is expected to be of type azure.functions.Context, got {kind!r}'
            )
    if set(params) - set(bound):
        extra = sorted(set(params) - set(bound))
        raise _load_error(name, f"the following parameters are declared in Python but not by a decorator: {extra}")
    if set(bound) - set(params):
        extra = sorted(set(bound) - set(params))
        raise _load_error(
            name, f"the following parameters are declared as bindings but are not present in Python: {extra}"
        )
    bindings = [_binding(name, raw, annotations) for raw in bound.values()]
    trigger = next(binding for binding in bindings if binding.type in _TRIGGERS)
    return Function(
        name=name,
        call=call,
        directory=str(root),
        trigger=trigger,
        inputs=tuple(binding for binding in bindings if not binding.out),
        outputs=tuple(binding for binding in bindings if binding.out),
        returned=_returned(name, raws, trigger, annotations),
        is_async=inspect.iscoroutinefunction(call),
        wants_context=wants_context,
    )


def _resolved(raw: dict[str, Any], lookup: Lookup, function: str) -> dict[str, Any]:
    return {
        key: resolve(value, lookup, f"{function}: {key}")
        if isinstance(value, str) and key not in ("name", "type")
        else value
        for key, value in raw.items()
    }


def _annotations(function: str, call: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(call)
    except Exception as error:  # whatever evaluating the annotation's text raises; the worker stops at it too
        raise _load_error(function, f"its annotations cannot be read: {error}") from None


def _binding(function: str, raw: dict[str, Any], annotations: Mapping[str, Any]) -> Binding:
    name, kind, out = raw["name"], raw["type"], raw["direction"].upper() == "OUT"
    if raw["direction"].upper() == "INOUT":
        raise _load_error(function, '"inout" bindings are not supported')
    given = name in annotations
    annotation = annotations.get(name)
    is_out = getattr(typing.get_origin(annotation) or annotation, "__name__", "") == "Out"
    if given and out and not is_out:
        raise _load_error(function, f"binding {name} goes out, but its annotation is not azure.functions.Out")
    if is_out and not out:
        raise _load_error(function, f"binding {name} comes in, but its annotation is azure.functions.Out")
    inner = typing.get_args(annotation)[0] if is_out and typing.get_args(annotation) else annotation
    # list[str] is no generic type to the worker, typing.List[str] is
    odd = typing.get_origin(inner) is None or isinstance(inner, types.GenericAlias)
    if given and not isinstance(inner, type) and odd:
        raise _load_error(function, f"binding {name} has invalid non-type annotation {annotation!r}")
    used = "generic" if given and inner in (str, bytes) and not _implicit_output(kind) else kind
    if given and not _fits(used, inner, out=out):
        shown = getattr(inner, "__name__", repr(inner))
        raise _load_error(function, f'type of {name} binding "{kind}" does not match its Python annotation "{shown}"')
    return Binding(name=name, type=kind, out=out, raw=raw, converter=used, annotation=inner)


def _fits(kind: str, annotation: Any, *, out: bool) -> bool:
    check = converter(kind).check_output_type_annotation if out else converter(kind).check_input_type_annotation
    try:
        return bool(check(annotation))
    except TypeError:  # issubclass() on a generic: the worker fails on it as well
        return False


def _returned(
    function: str, raws: list[dict[str, Any]], trigger: Binding, annotations: Mapping[str, Any]
) -> Binding | None:
    explicit = next((raw for raw in raws if raw["name"] == "$return"), None)
    if explicit is not None:
        kind = annotations.get("return")
        if "return" in annotations and not isinstance(kind, type):
            raise _load_error(function, f"has invalid non-type return annotation {kind!r}")
        if kind is not None and not _fits(explicit["type"], kind, out=True):
            shown = getattr(kind, "__name__", repr(kind))
            raise _load_error(
                function, f'Python return annotation "{shown}" does not match binding type "{explicit["type"]}"'
            )
        return Binding(
            name="$return", type=explicit["type"], out=True, raw=explicit, converter=explicit["type"], annotation=kind
        )
    if _implicit_output(trigger.type):
        return Binding(name="$return", type=trigger.type, out=True, raw={}, converter=trigger.type)
    return None


def _implicit_output(kind: str) -> bool:
    return bool(getattr(converter(kind), "has_implicit_output", lambda: False)())


def _load_error(function: str, why: str) -> HostError:
    return HostError(f"cannot load the {function} function: {why}.")
