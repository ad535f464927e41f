"""Page sizes and `$skiptoken`: base64 of a SharePoint paging string, as recorded answers show it."""

import base64
import binascii
import re
from urllib.parse import quote

from infra.simulator import errors
from infra.simulator.options import Options
from infra.simulator.wire import Request
from infra.simulator.world import World

_POSITION = re.compile(r"Paged=TRUE&p_ID=(\d{1,12})(?:&top=(\d{1,12}))?")


def size(world: World, top: int | None) -> int:
    if top is None or not world.rules.holds("PAGE-TOP"):
        return int(world.knobs["page_size_default"]) if world.rules.holds("PAGE-DEFAULT-200") else 100
    return min(top, int(world.knobs["page_size_max"]))


def position(world: World, options: Options) -> int:
    """The id after which the page begins. Raises GraphError."""
    token = options.get("skiptoken")
    if token is None:
        return 0
    if not world.rules.holds("PAGE-SKIPTOKEN") and token.isascii() and token.isdigit():
        return int(token)
    try:
        text = base64.b64decode(token.encode("ascii"), validate=True).decode("ascii")
    except (binascii.Error, UnicodeError, ValueError):
        text = ""
    match = _POSITION.fullmatch(text)
    if match is None:
        if not world.rules.holds("PAGE-BAD-SKIPTOKEN"):
            return 0
        raise errors.invalid("The $skiptoken is not valid.", "invalidSkipToken")
    return int(match.group(1))


def next_link(world: World, request: Request, after: int) -> str:
    """The caller's own URL with a skip token behind the other options."""
    token = (
        base64.b64encode(f"Paged=TRUE&p_ID={after}".encode()).decode()
        if world.rules.holds("PAGE-SKIPTOKEN")
        else str(after)
    )
    path, _, query = request.target.partition("?")
    kept = [
        part
        for part in query.split("&")
        if part and not part.lower().startswith(("$skiptoken=", "skiptoken=", "%24skiptoken="))
    ]
    options = "&".join([*kept, f"$skiptoken={quote(token, safe='')}"])
    link = f"{path}?{options}"
    if not world.rules.holds("PAGE-NEXT-LINK"):
        return link.removeprefix("/v1.0")
    return f"{request.base()}{link}"
