"""Every setting, declared once. The sample file and the README's table are checked against this one."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from shared.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    name: str
    kind: type
    default: str | None
    """None: required."""
    meaning: str
    secret: bool = False


DECLARED: tuple[Setting, ...] = (
    Setting(
        name="SYNCBRIDGE_METASTORE_DSN",
        kind=str,
        default=None,
        secret=True,
        meaning="libpq connection string of the metastore database. With Entra authentication leave the password out.",
    ),
    Setting(
        name="SYNCBRIDGE_METASTORE_AUTH",
        kind=str,
        default="PASSWORD",
        meaning="PASSWORD: as in the DSN. ENTRA: a token of the app's identity is the password.",
    ),
    Setting(
        name="SYNCBRIDGE_SECRET_KEY",
        kind=bytes,
        default="",
        secret=True,
        meaning="Base64 of 32 bytes: seals secrets that are kept in the metastore. Empty: only references are accepted.",
    ),
    Setting(
        name="SYNCBRIDGE_KEY_VAULT_URL",
        kind=str,
        default="",
        meaning="URL of the Key Vault that keyvault:NAME references are resolved in.",
    ),
    Setting(
        name="SYNCBRIDGE_QUEUE_CONNECTION",
        kind=str,
        default="UseDevelopmentStorage=true",
        secret=True,
        meaning="Storage connection of the queues cdc-changes and graph-notifications.",
    ),
    Setting(
        name="SYNCBRIDGE_QUEUE_CONNECTION__queueServiceUri",
        kind=str,
        default="",
        meaning="The queue service's https URL, such as https://account.queue.core.windows.net: the app's identity is used "
        "then, here and by the queue triggers, and SYNCBRIDGE_QUEUE_CONNECTION is left out.",
    ),
    Setting(
        name="SYNCBRIDGE_WEBHOOK_URL",
        kind=str,
        default="",
        meaning="Where Graph reaches this app, such as https://app.azurewebsites.net: lists' changes are subscribed to then. "
        "Empty: lists are only polled.",
    ),
    Setting(
        name="SYNCBRIDGE_QUEUE_DEPTH",
        kind=int,
        default="1000",
        meaning="Messages in the queue cdc-changes beyond which the poller reads no further: the changes wait in the source.",
    ),
    Setting(
        name="SYNCBRIDGE_HEALTH_ADDRESS",
        kind=str,
        default="127.0.0.1:8080",
        meaning="Where the poller answers /healthz and /readyz. In a container: 0.0.0.0:8080.",
    ),
    Setting(
        name="SYNCBRIDGE_ALLOWED_HOSTS",
        kind=tuple,
        default="",
        meaning="Comma-separated hosts that databases may be on beside public names, such as 10.0.0.5 or 127.0.0.1:5432. "
        "Loopback, link-local and private addresses are refused unless they are listed.",
    ),
    Setting(
        name="SYNCBRIDGE_COMPANY",
        kind=str,
        default="SyncBridge",
        meaning="Company name in the User-Agent NONISV|company|SyncBridge/version that Graph prioritises by.",
    ),
    Setting(
        name="SYNCBRIDGE_LEASE_SECONDS",
        kind=float,
        default="300",
        meaning="How long a worker holds the subjects that it has claimed, in seconds.",
    ),
    Setting(
        name="SYNCBRIDGE_REQUEST_SECONDS",
        kind=float,
        default="80",
        meaning="How long one Graph request may take, in seconds. A worker writes only while its lease has room for it.",
    ),
    Setting(
        name="SYNCBRIDGE_SURFACE_SECONDS",
        kind=float,
        default="900",
        meaning="How long a request whose answer was lost may still take effect, in seconds.",
    ),
    Setting(
        name="SYNCBRIDGE_ACTIVITY_SECONDS",
        kind=float,
        default="90",
        meaning="How long one activity works before it hands over to the next, in seconds.",
    ),
    Setting(
        name="SYNCBRIDGE_PAGE_SIZE",
        kind=int,
        default="200",
        meaning="Subjects that a worker claims at a time.",
    ),
    Setting(
        name="SYNCBRIDGE_POOL_SIZE",
        kind=int,
        default="8",
        meaning="Connections per database and process, at most.",
    ),
    Setting(
        name="SYNCBRIDGE_TICK_SCHEDULE",
        kind=str,
        default="*/15 * * * * *",
        meaning="NCRONTAB (UTC, seconds first) of the schedule tick that starts what is due.",
    ),
    Setting(
        name="SYNCBRIDGE_RETAIN_RUNS_DAYS",
        kind=int,
        default="90",
        meaning="Days that finished runs and their failures are kept.",
    ),
    Setting(
        name="SYNCBRIDGE_RETAIN_HISTORY_DAYS",
        kind=int,
        default="7",
        meaning="Days that the host keeps the steps of completed orchestrations; of failed ones as long as runs are kept.",
    ),
    Setting(
        name="SYNCBRIDGE_RETAIN_CONFLICTS_DAYS",
        kind=int,
        default="365",
        meaning="Days that conflicts are kept with their losing values.",
    ),
    Setting(
        name="SYNCBRIDGE_RETAIN_TOMBSTONES_DAYS",
        kind=int,
        default="180",
        meaning="Days that tombstones are kept; longer than any delta token lives.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Read once, in the composition root. Secrets are kept out of the repr."""

    metastore_dsn: str = field(repr=False)
    metastore_auth: str
    secret_key: bytes = field(repr=False)
    key_vault_url: str
    queue_connection: str = field(repr=False)
    queue_service: str
    """The queue service's URL; empty: the connection string is used."""
    webhook_url: str
    """Without a slash at its end; empty: no subscriptions."""
    queue_depth: int
    health_address: tuple[str, int]
    allowed_hosts: tuple[str, ...]
    company: str
    lease: timedelta
    request_timeout: timedelta
    surface: timedelta
    activity: timedelta
    page_size: int
    pool_size: int
    tick_schedule: str
    retain_runs: timedelta
    retain_history: timedelta
    retain_conflicts: timedelta
    retain_tombstones: timedelta


def from_env(env: Mapping[str, str]) -> Settings:
    """Raises ConfigurationError that names every setting that is missing or cannot be read; never its value."""
    problems: list[str] = []
    read: dict[str, Any] = {}
    for setting in DECLARED:
        text = env.get(setting.name) or setting.default
        if text is None:
            problems.append(f"{setting.name} is not set: {setting.meaning}")
            continue
        try:
            read[setting.name.removeprefix("SYNCBRIDGE_").lower()] = _parse(setting, text)
        except ValueError as error:
            problems.append(f"{setting.name} cannot be used: {error}")
    if not problems:
        problems += _contradictions(read)
    if problems:
        raise ConfigurationError("the settings are not complete: " + " ".join(problems), problems=tuple(problems))
    return Settings(
        metastore_dsn=read["metastore_dsn"],
        metastore_auth=read["metastore_auth"],
        secret_key=read["secret_key"],
        key_vault_url=read["key_vault_url"],
        queue_connection=read["queue_connection"],
        queue_service=read["queue_connection__queueserviceuri"],
        webhook_url=read["webhook_url"].rstrip("/"),
        queue_depth=read["queue_depth"],
        health_address=_address(read["health_address"]),
        allowed_hosts=read["allowed_hosts"],
        company=read["company"],
        lease=timedelta(seconds=read["lease_seconds"]),
        request_timeout=timedelta(seconds=read["request_seconds"]),
        surface=timedelta(seconds=read["surface_seconds"]),
        activity=timedelta(seconds=read["activity_seconds"]),
        page_size=read["page_size"],
        pool_size=read["pool_size"],
        tick_schedule=read["tick_schedule"],
        retain_runs=timedelta(days=read["retain_runs_days"]),
        retain_history=timedelta(days=read["retain_history_days"]),
        retain_conflicts=timedelta(days=read["retain_conflicts_days"]),
        retain_tombstones=timedelta(days=read["retain_tombstones_days"]),
    )


def _parse(setting: Setting, text: str) -> object:
    if setting.kind is str:
        return text
    if setting.kind is bytes:
        try:
            key = base64.b64decode(text, validate=True)
        except binascii.Error:
            raise ValueError("it is base64 of 32 bytes") from None
        if key and len(key) != 32:
            raise ValueError("it is base64 of 32 bytes")
        return key
    if setting.kind is tuple:
        return tuple(part.strip().lower() for part in text.split(",") if part.strip())
    try:
        number = setting.kind(text)
    except ValueError:
        raise ValueError(f"it is {'a whole number' if setting.kind is int else 'a number of seconds'}") from None
    if not 0 < number < 10_000_000:
        raise ValueError("it is greater than 0")
    return number


_ADDRESS = re.compile(r"([0-9a-f.:]+):([0-9]{1,5})", re.ASCII)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _contradictions(read: Mapping[str, Any]) -> list[str]:
    problems = []
    if not _ADDRESS.fullmatch(read["health_address"]):
        problems.append("SYNCBRIDGE_HEALTH_ADDRESS is an IP address and a port, such as 0.0.0.0:8080.")
    if read["metastore_auth"] not in ("PASSWORD", "ENTRA"):
        problems.append("SYNCBRIDGE_METASTORE_AUTH is PASSWORD or ENTRA.")
    if read["queue_connection__queueserviceuri"] and not _https(read["queue_connection__queueserviceuri"]):
        problems.append("SYNCBRIDGE_QUEUE_CONNECTION__queueServiceUri is an https URL without a path.")
    webhook = read["webhook_url"]
    if webhook and not _https(webhook) and not _LOOPBACK.fullmatch(webhook):
        problems.append(
            "SYNCBRIDGE_WEBHOOK_URL is an https URL without a path, or http://127.0.0.1:port with the simulated SharePoint."
        )
    if read["lease_seconds"] < 2 * read["request_seconds"]:
        problems.append("SYNCBRIDGE_LEASE_SECONDS has to be at least twice SYNCBRIDGE_REQUEST_SECONDS.")
    if read["surface_seconds"] < read["request_seconds"]:
        problems.append("SYNCBRIDGE_SURFACE_SECONDS cannot be shorter than SYNCBRIDGE_REQUEST_SECONDS.")
    return problems


_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost)(:[0-9]{1,5})?/?")


def _https(text: str) -> bool:
    return re.fullmatch(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?", text) is not None
