"""The rules of change streams taken out: what is confirmed when, what stops a stream, and since when it is whole."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from shared.adapters.metastore.streams import StreamStore
from shared.adapters.postgres import replication
from shared.core.gathering import Gatherer
from shared.core.replication import NO_LSN, Lsn
from shared.core.slots import Progress
from shared.engine.streams import Streams
from shared.poller import care, session
from shared.poller.care import Care
from shared.poller.outbox import Outbox
from shared.poller.session import READ, Session
from tests.mutants.mutant import Mutant
from tests.mutants.patches import in_metastore, in_source, put

STREAMS = "tests/streams/"
BREAKS = "tests/streams/test_breaks.py::"
MESSAGES = "tests/streams/test_messages.py::"


def _nothing(*_: Any, **__: Any) -> None:
    """In the place of what a rule asks for."""


def _server_first(stack: ExitStack) -> None:
    real: Callable[..., None] = StreamStore.progress
    confirm: Callable[..., None] = Session._confirm

    def confirmed(self: Any, feed: Any, outbox: Any) -> None:
        def progress(store: Any, instance: Any, epoch: Any, done: Progress, **named: Any) -> None:
            feed.confirm(done.queued)
            real(store, instance, epoch, done, **named)

        with patch.object(StreamStore, "progress", progress):
            confirm(self, feed, outbox)

    stack.enter_context(patch.object(Session, "_confirm", confirmed))


def _safe_once_put(self: Any) -> Progress | None:
    parcels = [self._parcels.popleft().done for _ in range(len(self._parcels))]
    queued = Lsn(max((done.queued for done in parcels), default=NO_LSN))
    return Progress(queued=queued) if queued else None


def _idle_anywhere(self: Any, server_end: int) -> None:
    self.complete = max(self.complete, Lsn(server_end))


CHANGE_STREAMS = (
    Mutant(
        "server_before_mark",
        "The server may forget before our own mark has moved",
        _server_first,
        directed=STREAMS + "test_confirming.py::test_a_poller_that_was_overtaken_confirms_nothing",
    ),
    Mutant(
        "safe_before_sent",
        "What is on its way into the queue counts as being there",
        put(Outbox, "safe", _safe_once_put),
        directed=STREAMS
        + "test_confirming.py::test_nothing_is_confirmed_while_the_queue_is_away_and_everything_comes_when_it_is_back",
    ),
    Mutant(
        "left_undrained",
        "A poller that is stopped leaves what it has read",
        put(Session, "_drain", _nothing),
        directed=STREAMS + "test_confirming.py::test_a_poller_that_is_stopped_finishes_what_it_has_read",
    ),
    Mutant(
        "overtaken_moves_mark",
        "A poller that was overtaken moves our mark",
        in_metastore("streams", "progress", (" and epoch = %(epoch)s", "")),
        directed="tests/integration/metastore/test_streams.py::"
        "test_a_poller_whose_lease_ran_out_is_overtaken_and_writes_nothing_more",
    ),
    Mutant(
        "complete_in_transaction",
        "A keep-alive in the middle of a transaction counts as its end",
        put(Gatherer, "idle", _idle_anywhere),
        directed="tests/unit/core/test_gathering.py::"
        "test_an_idle_server_moves_the_position_but_never_within_a_transaction",
    ),
    Mutant(
        "idle_log_kept",
        "The log of other tables is kept until one of ours changes",
        put(Gatherer, "idle", _nothing),
        directed=STREAMS + "test_confirming.py::test_log_of_other_tables_is_not_kept_for_us",
    ),
    Mutant(
        "discontinuity_unseen",
        "A slot of our name is taken for ours, wherever it begins",
        put(care, "continuity", _nothing),
        directed=BREAKS + "test_a_slot_that_was_made_anew_by_somebody_is_not_taken_for_ours",
    ),
    Mutant(
        "trouble_unattended",
        "What names no row stops nobody",
        put(Care, "attend", _nothing),
        directed=BREAKS + "test_a_truncate_holds_the_definition_and_no_item_is_deleted",
    ),
    Mutant(
        "unnamed_unscanned",
        "What a message cannot name is left to the next scheduled scan",
        put(Care, "_anew", _nothing),
        directed=BREAKS + "test_a_row_whose_key_is_too_long_to_be_told_is_scanned_for",
    ),
    Mutant(
        "unwatched_forgotten",
        "A definition that comes back is believed to have streamed all the time",
        put(StreamStore, "unwatch", _nothing),
        directed=BREAKS + "test_a_definition_that_did_not_stream_for_a_while_is_scanned",
    ),
    Mutant(
        "new_slot_unscanned",
        "A new slot is believed to go on from the one before it",
        in_metastore("streams", "renew_watches", ("where instance_id", "where false and instance_id")),
        directed=BREAKS + "test_a_slot_that_is_gone_holds_its_definitions_until_a_person_has_looked",
    ),
    Mutant(
        "partitions_unseen",
        "Nobody looks what became of partitions",
        in_source("replication.sql", "published", ("|| coalesce('/' || f.files, '')", "")),
        directed=BREAKS + "test_a_partition_that_is_truncated_is_scanned_for",
    ),
    Mutant(
        "walsender_unpinned",
        "Identities from the log are printed as the database's own settings want it",
        put(replication, "_pinned_options", lambda: ""),
        directed="tests/integration/postgres/test_stream_identities.py::"
        "test_an_identity_from_the_log_is_that_of_a_scan[timestamptz]",
    ),
    Mutant(
        "stream_marks_lost",
        "A message that cannot be marked counts as taken",
        put(Streams, "_mark", lambda *_: ()),
        directed=MESSAGES + "test_a_message_comes_again_while_its_marks_cannot_be_made",
    ),
    Mutant(
        "given_up_unseen",
        "A message that the host gave up is dropped",
        put(Streams, "_set_aside", _nothing),
        directed=MESSAGES + "test_a_message_that_the_host_gave_up_is_set_aside_once_with_what_went_wrong_last",
    ),
    Mutant(
        "throttle_unheard",
        "A throttled stream reads as much as there is",
        put(Session, "_at_once", lambda _: READ),
        directed=STREAMS + "test_wishes.py::test_a_throttled_stream_reads_no_faster_than_it_may",
    ),
    Mutant(
        "budget_unwatched",
        "Nobody looks at a slot that nobody reads",
        put(Streams, "_look_after", _nothing),
        directed=STREAMS + "test_slot_budget.py::test_while_the_poller_is_dead_the_tick_looks_at_the_budget",
    ),
    Mutant(
        "sql_for_ever",
        "A slot that is read by SQL is read by SQL as long as the poller lives",
        put(session, "STREAM_AGAIN", float("inf")),
        directed=STREAMS + "test_poller.py::test_a_slot_read_by_sql_is_streamed_once_that_is_allowed",
    ),
)
