"""The API's page: made from the OpenAPI document on the server, so that it needs no script and nothing from elsewhere."""

from html import escape
from typing import Any

STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1b1b1b;background:#fff}
h1{font-size:1.6rem}h2{margin-top:2.2rem;border-bottom:1px solid #ccc}
details{border:1px solid #ddd;border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer;font-family:ui-monospace,monospace}
.m{display:inline-block;min-width:4.5rem;font-weight:700}
table{border-collapse:collapse;margin:.6rem 0}td,th{border:1px solid #ddd;padding:.2rem .6rem;text-align:left;vertical-align:top}
code{font-family:ui-monospace,monospace}"""


def page(document: dict[str, Any]) -> str:
    """HTML of an OpenAPI document: every operation with its parameters, bodies and answers."""
    info = document["info"]
    schemas = document.get("components", {}).get("schemas", {})
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_operation(method, path, operation, schemas))
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(shown)}" for tag, shown in groups.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])} API</title>'
        f"<style>{STYLE}</style></head><body><main><h1>{escape(info['title'])} API {escape(info['version'])}</h1>"
        f"<p>{escape(info.get('description', ''))}</p>"
        '<p>The machine-readable form is <a href="/api/openapi.json">/api/openapi.json</a>. '
        "Calls carry the function key in the header <code>x-functions-key</code>.</p>"
        f"{body}</main></body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    parts = [f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p>"]
    parameters = operation.get("parameters", [])
    if parameters:
        rows = "".join(
            f"<tr><td><code>{escape(p['name'])}</code></td><td>{escape(p['in'])}</td><td>{escape(_type(p['schema']))}</td>"
            f"<td>{escape(p.get('description', ''))}</td></tr>"
            for p in parameters
        )
        parts.append(f"<table><tr><th>parameter</th><th>in</th><th>type</th><th></th></tr>{rows}</table>")
    bodies = operation.get("requestBody", {}).get("content", {}).values()
    parts += [_members(media["schema"], schemas) for media in bodies]
    return (
        f'<details><summary><span class="m">{escape(method.upper())}</span> {escape(path)}</summary>'
        f"{''.join(parts)}</details>"
    )


def _members(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    named = schemas.get(_reference(schema), schema)
    required = set(named.get("required", []))
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code>{' *' if name in required else ''}</td><td>{escape(_type(member))}</td>"
        f"<td>{escape(str(member.get('description', '')))}</td></tr>"
        for name, member in named.get("properties", {}).items()
    )
    return f"<table><tr><th>member (* required)</th><th>type</th><th></th></tr>{rows}</table>" if rows else ""


def _reference(schema: dict[str, Any]) -> str:
    for candidate in (schema, *schema.get("anyOf", [])):
        if "$ref" in candidate:
            return str(candidate["$ref"]).rsplit("/", 1)[-1]
    return ""


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(option) for option in schema["anyOf"])
    if "$ref" in schema:
        return _reference(schema)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")
