"""A small page at /_sim/ for people: lists, a grid, the recycle bin, the last requests.

No script, no outside files; everything is escaped.
"""

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

from infra.simulator import errors
from infra.simulator.columns import LOOKUPS, Column
from infra.simulator.lists import SharePointList
from infra.simulator.wire import Request, Response

if TYPE_CHECKING:
    from infra.simulator.people import People
    from infra.simulator.service import Service

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:1.5rem;color:#1b1b1b;background:#fff}"
    "table{border-collapse:collapse;width:100%}caption{text-align:left;font-weight:600;padding:.4rem 0}"
    "th,td{border:1px solid #767676;padding:.3rem .5rem;text-align:left;vertical-align:top}th{background:#eee}"
    "input,select,button{font:inherit;padding:.2rem .4rem}a{color:#00468b}label{display:block;margin:.4rem 0}"
    ":focus-visible{outline:3px solid #00468b;outline-offset:2px}form.inline{display:inline}"
    ".error{border:2px solid #a4000f;padding:.5rem;color:#a4000f}"
)
_PAGE = 50
_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)


class Page:
    def __init__(self, service: "Service", people: "People") -> None:
        self._service = service
        self._world = service.world
        self._people = people

    def handle(self, request: Request, parts: list[str]) -> Response:
        """GET shows, POST changes and goes back."""
        if request.method == "POST":
            try:
                return self._change(request, parts)
            except errors.GraphError as error:
                return self._show(request, parts, error.message)
            except ValueError as error:
                return self._show(request, parts, str(error))
        return self._show(request, parts, "")

    # -- showing

    def _show(self, request: Request, parts: list[str], problem: str) -> Response:
        note = f'<p class="error" role="alert">{escape(problem)}</p>' if problem else ""
        match parts:
            case ["lists", name]:
                lst = self._world.list_by_id(name)
                if lst is not None:
                    return _html(400 if problem else 200, lst.title, note + self._grid(request, lst))
            case ["lists", name, "items", item]:
                lst = self._world.list_by_id(name)
                if lst is not None:
                    return _html(400 if problem else 200, f"{lst.title}: item", note + self._form(lst, item))
            case []:
                return _html(400 if problem else 200, "Lists", note + self._lists() + self._requests())
        return _html(404, "Not found", "<p>There is no such page.</p>")

    def _lists(self) -> str:
        rows = ""
        for lst in list(self._world.lists.values())[:2000]:
            about = self._people.about(lst)
            link = f'<a href="/_sim/page/lists/{lst.id}">{escape(lst.title)}</a>'
            rows += _line((link, escape(about["site"] or "/"), str(about["items"])))
        return _table("Lists", ("List", "Site", "Items"), rows)

    def _requests(self) -> str:
        rows = ""
        for entry in self._world.journal.last(25):
            inner = f" ({len(entry.inner)} inside)" if entry.inner else ""
            cells = (
                entry.time,
                entry.method,
                entry.path[:160] + inner,
                entry.status or "no answer",
                entry.ru,
                entry.fault,
            )
            rows += _line(escape(str(cell)) for cell in cells)
        return _table("Last requests", ("Time", "Method", "Path", "Status", "RU", "Fault"), rows)

    def _grid(self, request: Request, lst: SharePointList) -> str:
        query = request.query if request.method == "GET" else {}
        text, skip = query.get("q", ""), int(query["skip"]) if query.get("skip", "").isdigit() else 0
        found, total = self._people.search(lst, text, skip, _PAGE)
        columns = _shown(lst)
        heads = ("ID", *(escape(column.title) for column in columns), "Changed", "By", "Version", "Actions")
        body = "".join(self._line(lst, columns, self._people.row(lst, row)) for row in found)
        here = f"/_sim/page/lists/{lst.id}"
        links = ""
        if skip:
            links += f'<a href="{here}?q={quote(text)}&amp;skip={max(0, skip - _PAGE)}">Earlier</a> '
        if skip + _PAGE < total:
            links += f'<a href="{here}?q={quote(text)}&amp;skip={skip + _PAGE}">Later</a>'
        inputs = "".join(_input(column, "") for column in columns if _writable(column))
        binned = ""
        for row in self._world.rows.recycled(lst, _PAGE):
            button = _button(f"{here}/recycle-bin/{row.id}/restore", f"Restore item {row.id}")
            binned += f"<li>{row.id} {escape(str(row.values.get('t', '')))} {button}</li>"
        return (
            f'<nav><a href="/_sim/">All lists</a></nav><form method="get" action="{here}">'
            f'<label>Search <input name="q" value="{escape(text)}"></label><button>Search</button></form><p>{total} items</p>'
            f"{_table(escape(lst.title), heads, body)}<p>{links}</p>"
            f'<h2>Add an item</h2><form method="post" action="{here}">{inputs}<button>Add</button></form>'
            f"<h2>Recycle bin</h2><ul>{binned}</ul>{self._requests()}"
        )

    def _line(self, lst: SharePointList, columns: list[Column], row: dict[str, Any]) -> str:
        values = (escape(_text(row["fields"], column)) for column in columns)
        here = f"/_sim/page/lists/{lst.id}/items/{row['id']}"
        actions = f'<a href="{here}" aria-label="Edit item {row["id"]}">Edit</a> ' + _button(
            f"{here}/delete", f"Delete item {row['id']}", "Delete"
        )
        return _line((str(row["id"]), *values, row["modified"], escape(row["editor"]), str(row["version"]), actions))

    def _form(self, lst: SharePointList, item: str) -> str:
        row = self._people.row(lst, self._people.items.get(lst, item))
        inputs = "".join(_input(column, _text(row["fields"], column)) for column in _shown(lst) if _writable(column))
        here = f"/_sim/page/lists/{lst.id}/items/{row['id']}"
        return (
            f'<nav><a href="/_sim/page/lists/{lst.id}">{escape(lst.title)}</a></nav>'
            f"<p>Version {row['version']}, changed {row['modified']} by {escape(row['editor'])}</p>"
            f'<form method="post" action="{here}">{inputs}<button>Save</button></form>'
        )

    # -- changing

    def _change(self, request: Request, parts: list[str]) -> Response:
        form = dict(parse_qsl(request.body.decode("utf-8", errors="replace"), keep_blank_values=True))
        match parts:
            case ["lists", name, *rest] if (lst := self._world.list_by_id(name)) is not None:
                actor = self._people.actor(request, lst)
                items = self._people.items
                match rest:
                    case []:
                        items.create(
                            lst, {key: value for key, value in _values(lst, form).items() if value is not None}, actor
                        )
                    case ["items", item]:
                        items.update(lst, items.get(lst, item), _values(lst, form), actor)
                    case ["items", item, "delete"]:
                        items.delete(lst, items.get(lst, item), actor)
                    case ["recycle-bin", item, "restore"] if item.isdigit():
                        items.restore(lst, int(item), actor)
                    case _:
                        return _html(404, "Not found", "<p>There is no such form.</p>")
                return Response(status=303, headers=(("Location", f"/_sim/page/lists/{lst.id}"),))
        return _html(404, "Not found", "<p>There is no such form.</p>")


def _html(status: int, title: str, body: str) -> Response:
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)} - simulator</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return Response(status=status, headers=_HEADERS, content=page.encode(), content_type="text/html; charset=utf-8")


def _button(action: str, label: str, text: str = "") -> str:
    button = f'<button aria-label="{escape(label)}">{escape(text or label)}</button>'
    return f'<form class="inline" method="post" action="{action}">{button}</form>'


def _table(caption: str, heads: Iterable[str], rows: str) -> str:
    """All parts are HTML already."""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _line(cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _shown(lst: SharePointList) -> list[Column]:
    return [column for column in lst.columns.values() if column.slot]


def _writable(column: Column) -> bool:
    return column.kind in (
        "text",
        "note",
        "number",
        "currency",
        "boolean",
        "dateTime",
        "choice",
        "multichoice",
        *LOOKUPS,
    )


def _input(column: Column, value: str) -> str:
    options = (
        column.options.get("choices")
        if column.kind == "choice"
        else ["true", "false"]
        if column.kind == "boolean"
        else None
    )
    name, label = escape(column.name), escape(f"{column.title} ({column.kind})")
    if options is not None:
        chosen = "".join(
            f"<option{' selected' if option == value else ''}>{escape(option)}</option>" for option in ["", *options]
        )
        return f'<label>{label} <select name="{name}">{chosen}</select></label>'
    return f'<label>{label} <input name="{name}" value="{escape(value)}"></label>'


def _text(fields: dict[str, Any], column: Column) -> str:
    value = fields.get(column.name if column.kind not in ("lookup", "user") else f"{column.name}LookupId")
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return "; ".join(
                str(entry.get("LookupId", "")) if isinstance(entry, dict) else str(entry) for entry in value
            )
        case dict():
            return str(value.get("Url", ""))
        case _:
            return str(value)


def _values(lst: SharePointList, form: dict[str, str]) -> dict[str, Any]:
    """Form texts as a person's `fields`: empty clears, numbers and times are read. Raises ValueError."""
    fields: dict[str, Any] = {}
    for column in _shown(lst):
        text = form.get(column.name)
        if text is None or not _writable(column):
            continue
        match column.kind:
            case _ if text == "":
                fields[column.key] = None
            case "number" | "currency":
                fields[column.key] = float(text)
            case "boolean":
                fields[column.key] = text == "true"
            case "multichoice" | "multilookup" | "multiuser":
                entries = [part.strip() for part in text.split(";") if part.strip()]
                fields[column.key] = [int(entry) for entry in entries] if column.kind != "multichoice" else entries
            case _:
                fields[column.key] = text
    return fields
