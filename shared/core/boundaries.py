"""The durable boundaries of captures and settle: between any two of them a process may die, pause or be overtaken.

Captures and settle are generators that yield one of these after each step whose effect outlives the process. Production
drives them to their end; the simulation interleaves, abandons and wakes them at exactly these places.
"""

from enum import StrEnum


class Boundary(StrEnum):
    CLAIMED = "settle.claimed"
    """The page is claimed; nothing was read."""
    ROWS_READ = "settle.rows_read"
    """Rows are read; items may be read next."""
    ITEMS_READ = "settle.items_read"
    """Items are read; nothing was written."""
    INTENDED = "settle.intended"
    """Intents and pending conflicts are on record; nothing was sent."""
    SENT = "settle.sent"
    """A batch was answered, or got no answer; the ledger does not know."""
    CONFIRMED = "settle.confirmed"
    """Ledger, backlog, conflicts and run counters agree with what was answered."""
    SCAN_LOADED = "scan.loaded"
    """The scan's table is filled; nothing was compared."""
    SCAN_COMPARED = "scan.compared"
    """Counts are known, guards have spoken; nothing is marked."""
    SCAN_MARKED = "scan.marked"
    """A chunk of marks is made."""
    PAGE_MARKED = "watermark.marked"
    """A page's marks and the cursor's move are one transaction, and it is done."""
    COMMAND_MARKED = "command.marked"
    """A chunk of marks is made by hand."""
