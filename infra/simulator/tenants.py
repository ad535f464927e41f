"""Tenants, their registered apps, their sites and the grants on them, as plain records that turn into documents and back."""

import hashlib
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any

# SharePoint Online's published limits by licence count: units per minute and per day for one app in one tenant, and
# per five minutes for the whole tenant (learn.microsoft.com, "Avoid getting throttled or blocked in SharePoint Online").
TIERS: tuple[tuple[int, int, int, int], ...] = (
    (1_000, 1_250, 1_200_000, 18_750),
    (5_000, 2_500, 2_400_000, 37_500),
    (15_000, 3_750, 3_600_000, 56_250),
    (50_000, 5_000, 4_800_000, 75_000),
    (2**62, 6_250, 6_000_000, 93_750),
)


def stable_guid(*parts: object) -> str:
    """The same parts give the same guid, so that dumps and restarts keep addresses."""
    return str(
        uuid.UUID(bytes=hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=16).digest(), version=4)
    )


@dataclass(slots=True, kw_only=True)
class App:
    client_id: str
    name: str
    number: int
    secret: str = ""
    roles: list[str] = field(default_factory=list)
    thumbprints: list[str] = field(default_factory=list)
    certificates: list[str] = field(default_factory=list)  # PEM; an assertion's signature is verified against them
    federated: list[dict[str, str]] = field(default_factory=list)  # {"issuer", "subject"}; taken at its word


@dataclass(slots=True, kw_only=True)
class Grant:
    id: str
    roles: list[str]
    app_id: str
    app_name: str


@dataclass(slots=True, kw_only=True)
class User:
    """A row of the User Information List. `id` is the lookup id."""

    id: int
    name: str
    email: str


@dataclass(slots=True, kw_only=True)
class Tenant:
    id: str
    name: str
    hostname: str
    licences: int = 1_000
    ru_per_minute: int | None = None
    ru_per_day: int | None = None
    ru_tenant: int | None = None
    multiplier: float = 1.0
    blocked: bool = False
    apps: dict[str, App] = field(default_factory=dict)

    def limits(self, *, tiered: bool = True) -> tuple[int, int, int]:
        """(units per app and minute, per app and day, per tenant and five minutes)."""
        _, minute, day, tenant = next(tier for tier in TIERS if self.licences <= tier[0] or not tiered)
        return (
            int((self.ru_per_minute or minute) * self.multiplier),
            int((self.ru_per_day or day) * self.multiplier),
            int((self.ru_tenant or max(tenant, 15 * (self.ru_per_minute or 0))) * self.multiplier),
        )

    def doc(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(doc: dict[str, Any]) -> "Tenant":
        return Tenant(**{**doc, "apps": {key: App(**value) for key, value in doc["apps"].items()}})


@dataclass(slots=True, kw_only=True)
class Site:
    number: int
    tenant: str
    path: str  # "" for the root site, else "/sites/hr"
    title: str
    collection: str
    web: str
    created: int
    timezone: str = "America/Los_Angeles"  # Pacific time is what a new site gets
    description: str = ""
    kind: str = "site"  # site | team | channel
    read_only: bool = False
    gone: bool = False
    parent: int | None = None
    grants: list[Grant] = field(default_factory=list)
    users: list[User] = field(default_factory=list)

    def doc(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(doc: dict[str, Any]) -> "Site":
        grants = [Grant(**grant) for grant in doc["grants"]]
        return Site(**{**doc, "grants": grants, "users": [User(**user) for user in doc["users"]]})


APP_USER = User(id=1073741822, name="SharePoint App", email="")
PEOPLE: tuple[User, ...] = (
    User(id=1, name="Megan Bowen", email="MeganB@contoso.example"),
    User(id=7, name="Adele Vance", email="AdeleV@contoso.example"),
    User(id=9, name="Alex Wilber", email="AlexW@contoso.example"),
    User(id=12, name="Joni Sherman", email="JoniS@contoso.example"),
)
