"""Whether a row that has changed was passed over by the watermark, because its cursor column does not tell of the change."""

from shared.core.backlog import Reason
from shared.core.definition import ChangeDetection, SyncDefinition
from shared.core.ledger import EntryState
from shared.core.runs import WatermarkCursor
from shared.core.untold import is_behind, is_in_order
from shared.settle.job import Tools
from shared.settle.work import Work

_TOLD = frozenset({Reason.WATERMARK, Reason.STREAM})
_OURS = frozenset({Reason.RETRY, Reason.DOUBT, Reason.MAPPING, Reason.REVERSE})
"""A row that differs may do so because of what was done or agreed here."""


def position_of(definition: SyncDefinition, tools: Tools) -> WatermarkCursor | None:
    """How far the watermark has read; None where none reads this table. To be asked before subjects are claimed: what a pass
    up to this position has marked is then among their reasons."""
    if definition.source.cursor_column is None or definition.change_detection not in _BY_CURSOR:
        return None
    position = tools.positions.get_watermark(definition.id, definition.source.instance_id)
    return position if position is not None and position.fingerprint == definition.watermark_fingerprint else None


_BY_CURSOR = frozenset({ChangeDetection.WATERMARK, ChangeDetection.AUTO})


def is_untold(work: Work, definition: SyncDefinition, position: WatermarkCursor | None) -> bool:
    """To be asked when the row was read and its values were taken, before anything is written to it."""
    row, known, column = work.row, work.known, definition.source.cursor_column
    if position is None or column is None or row is None or not work.row_values or work.wrote_row is not None:
        return False
    if _TOLD & work.claimed.reasons or _OURS & work.claimed.reasons or work.doubts or work.landed:
        return False
    agreed_at = None
    if known is None:
        if Reason.SCAN not in work.claimed.reasons:
            return False  # a row that is new with its item
    else:
        same_fields = known.state is EntryState.SETTLED and known.mapping_fingerprint == definition.mapping_fingerprint
        if known.intents or not same_fields or known.stamp == row.stamp:
            return False
        base = known.base or {}
        if all(base.get(no) == value.digest for no, value in work.row_values.items()):
            return False  # another stamp of the same values: the table was altered, or what changed does not show in a list
        agreed_at = known.last_source_ts
    in_order = is_in_order(position, definition.source.key, row.identity)
    return is_behind(position, column, row.values.get(column.name), agreed_at=agreed_at, in_order=in_order)
