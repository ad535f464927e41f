"""What the engine needs of the world, as Protocols that adapters satisfy without inheriting; a module for each side of it."""

from shared.ports.backlog import Backlog
from shared.ports.budget import Budget
from shared.ports.cursors import Cursors, ListCursors
from shared.ports.enumerations import CursorMove, EnumerationResult, Enumerations, ListPosition, MarkedChunk
from shared.ports.holds import HoldRequest, Holds, request_of
from shared.ports.ledger import Binding, Confirmation, IntentUpdate, Ledger, Parking, Renames, Wishes
from shared.ports.lists import ListStore
from shared.ports.process import Clock, IdSource
from shared.ports.queue import Queue
from shared.ports.runs import Runs
from shared.ports.scans import Loaded, ScanResult, Scans
from shared.ports.source import (
    ChangeFeed,
    RowTransaction,
    RowWriter,
    SourceTables,
    Stamps,
    WatermarkBound,
    WatermarkPage,
)

__all__ = [
    "Backlog",
    "Binding",
    "Budget",
    "ChangeFeed",
    "Clock",
    "Confirmation",
    "CursorMove",
    "Cursors",
    "EnumerationResult",
    "Enumerations",
    "HoldRequest",
    "Holds",
    "IdSource",
    "IntentUpdate",
    "Ledger",
    "ListCursors",
    "ListPosition",
    "ListStore",
    "Loaded",
    "MarkedChunk",
    "Parking",
    "Queue",
    "Renames",
    "RowTransaction",
    "RowWriter",
    "Runs",
    "ScanResult",
    "Scans",
    "SourceTables",
    "Stamps",
    "WatermarkBound",
    "WatermarkPage",
    "Wishes",
    "request_of",
]
