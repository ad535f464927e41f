"""Which site a URL means. Source: learn.microsoft.com/en-us/graph/api/site-get and site-getbypath."""

import re

from infra.simulator import errors
from infra.simulator.tenants import Site, Tenant
from infra.simulator.wire import segments
from infra.simulator.world import World

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BY_PATH = re.compile(r"(?i)getByPath\(path='(.*)'\)")
_KEYED = re.compile(r"(sites|lists|items|columns|versions|permissions|subscriptions)\('([^']*)'\)")


def path_segments(path: str) -> list[str]:
    """Decoded segments below the version root; `lists('x')` counts as `lists/x`."""
    parts: list[str] = []
    for part in segments(path):
        keyed = _KEYED.fullmatch(part)
        parts += [keyed.group(1), keyed.group(2)] if keyed else [part]
    return parts


def unknown_site() -> errors.GraphError:
    return errors.not_found("Requested site could not be found")


class Addressing:
    def __init__(self, world: World) -> None:
        self._world = world

    def site(self, tenant: Tenant, parts: list[str], raw: str) -> tuple[Site, list[str]]:
        """The site that `parts` (behind `sites`) begin with, and what follows it; `raw` is the path as sent.

        Raises GraphError.
        """
        holds = self._world.rules.holds
        head, rest = parts[0], parts[1:]
        if ":" in head:
            return self._by_colon(tenant, head, rest, raw)
        site = self._by_id(tenant, head, raw)
        if rest and (match := _BY_PATH.fullmatch(rest[0])):
            if not holds("SITE-GET-BY-PATH-FUNCTION"):
                raise errors.no_segment(rest[0])
            return self._below(tenant, site, match.group(1)), rest[1:]
        return site, rest

    def _by_colon(self, tenant: Tenant, head: str, rest: list[str], raw: str) -> tuple[Site, list[str]]:
        """`host:/a/b`, `host:/a/b:/lists`, and the same within one encoded segment."""
        holds = self._world.rules.holds
        anchor, _, within = head.partition(":")
        if within and "/" in within and not holds("SITE-BY-PATH-ENCODED"):
            raise unknown_site()
        if "%3a" in raw.lower() and not holds("SITE-BY-PATH-ENCODED"):
            raise unknown_site()
        site = self._by_id(tenant, anchor, raw)
        if within.strip("/"):
            path, _, tail = within.partition(":")
            following = [part for part in tail.split("/") if part] + rest
            return self._below(tenant, site, path), following
        path_parts: list[str] = []
        for position, part in enumerate(rest):
            if part.endswith(":") and holds("SITE-BY-PATH-CONTINUES"):
                path_parts.append(part[:-1])
                return self._below(tenant, site, "/".join(path_parts)), rest[position + 1 :]
            path_parts.append(part)
        return self._below(tenant, site, "/".join(path_parts)), []

    def _below(self, tenant: Tenant, site: Site, path: str) -> Site:
        if not self._world.rules.holds("SITE-BY-PATH"):
            return self._root(tenant)
        clean = "/" + path.strip("/") if path.strip("/") else ""
        found = self._world.site_by_path(tenant, clean) or self._world.site_by_path(tenant, site.path + clean)
        if found is None:
            raise self._unknown()
        return found

    def _unknown(self) -> errors.GraphError:
        if self._world.rules.holds("SITE-UNKNOWN"):
            return unknown_site()
        return errors.invalid("Requested site could not be found")

    def _root(self, tenant: Tenant) -> Site:
        site = self._world.site_by_path(tenant, "")
        if site is None:
            raise self._unknown()
        return site

    def _by_id(self, tenant: Tenant, text: str, raw: str) -> Site:
        holds, world = self._world.rules.holds, self._world
        if text.lower() == "root":
            return self._root(tenant)
        if "%2c" in raw.lower() and not holds("SITE-ENCODED-COMMAS"):
            raise self._unknown()
        names = text.split(",")
        if not _GUID.fullmatch(names[0]):
            if names[0].lower() != tenant.hostname.lower():
                if "." in names[0] and holds("SITE-UNKNOWN-HOST"):
                    raise errors.invalid("Invalid hostname for this tenancy")
                raise self._unknown()
            if len(names) == 1:
                if not holds("SITE-BY-HOST"):
                    raise self._unknown()
                return self._root(tenant)
            names = names[1:]
        elif len(names) == 1 and not holds("SITE-BY-COLLECTION-GUID") and holds("SITE-COMPOSITE-ID"):
            raise self._unknown()
        if len(names) > 2:
            raise self._unknown()
        found = world.site_by_guid(tenant, names[-1])
        if found is None or (len(names) == 2 and found.collection != names[0].lower()):
            raise self._unknown()
        return found
