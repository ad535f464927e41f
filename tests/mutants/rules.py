"""Which rules the engine and its databases keep, and which mutants take each of them out.

python -m tests.mutants.rules      writes the table of tests/CATALOGUE.md anew
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

CATALOGUE = Path(__file__).parents[1] / "CATALOGUE.md"
_BLOCK = re.compile(r"(<!-- generated: mutants -->\n).*?(<!-- end of mutants -->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    sentence: str
    mutants: tuple[str, ...]


RULES = (
    # ---- marks, claims, captures
    Rule(
        "M1",
        "A deletion is a reason of its own: it has no version to compare, and always makes settle look.",
        ("two_way_deletion_by_etag",),
    ),
    Rule("M2", "All marks are numbered by one sequence: no number ever comes back.", ("number_of_its_own",)),
    Rule(
        "M3",
        "Every mark takes a new number, but a scan's that tells nothing new about a subject that nobody holds.",
        ("change_coalesced", "deletion_coalesced", "stream_coalesced", "claimed_not_renumbered", "scan_rewrites"),
    ),
    Rule(
        "M4",
        "Marks are made in bounded transactions and in the order of their hash: nobody waits for all of them, or in a circle.",
        ("marks_in_one_statement", "marks_unordered"),
    ),
    Rule(
        "M5",
        "A confirmation is one transaction over ledger and backlog, of whoever holds the claim, which is locked for it; "
        "the mark goes only under the number that was claimed.",
        ("any_mark_removed", "claim_unchecked", "mark_goes_first", "confirmed_without_lock"),
    ),
    Rule("M6", "The ledger is read after the claim is committed.", ("ledger_before_claim",)),
    Rule(
        "M7",
        "What a capture had in hand is used only while the mark is its own and the agreement is older than the page; "
        "each alone is not enough.",
        ("two_way_observation_unchecked", "two_way_observation_by_number", "two_way_observation_by_age"),
    ),
    Rule(
        "M8",
        "A comparison of the whole list sees ledger and claims at one moment, and marks what is claimed then.",
        ("two_way_claims_overlooked", "claims_after_ledger"),
    ),
    Rule(
        "M9",
        "A cursor moves with its marks; a token that died is followed by a reading of the whole list.",
        ("two_way_token_first", "two_way_jumps_to_latest"),
    ),
    Rule(
        "M10",
        "An unknown item that is gone is waited for: somebody may be just making it.",
        ("two_way_gone_dropped_at_once",),
    ),
    Rule(
        "M11",
        "Tables that a crash of the metastore empties are counted before absence is concluded from them.",
        ("scan_uncounted", "list_uncounted", "findings_uncounted"),
    ),
    # ---- lost answers
    Rule(
        "M20",
        "After a write without an answer its claim is kept, nobody writes without room in its lease, and whoever takes over "
        "looks.",
        (
            *("doubt_released_early", "two_way_doubt_released_early", "no_fence", "two_way_no_fence"),
            "takeover_trusts_ledger",
        ),
    ),
    Rule(
        "M21",
        "A write to a row is on record under its transaction, which tells later whether it landed; if so, the base moves.",
        (
            *("two_way_no_row_intents", "two_way_no_row_delete_intents", "two_way_commit_never_landed"),
            *("two_way_commit_always_landed", "two_way_pending_is_aborted", "two_way_values_for_fates"),
            "two_way_no_roll_forward",
        ),
    ),
    Rule(
        "M22",
        "What is sent to an item is on record before it is sent, with what it overwrites.",
        (
            *("no_create_intent", "no_patch_intent", "no_delete_intent", "two_way_no_item_intents"),
            *("two_way_no_create_intents", "confirmed_before_sent", "doubtful_loss_forgotten"),
        ),
    ),
    Rule(
        "M23",
        "An item's versions decide whether a PATCH without an answer has landed.",
        ("two_way_no_version_history",),
    ),
    Rule(
        "M24",
        "A definite no takes a write off the record; a definite yes keeps it there until the confirmation.",
        ("no_void", "two_way_no_void", "two_way_same_operation", "two_way_yes_goes_at_once"),
    ),
    Rule(
        "M25",
        "When the row's half of a merge has landed, the base moves for its fields at once.",
        ("two_way_half_moves_no_base", "two_way_partial_is_whole"),
    ),
    Rule(
        "M26",
        "What is on record speaks only while it can: a PATCH once its eTag may be used up, a create for an item with the row's "
        "key, and for fields that have no base.",
        ("two_way_intents_for_ever", "two_way_creates_speak_over_base", "two_way_create_speaks_for_any"),
    ),
    # ---- whose item is it
    Rule(
        "M30",
        "While an item is made anew the former one and its base are kept; another item has no base.",
        ("two_way_creating_forgets", "two_way_base_of_another_item"),
    ),
    Rule(
        "M31",
        "A settled row's item that is gone was deleted by a person: nobody asks its key, and a late ghost under it goes.",
        ("two_way_key_always_asked", "ghosts_forgotten"),
    ),
    Rule(
        "M32",
        "The list takes a key once, and who has it is asked, and read, when a create is refused for it, or may have landed "
        "while the known item does not have it.",
        (
            "key_not_unique",
            "two_way_key_not_unique",
            "two_way_key_never_asked",
            "two_way_made_item_unasked",
            "duplicate_is_success",
        ),
    ),
    Rule("M33", "A tombstone has no base.", ("tombstone_keeps_base",)),
    Rule(
        "M34",
        "A row's former item is a subject of its own; a second item with its key is set aside, and looked at again.",
        ("two_way_former_forgotten", "two_way_handed_over_silently", "two_way_second_item_forgotten"),
    ),
    Rule("M35", "A list that cannot be found is no item that is gone.", ("list_404_is_item_gone",)),
    # ---- keys that change
    Rule(
        "M36",
        "A changed key is a hint: an item goes over only from a row that is gone to one that has none, with nothing in doubt "
        "but writes to the item itself.",
        ("rename_believed", "rename_takes_any_heir", "rename_takes_row_writes", "rename_not_waited_for"),
    ),
    Rule(
        "M37",
        "It goes over while nobody is at work on either row, and who held one of them writes nothing about it any more.",
        ("rename_under_claims", "rename_leaves_claims"),
    ),
    Rule(
        "M38",
        "It stands for one row at every moment; until it says the new key, whoever finds it by the former one leaves it.",
        ("rename_not_looked_at", "rename_keeps_item", "rename_in_one_pass", "namesake_taken"),
    ),
    # ---- merging
    Rule(
        "M40",
        "Items are written, and deleted, under the version that was read.",
        ("patch_without_if_match", "delete_without_if_match"),
    ),
    Rule(
        "M41",
        "Both sides are merged against what was agreed on last, field by field or group by group, both ways.",
        (
            *("no_base", "two_way_no_base", "two_way_row_level", "two_way_groups_ignored", "two_way_one_way"),
            *("stamp_is_truth", "half_patch"),
        ),
    ),
    Rule(
        "M42",
        "Who wins is configured, no edit is lost to a delete, and what loses is logged.",
        (
            *("two_way_winner_by_lot", "two_way_delete_wins", "two_way_system_fields_are_edits"),
            *("no_conflict_log", "two_way_no_conflict_log", "two_way_kept_is_assumed"),
        ),
    ),
    Rule(
        "M43",
        "Where a person is asked, nothing goes before they have said yes, news of either side take that back, and what they "
        "refused is left alone until it changes.",
        (
            *("asks_nobody", "approval_outlives_news"),
            *("two_way_refused_item_asked_again", "two_way_refused_row_gets_item"),
            "two_way_refused_in_doubt_forgotten",
            *("two_way_kept_agrees_on_nothing", "two_way_asked_without_record"),
        ),
    ),
    Rule(
        "M89",
        "An item stands for a row once both were agreed on, and until then nothing is known of it.",
        ("row_goes_with_any_item", "dead_rows_agreement"),
    ),
    # ---- fields that are paused
    Rule("M44", "A field that is paused is written on neither side.", ("paused_field_written",)),
    Rule(
        "M45",
        "What was agreed about a paused field stays agreed, but for a side that is made anew without it.",
        ("paused_base_forgotten", "paused_base_survives_row"),
    ),
    Rule(
        "M46",
        "What nobody can see in a paused field is not taken for known, and goes with no row.",
        ("paused_item_believed", "paused_row_deleted"),
    ),
    Rule(
        "M47",
        "Pausing brings nothing back, and a field goes on by itself only with the very column that it had.",
        (
            "paused_brings_back",
            "paused_until_any_column",
            "paused_only_if_seen_gone",
            "stopped_forgets_anew",
            "rows_read_unlooked",
        ),
    ),
    Rule(
        "M48",
        "What was agreed on under other fields is looked at again, by whoever it was agreed on.",
        ("other_fields_unmarked", "other_fields_unclaimed"),
    ),
    Rule(
        "M49",
        "A list column that was made anew under its old name empties no row.",
        ("list_column_by_name",),
    ),
    # ---- reading tables
    Rule(
        "M50",
        "Only types whose hash sees every change go into the stamp as they are, all others as their bytes.",
        (
            *("stamp_of_json", "stamp_of_numbers", "stamp_of_domains", "stamp_of_intervals", "stamp_of_zoned_times"),
            *("stamp_of_arrays", "stamp_of_floats", "stamp_of_enums", "stamp_of_folded_text"),
            *("stamp_of_collated_text", "stamp_of_citext"),
        ),
    ),
    Rule(
        "M51",
        "So do types that have no hash.",
        ("stamp_of_hashless_json", "stamp_of_hashless_shapes", "stamp_of_hashless_money"),
    ),
    Rule(
        "M52",
        "A row is known by its key's text, and by nothing that its type calls equal; keys that have several are refused.",
        ("key_by_equality", "key_with_zeros", "coarse_keys"),
    ),
    Rule("M53", "Rows that a policy hides are an error, never absent.", ("hidden_rows_read", "hidden_rows_written")),
    Rule(
        "M54",
        "An inheritance parent is read and written without its children.",
        ("children_read", "children_written"),
    ),
    Rule(
        "M55",
        "Encoding, zone and forms are set for each transaction, and for no longer.",
        ("encoding_of_database", "zone_of_session", "settings_stay"),
    ),
    Rule("M56", "All passes of a scan see one moment.", ("scan_of_many_moments",)),
    Rule(
        "M57",
        "A watermark stays below every transaction that is open or prepared, and reads again where it sees none.",
        ("prepared_passed_over", "idle_passed_over", "elsewhere_passed_over"),
    ),
    # ---- writing tables
    Rule("M60", "Rows are written under the version that was read.", ("two_way_row_without_compare",)),
    Rule(
        "M61",
        "A page's rows are written whole or not at all: no savepoint, no COMMIT with a row missed.",
        ("two_way_missed_row_commits", "missed_row_forgiven", "refused_row_passed_over"),
    ),
    Rule(
        "M62",
        "A transaction's name is on this server's disk before it is written down, and means it for ever.",
        ("name_not_flushed", "name_flushed_elsewhere"),
    ),
    Rule(
        "M63", "COMMIT is answered when it survives a crash, whatever the role's default is.", ("commit_not_durable",)
    ),
    Rule(
        "M64",
        "The timeline is asked of the log that is being written, not of the last checkpoint.",
        ("timeline_of_checkpoint", "timeline_of_last_checkpoint"),
    ),
    Rule(
        "M65",
        "Only tables of this server are written to: rows of views and of foreign tables, as partitions too, have no version.",
        ("views_written", "foreign_tables_written", "foreign_partitions_written"),
    ),
    Rule(
        "M66",
        "Rows are locked first and those that somebody holds skipped: no user waits for us, or is ended for a deadlock.",
        ("locks_awaited", "locks_too_strong", "locks_not_taken", "deadlock_hits_users"),
    ),
    Rule(
        "M67",
        "A write that the database swallows is no write, and is set aside when it happens twice.",
        ("swallowed_is_written", "swallowed_for_ever"),
    ),
    Rule(
        "M68",
        "Rows are read back before COMMIT, after all triggers.",
        ("after_triggers_unseen", "deferred_triggers_unseen"),
    ),
    Rule(
        "M69",
        "Nothing of a worker lands after its time: COMMIT goes alone, and every statement, pause and COMMIT is bounded.",
        ("commit_with_the_writes", "statements_outlive_fence", "commit_outlives_fence", "idle_for_ever"),
    ),
    Rule(
        "M70",
        "Whoever loses against a concurrent transaction, as when a row moves to another partition, tries again.",
        ("lost_race_holds",),
    ),
    # ---- change streams
    Rule(
        "M80",
        "Queue, then our own mark, under the epoch of the lease, and only then the server: whoever was overtaken confirms nothing.",
        ("server_before_mark", "safe_before_sent", "overtaken_moves_mark", "left_undrained"),
    ),
    Rule(
        "M81",
        "The position moves with commits and with an idle server, never within a transaction.",
        ("complete_in_transaction", "idle_log_kept"),
    ),
    Rule(
        "M82",
        "A stream that cannot be shown to have everything stops, and what names no row stops its definition.",
        ("discontinuity_unseen", "trouble_unattended"),
    ),
    Rule(
        "M83",
        "It is kept since when a stream is whole, and anew after whatever it did not tell: then a scan follows.",
        ("unnamed_unscanned", "unwatched_forgotten", "new_slot_unscanned", "partitions_unseen"),
    ),
    Rule("M84", "The log prints keys as a scan does.", ("walsender_unpinned",)),
    Rule(
        "M85",
        "A message is taken when its marks are made; one that the host gave up is kept with its reason.",
        ("stream_marks_lost", "given_up_unseen"),
    ),
    Rule(
        "M86",
        "The source comes first: a throttle is heard, a byte budget is kept by whoever lives, and streaming is tried again.",
        ("throttle_unheard", "budget_unwatched", "sql_for_ever"),
    ),
    # ---- the budget
    Rule(
        "M87",
        "What a page has looked at it can also write: readings take the writes' units along, and what is not used goes back.",
        ("reads_unpaid", "reserve_kept"),
    ),
    Rule(
        "M88",
        "What could be read is used: an item of which not everything can be known now waits alone.",
        ("history_stops_page", "two_way_version_stops_page"),
    ),
    Rule(
        "M90",
        "What nobody agreed on in an item that stays without its row is not assumed.",
        ("two_way_kept_item_assumed",),
    ),
    Rule("M91", "A date that is no midnight in the site's zone is read as no day.", ("two_way_nearest_day",)),
)


def table() -> str:
    """The rules with their mutants, as Markdown."""
    lines = [f"| {rule.id} | {rule.sentence} | {', '.join(f'`{name}`' for name in rule.mutants)} |\n" for rule in RULES]
    return "".join(["| id | rule | mutants |\n", "|---|---|---|\n", *lines])


def rendered(catalogue: str) -> str:
    """The catalogue with its table as the rules have it."""
    return _BLOCK.sub(lambda block: f"{block[1]}{table()}{block[2]}", catalogue)


def main() -> int:
    CATALOGUE.write_text(rendered(CATALOGUE.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
