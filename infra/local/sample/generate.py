"""Fills the sample business schema: the same seed gives the same rows, on every machine.

Its values are the ones that hurt (scripts, quotes, markup, long texts, far dates, empty strings), all within what a
SharePoint list can hold.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import psycopg
from psycopg import sql
from psycopg.types.json import Json, Jsonb

SCHEMA = Path(__file__).with_name("schema.sql")
DEFAULT_SEED = 20_000
_EPOCH = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
_COUNTRIES = ("DE", "FR", "PL", "SE", "JP", "BR", "US", "ZA")
_LANGUAGES = ("de", "en", "fr", "ja", "pt")
_TAGS = ("audit", "cloud", "field work", "legal; review", "R&D", "Ünïcode", "urgent")
_PROJECT_STATES = ("proposed", "active", "on hold", "done", "cancelled")
_TASK_STATES = ("open", "in progress", "blocked", "done")
_INVOICE_STATES = ("draft", "sent", "paid", "overdue")
_NOUNS = ("archive", "bridge", "dashboard", "factory", "harbour", "ledger", "network", "portal", "survey", "tunnel")
_VERBS = ("Build", "Migrate", "Plan", "Renew", "Replace", "Review", "Roll out")
# Each of these has broken somebody's integration.
_TEXTS = (
    "O'Brien & Söhne <GmbH>",
    'She said "50 % off; no strings" \\ really',
    "Zażółć gęślą jaźń",
    "東京タワー改修 第２期",
    "مشروع الجسر الجديد",
    "Ελληνικά, עברית, русский",
    "family 👨‍👩‍👧‍👦 and flag 🇿🇦",
    "cafe\u0301 decomposed, café composed",
    "=SUM(A1:A9)",
    "#N/A",
    "null",
    "0012300",
    "a\ttab and a   run of blanks",
    "{{curly}} ${dollar} %s %(percent)s",
    "<script>alert(1)</script>",
    "x'); drop table projects; --",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Rows per table."""

    customers: int
    projects: int
    tasks: int
    invoices: int

    @classmethod
    def for_projects(cls, projects: int) -> "Counts":
        """The usual proportions around a number of projects."""
        return cls(customers=max(1, projects // 10), projects=projects, tasks=projects, invoices=projects // 2)


def create(dsn: str, *, counts: Counts, seed: int = DEFAULT_SEED) -> None:
    """Make the schema `business` in an empty database and fill it, in one transaction."""
    random = Random(seed)
    customers = [uuid.UUID(int=random.getrandbits(128), version=4) for _ in range(counts.customers)]
    with psycopg.connect(dsn) as connection:
        connection.execute(SCHEMA.read_bytes())
        _copy(connection, "customers", _CUSTOMERS, (_customer(random, n, key) for n, key in enumerate(customers)))
        _copy(connection, "projects", _PROJECTS, project_rows(random, customers, first=1, count=counts.projects))
        _copy(connection, "tasks", _TASKS, _tasks(random, counts))
        _copy(connection, "invoices", _INVOICES, _invoices(random, counts, customers))
        for table, last in (("projects", counts.projects), ("tasks", counts.tasks)):
            connection.execute(
                "select setval(pg_get_serial_sequence(%s, 'id'), %s)", [f"business.{table}", max(1, last)]
            )
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("analyze")


def add_projects(dsn: str, *, first: int, count: int, seed: int) -> None:
    """Add that many projects with the ids from `first` on."""
    random = Random(seed)
    with psycopg.connect(dsn) as connection:
        found = connection.execute("select id from business.customers order by id limit 100").fetchall()
        _copy(
            connection, "projects", _PROJECTS, project_rows(random, [key for (key,) in found], first=first, count=count)
        )


_CUSTOMERS = (
    "id", "name", "email", "country", "tax_number", "founded_on", "employees", "revenue", "rating", "is_active",
    "office_opens_at", "languages", "profile", "logo", "created_at", "updated_at",
)  # fmt: skip
_PROJECTS = (
    "id", "code", "name", "customer_id", "status", "priority", "headcount", "budget", "spent", "discount", "progress",
    "risk", "is_billable", "country", "starts_on", "ends_on", "kickoff_at", "reviewed_at", "tags", "details", "notes",
    "reference", "created_at", "updated_at", "deleted_at",
)  # fmt: skip
_TASKS = (
    "id", "project_id", "title", "description", "state", "position", "estimate", "hours", "due_at", "remind_at",
    "assignees", "checklist", "is_deleted", "updated_at",
)  # fmt: skip
_INVOICES = (
    "customer_id", "number", "project_id", "status", "currency", "net", "tax_rate", "issued_on", "due_on", "paid_at",
    "lines", "memo", "updated_at",
)  # fmt: skip


def _customer(random: Random, number: int, key: uuid.UUID) -> tuple[object, ...]:
    created = _moment(random)
    return (
        key,
        _name(random, number),
        None if random.random() < 0.1 else f"contact{number}@example.com",
        random.choice(_COUNTRIES),
        f"DE{100_000_000 + number}",
        date(1900, 1, 1) + timedelta(days=random.randrange(45_000)),
        random.randrange(50_000),
        None if random.random() < 0.2 else Decimal(random.randrange(10**13)).scaleb(-random.randrange(5)),
        random.randrange(51) / 10,
        random.random() < 0.9,
        time(random.randrange(6, 11), random.choice((0, 15, 30, 45))),
        random.sample(_LANGUAGES, random.randrange(4)),
        Json({"segment": random.choice("ABC"), "since": created.year}),
        random.randbytes(16),
        created,
        created + timedelta(seconds=random.randrange(10**6)),
    )


def project_rows(
    random: Random, customers: Sequence[uuid.UUID], *, first: int, count: int
) -> Iterator[tuple[object, ...]]:
    """Projects with the ids first, first + 1, …"""
    for number in range(first, first + count):
        starts = date(2024, 1, 1) + timedelta(days=random.randrange(1200))
        starts = random.choice((starts, starts, starts, date(1900, 1, 2), date(2026, 2, 28)))
        created = _moment(random)
        budget = Decimal(random.randrange(10**9)).scaleb(-2)
        yield (
            number,
            f"P-{number:06d}",
            _name(random, number),
            random.choice(customers),
            random.choice(_PROJECT_STATES),
            random.randrange(1, 6),
            random.choice((None, 0, 1, random.randrange(500), 2_147_483_647, -2_147_483_648)),
            random.choice((budget, budget, budget, Decimal("0.00"), Decimal("9999999999.99"))),
            (budget * Decimal(random.randrange(120)) / 100).quantize(Decimal("0.01")),
            None if random.random() < 0.3 else Decimal(random.randrange(10_001)).scaleb(-2),
            random.randrange(1001) / 10,
            random.choice((None, 0.0, random.random(), random.uniform(-1e9, 1e9), 1e-7, 1.5e15)),
            random.random() < 0.8,
            random.choice((None, *_COUNTRIES)),
            starts,
            random.choice((None, starts + timedelta(days=random.randrange(900)), date(8900, 12, 30))),
            random.choice(
                (
                    None,
                    _moment(random),
                    datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
                    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
                )
            ),
            random.choice((None, _moment(random).replace(tzinfo=None))),
            random.sample(_TAGS, random.randrange(4)),
            Jsonb({"phase": random.randrange(9), "sites": random.sample(_COUNTRIES, 2), "note": random.choice(_TEXTS)}),
            _notes(random),
            None if random.random() < 0.5 else uuid.UUID(int=random.getrandbits(128), version=4),
            created,
            created + timedelta(seconds=random.randrange(10**6)),
            created if random.random() < 0.01 else None,
        )


def _tasks(random: Random, counts: Counts) -> Iterator[tuple[object, ...]]:
    for number in range(1, counts.tasks + 1):
        yield (
            number,
            (number - 1) % counts.projects + 1,
            _name(random, number)[:200],
            _notes(random),
            random.choice(_TASK_STATES),
            (number - 1) // counts.projects,
            None if random.random() < 0.3 else timedelta(minutes=random.randrange(10_000)),
            random.randrange(4000) / 4,
            None if random.random() < 0.3 else _moment(random).replace(tzinfo=None),
            None if random.random() < 0.6 else time(random.randrange(24), random.randrange(60), random.randrange(60)),
            [f"person{random.randrange(40)}@example.com" for _ in range(random.randrange(3))],
            random.sample(range(1, 10), random.randrange(4)),
            random.random() < 0.02,
            _moment(random),
        )


def _invoices(random: Random, counts: Counts, customers: Sequence[uuid.UUID]) -> Iterator[tuple[object, ...]]:
    for number in range(counts.invoices):
        issued = date(2025, 1, 1) + timedelta(days=random.randrange(680))
        status = random.choice(_INVOICE_STATES)
        yield (
            customers[number % len(customers)],
            1000 + number // len(customers),
            random.randrange(1, counts.projects + 1),
            status,
            random.choice(("EUR", "USD", "JPY")),
            Decimal(random.randrange(-(10**6), 10**9)).scaleb(-2),
            random.choice((Decimal(0), Decimal(7), Decimal(19), Decimal("8.25"))),
            issued,
            issued + timedelta(days=random.choice((0, 14, 30))),
            _moment(random) if status == "paid" else None,
            Jsonb([{"text": random.choice(_TEXTS), "quantity": random.randrange(1, 9)}]),
            _notes(random),
            _moment(random),
        )


def _name(random: Random, number: int) -> str:
    if random.random() < 0.2:
        return f"{random.choice(_TEXTS)} {number}"
    if random.random() < 0.01:
        return f"{number} ".ljust(255, "ß")  # the most that a single line of text holds
    return f"{random.choice(_VERBS)} {random.choice(_NOUNS)} {number}"


def _notes(random: Random) -> str | None:
    match random.randrange(10):
        case 0 | 1:
            return None
        case 2:
            return ""
        case 3:
            return "\n".join(random.sample(_TEXTS, 3))
        case 4:
            return "first line\r\nsecond line"
        case 5 if random.random() < 0.05:
            return "\n".join(f"{line:04d} {random.choice(_TEXTS)}" for line in range(200))
        case _:
            return f"{random.choice(_VERBS)} the {random.choice(_NOUNS)} before the {random.choice(_NOUNS)}."


def _moment(random: Random) -> datetime:
    return _EPOCH + timedelta(seconds=random.randrange(25_000_000), microseconds=random.randrange(10**6))


def _copy(
    connection: psycopg.Connection, table: str, columns: Sequence[str], rows: Iterator[tuple[object, ...]]
) -> None:
    into = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier("business", table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        for row in rows:
            copy.write_row(row)
