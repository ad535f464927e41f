-- name: bound_of_time
-- How far a time cursor may be stored: below the start of every transaction that is open in this database.
-- To be run as a statement of its own, in autocommit: its now() is then older than the view of the activity it reads, and
-- the rows are read by a later statement. A backend without transaction id counts too: it may write its first row later,
-- under its early now(). The second covers what lies between a backend's clock and its entry in pg_stat_activity.
-- Columns: the bound; whether prepared transactions exist (their beginning is recorded nowhere); whether this server
-- replays another's log; whether others' transactions can be seen; whether some session hides its activity
-- (track_activities off); time of the last replayed transaction, for a standby.
select
    least_of.bound,
    exists (select from pg_catalog.pg_prepared_xacts where database = pg_catalog.current_database()) as prepared,
    pg_catalog.pg_is_in_recovery() as standby,
    pg_catalog.pg_has_role('pg_read_all_stats', 'usage') as sees_all,
    least_of.hidden,
    coalesce(pg_catalog.pg_last_xact_replay_timestamp(), pg_catalog.now()) as replayed
from (
    select
        least(pg_catalog.now(), pg_catalog.min(xact_start)) - interval '1 second' as bound,
        pg_catalog.count(*) filter (where state = 'disabled') > 0 as hidden
    from pg_catalog.pg_stat_activity
    where datname = pg_catalog.current_database() and pid <> pg_catalog.pg_backend_pid()
) as least_of

-- name: bound_of_xid
-- How far an xid8 cursor may be stored: below every transaction that is not finished, prepared ones included. Needs no right.
select pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text

-- name: server_identity
-- Who this server is: its system identifier, its timeline, and whether it replays another's log.
-- The name of the current WAL file knows the timeline at once after a promotion, pg_control_checkpoint() only after the next
-- checkpoint; a standby has no current WAL file of its own.
select
    (select system_identifier from pg_catalog.pg_control_system())::text,
    case when pg_catalog.pg_is_in_recovery()
        then (select timeline_id from pg_catalog.pg_control_checkpoint())
        else ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::integer
    end,
    pg_catalog.pg_is_in_recovery()
