"""Function apps that must not load: what the local host says, and what the real worker's library says.

``worker_says`` None: the worker loads it, and the host in front of it refuses.
"""

from dataclasses import dataclass

_APP = "import azure.durable_functions as df\nimport azure.functions as func\napp = df.DFApp()\n"


@dataclass(frozen=True)
class Mistake:
    name: str
    source: str
    host_says: str
    worker_says: str | None = None


def _route(definition: str, decorators: str = "@app.route()\n") -> str:
    return f"{_APP}{decorators}{definition}\n"


MISTAKES = [
    Mistake(
        "no app",
        "x = 1\n",
        "exactly one FunctionApp or DFApp at module level, it holds 0",
        "Could not find top level function app instances",
    ),
    Mistake(
        "two apps",
        _APP + "other = func.FunctionApp()\n",
        "exactly one FunctionApp or DFApp at module level, it holds 2",
        "More than one",
    ),
    Mistake("no functions", _APP, "No functions found"),
    Mistake(
        "one name twice",
        _route("def f(req: func.HttpRequest) -> str: ...")
        + "@app.function_name('f')\n@app.route(route='g')\ndef g(req: func.HttpRequest) -> str: ...\n",
        "does not have a unique function name",
        "does not have a unique function name",
    ),
    Mistake(
        "a parameter without a binding",
        _route("def f(req: func.HttpRequest, y: str) -> str: ..."),
        "declared in Python but not by a decorator: ['y']",
        "declared in Python but not in the function definition",
    ),
    Mistake(
        "a binding without a parameter",
        _route("def f() -> str: ..."),
        "declared as bindings but are not present in Python: ['req']",
        "declared as bindings but are not present in Python: {'req'}",
    ),
    Mistake(
        "a wrong annotation",
        _route("def f(req: int) -> str: ..."),
        'type of req binding "httpTrigger" does not match its Python annotation "int"',
        'type of req binding in the binding decorator "httpTrigger" does not match its Python annotation "int"',
    ),
    Mistake(
        "an unknown annotation",
        _route("def f(req: 'Unknown') -> str: ..."),
        "name 'Unknown' is not defined",
        "name 'Unknown' is not defined",
    ),
    Mistake(
        "a wrong return annotation",
        _route("def f(req: func.HttpRequest) -> int: ..."),
        'Python return annotation "int" does not match binding type "http"',
        'Python return annotation "int" does not match binding type "http"',
    ),
    Mistake(
        "a return annotation of None",
        _route("def f(req: func.HttpRequest) -> None: ..."),
        'Python return annotation "NoneType" does not match binding type "http"',
        'Python return annotation "NoneType" does not match binding type "http"',
    ),
    Mistake(
        "a return annotation that is no type",
        _route("def f(req: func.HttpRequest) -> str | None: ..."),
        "has invalid non-type return annotation",
        "has invalid non-type return annotation",
    ),
    Mistake(
        "a wrong context",
        _route("def f(req: func.HttpRequest, context: str) -> str: ..."),
        'the "context" parameter is expected to be of type azure.functions.Context',
        'the "context" parameter is expected to be of type azure.functions.Context',
    ),
    Mistake(
        "an output without Out",
        _route(
            "def f(req: func.HttpRequest, o: str) -> str: ...",
            '@app.queue_output(arg_name="o", queue_name="q", connection="S")\n@app.route()\n',
        ),
        "binding o goes out, but its annotation is not azure.functions.Out",
        'binding o is declared to have the "out" direction',
    ),
    Mistake(
        "an input with Out",
        _route("def f(req: func.Out[str]) -> str: ..."),
        "binding req comes in, but its annotation is azure.functions.Out",
        'binding req is declared to have the "in" direction',
    ),
    Mistake(
        "a builtin generic in Out",
        _route(
            "def f(req: func.HttpRequest, o: func.Out[list[str]]) -> str: ...",
            '@app.queue_output(arg_name="o", queue_name="q", connection="S")\n@app.route()\n',
        ),
        "binding o has invalid non-type annotation",
        "binding o has invalid non-type annotation",
    ),
    Mistake(
        "a schedule of three fields",
        _APP + '@app.timer_trigger(schedule="* * *", arg_name="t")\ndef f(t: func.TimerRequest): ...\n',
        "an NCRONTAB schedule has six: second minute hour day month day-of-week",
    ),
    Mistake(
        "a setting that does not exist",
        _APP + '@app.timer_trigger(schedule="%WHEN%", arg_name="t")\ndef f(t: func.TimerRequest): ...\n',
        "f: schedule uses %WHEN%, but no app setting or environment variable WHEN exists",
    ),
    Mistake(
        "an unknown route constraint",
        _route("def f(req: func.HttpRequest) -> str: ...", '@app.route(route="a/{x:colour}")\n'),
        "does not know the route constraint 'colour'",
    ),
    Mistake(
        "a trigger that only Azure has",
        _APP + '@app.blob_trigger(arg_name="b", path="c/n", connection="S")\ndef f(b: func.InputStream): ...\n',
        "the local host has no binding of type blobTrigger",
    ),
]
