"""Where Graph and its tokens are, per cloud."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.core.catalog import Cloud
from shared.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """`graph` and `login` are origins without a trailing slash, such as `https://graph.microsoft.com`."""

    graph: str
    login: str
    audience: str = "https://graph.microsoft.com"
    """Whom tokens are for: the cloud's Graph, also where it is reached through a gateway or simulated."""

    @property
    def root(self) -> str:
        return f"{self.graph}/v1.0"

    @property
    def scope(self) -> str:
        return f"{self.audience}/.default"

    @property
    def plain(self) -> bool:
        """The token endpoint speaks http: only on loopback, only for CUSTOM."""
        return self.login.startswith("http://")


# https://learn.microsoft.com/en-us/graph/deployments
_TABLE = (
    (Cloud.GLOBAL, "graph.microsoft.com", "login.microsoftonline.com"),
    (Cloud.USGOV, "graph.microsoft.us", "login.microsoftonline.us"),
    (Cloud.USGOV_DOD, "dod-graph.microsoft.us", "login.microsoftonline.us"),
    (Cloud.CHINA, "microsoftgraph.chinacloudapi.cn", "login.chinacloudapi.cn"),
)
ENDPOINTS = {
    cloud: Endpoints(graph=f"https://{graph}", login=f"https://{login}", audience=f"https://{graph}")
    for cloud, graph, login in _TABLE
}


def custom_endpoints(graph: str, login: str, *, allowed_hosts: frozenset[str]) -> Endpoints:
    """Endpoints at given URLs.

    A host must stand in `allowed_hosts` (the operator's setting), or a definition's author could make this process
    call whatever it can reach. http is for loopback only. Raises ConfigurationError naming every problem.
    """
    problems = (*_problems("graph", graph, allowed_hosts), *_problems("login", login, allowed_hosts))
    if problems:
        raise ConfigurationError("The custom cloud's URLs cannot be used: " + " ".join(problems), problems=problems)
    return Endpoints(graph=graph.rstrip("/"), login=login.rstrip("/"))


def _problems(what: str, url: str, allowed_hosts: frozenset[str]) -> tuple[str, ...]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return (f"The {what} URL is not a URL.",)
    found = []
    if parts.scheme not in ("http", "https") or not host or port == 0:
        found.append(f"The {what} URL must look like https://host or http://127.0.0.1:port.")
    if parts.username or parts.password or parts.query or parts.fragment or parts.path not in ("", "/"):
        found.append(f"The {what} URL must hold scheme, host and port only.")
    if any(character.isspace() or not character.isprintable() or not character.isascii() for character in url):
        found.append(f"The {what} URL must be plain ASCII without blanks.")
    if parts.scheme == "http" and not _loopback(host):
        found.append(f"The {what} URL must be https: http is accepted on a loopback address only.")
    if host and host not in allowed_hosts:
        found.append(f"The {what} URL's host is not among the allowed hosts; add it to SYNCBRIDGE_ALLOWED_HOSTS.")
    return tuple(found)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
