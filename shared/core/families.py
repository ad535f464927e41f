"""PostgreSQL's types in families that behave alike when their values travel."""

from enum import StrEnum

from shared.core.source import SourceType


class Family(StrEnum):
    INTEGER = "INTEGER"
    DECIMAL = "DECIMAL"
    FLOAT = "FLOAT"
    BOOLEAN = "BOOLEAN"
    TEXT = "TEXT"
    CHAR = "CHAR"
    """char(n): trailing blanks mean nothing."""
    UUID = "UUID"
    DATE = "DATE"
    TIME = "TIME"
    TIMETZ = "TIMETZ"
    TIMESTAMP = "TIMESTAMP"
    TIMESTAMPTZ = "TIMESTAMPTZ"
    INTERVAL = "INTERVAL"
    JSON = "JSON"
    JSONB = "JSONB"
    ENUM = "ENUM"
    ARRAY = "ARRAY"
    BYTES = "BYTES"
    OTHER = "OTHER"
    """Geometric types, ranges, xml, money, composite types, …: known by their text alone."""


_BY_NAME = {
    "int2": Family.INTEGER,
    "int4": Family.INTEGER,
    "int8": Family.INTEGER,
    "numeric": Family.DECIMAL,
    "float4": Family.FLOAT,
    "float8": Family.FLOAT,
    "bool": Family.BOOLEAN,
    "text": Family.TEXT,
    "varchar": Family.TEXT,
    "citext": Family.TEXT,
    "name": Family.TEXT,
    "bpchar": Family.CHAR,
    "uuid": Family.UUID,
    "date": Family.DATE,
    "time": Family.TIME,
    "timetz": Family.TIMETZ,
    "timestamp": Family.TIMESTAMP,
    "timestamptz": Family.TIMESTAMPTZ,
    "interval": Family.INTERVAL,
    "json": Family.JSON,
    "jsonb": Family.JSONB,
    "bytea": Family.BYTES,
}


def element_family(declared: SourceType) -> Family:
    """The family of a type, for an array that of its elements."""
    return Family.ENUM if declared.is_enum else _BY_NAME.get(declared.name, Family.OTHER)


def family_of(declared: SourceType) -> Family:
    return Family.ARRAY if declared.is_array else element_family(declared)
