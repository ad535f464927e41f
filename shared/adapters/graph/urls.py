"""Paths below Graph's version root, built from checked ids: nobody can make a path leave its place."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urlsplit

from shared.core.errors import ConfigurationError, GraphUnavailable, InvariantViolated
from shared.core.ids import ItemId, ListId, SiteId

_GUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
_SITE_ID = re.compile(rf"{_HOST},{_GUID},{_GUID}")
_GUID_ONLY = re.compile(_GUID)
_HOST_ONLY = re.compile(_HOST)
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_MAX_ITEM_ID = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """`path` begins with a slash and is relative to the version root; `template` is the same without ids, for logs."""

    path: str
    template: str

    def below(self, segment: str, template: str | None = None) -> "Address":
        return Address(path=f"{self.path}/{segment}", template=f"{self.template}/{template or segment}")

    def query(self, options: Mapping[str, str]) -> "Address":
        """Add query options; values are percent-encoded, so that a quote or an ampersand stays within its literal."""
        if not options:
            return self
        text = "&".join(f"{name}={quote(value, safe='(),/$:*')}" for name, value in options.items())
        return Address(path=f"{self.path}?{text}", template=self.template)


def _matching(pattern: re.Pattern[str], value: str, what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvariantViolated(f"A {what} was expected, but its text has another form.", code="bad_graph_id")
    return value


def is_site_id(text: str) -> bool:
    return _SITE_ID.fullmatch(text) is not None


def is_guid(text: str) -> bool:
    return _GUID_ONLY.fullmatch(text) is not None


def is_column_name(text: str) -> bool:
    return _COLUMN.fullmatch(text) is not None


@lru_cache(maxsize=4096)  # the same few names for every item
def column_name(name: str) -> str:
    """The name of a list column, checked. Raises ConfigurationError for anything that is no internal name."""
    if not is_column_name(name):
        raise ConfigurationError(
            "A list column is named by its internal name: a letter or underscore, then letters, digits, underscores.",
            code="bad_column_name",
        )
    return name


SITES = Address(path="/sites", template="/sites")
BATCH = Address(path="/$batch", template="/$batch")
SUBSCRIPTIONS = Address(path="/subscriptions", template="/subscriptions")


def site(site_id: SiteId) -> Address:
    return SITES.below(_matching(_SITE_ID, site_id, "site id (host,guid,guid)"), "{site}")


def site_by_path(host: str, path: str) -> Address:
    """The site at a server-relative path (no leading slash; empty: the host's root site)."""
    checked = _matching(_HOST_ONLY, host, "host name")
    if not path:
        return SITES.below(checked, "{host}")
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise ConfigurationError("A site's path has no empty, '.' or '..' parts.", code="bad_site_path")
    return SITES.below(f"{checked}:/{quote(path, safe='/')}", "{host}:/{path}")


def group_site(group_id: str) -> Address:
    return Address(
        path=f"/groups/{_matching(_GUID_ONLY, group_id, 'group id (GUID)')}/sites/root",
        template="/groups/{group}/sites/root",
    )


def lists(site_id: SiteId) -> Address:
    return site(site_id).below("lists")


def list_of(site_id: SiteId, list_id: ListId) -> Address:
    return lists(site_id).below(_matching(_GUID_ONLY, list_id, "list id (GUID)"), "{list}")


def columns(site_id: SiteId, list_id: ListId) -> Address:
    return list_of(site_id, list_id).below("columns")


def column(site_id: SiteId, list_id: ListId, column_id: str) -> Address:
    return columns(site_id, list_id).below(_matching(_GUID_ONLY, column_id, "column id (GUID)"), "{column}")


def items(site_id: SiteId, list_id: ListId) -> Address:
    return list_of(site_id, list_id).below("items")


def item(site_id: SiteId, list_id: ListId, item_id: ItemId) -> Address:
    if type(item_id) is not int or not 0 < item_id <= _MAX_ITEM_ID:
        raise InvariantViolated("An item id is a positive 32-bit number.", code="bad_graph_id")
    return items(site_id, list_id).below(str(item_id), "{item}")


def item_fields(site_id: SiteId, list_id: ListId, item_id: ItemId) -> Address:
    return item(site_id, list_id, item_id).below("fields")


def item_versions(site_id: SiteId, list_id: ListId, item_id: ItemId) -> Address:
    return item(site_id, list_id, item_id).below("versions")


def delta(site_id: SiteId, list_id: ListId) -> Address:
    return items(site_id, list_id).below("delta")


def subscription(subscription_id: str) -> Address:
    return SUBSCRIPTIONS.below(_matching(_GUID_ONLY, subscription_id, "subscription id (GUID)"), "{subscription}")


def subscription_resource(site_id: SiteId, list_id: ListId) -> str:
    """Relative, without a leading slash, as the subscription page shows it."""
    return list_of(site_id, list_id).path.removeprefix("/")


def literal(text: str) -> str:
    """An OData string literal: single quotes doubled, the whole in single quotes (OData 4.01 ABNF).

    Raises InvariantViolated for text that is not encodable (lone surrogates): no list can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvariantViolated("A filter's text holds half a surrogate pair.", code="bad_literal") from None
    return "'" + text.replace("'", "''") + "'"


def followed(link: object, root: str) -> str:
    """A nextLink or deltaLink as a path relative to `root`, kept verbatim otherwise.

    Links come from answers and from storage: one that points to another origin, or outside the version root, would
    carry our token to a stranger. Raises GraphUnavailable.
    """
    if isinstance(link, str) and len(link) <= 16_384 and link.isascii() and link.isprintable():
        try:
            given, own = urlsplit(link), urlsplit(root)
            same = (given.scheme, given.hostname, given.port) == (own.scheme, own.hostname, own.port)
        except ValueError:
            same = False
        else:
            same = same and not given.fragment and given.username is None and given.password is None
        if same and given.path.startswith(own.path + "/") and "/../" not in given.path + "/":
            return given.path.removeprefix(own.path) + (f"?{given.query}" if given.query else "")
    raise GraphUnavailable("Graph's answer holds a link to another place; it is not followed.", code="foreign_link")
