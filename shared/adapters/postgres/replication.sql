-- name: server
-- Which server this is and how far its log is: system identifier, timeline, end of the log that is safe on disk, version,
-- standby, name of this database. A standby's log ends where it has replayed it.
select
    (select system_identifier from pg_catalog.pg_control_system())::text,
    case when pg_catalog.pg_is_in_recovery()
        then (select timeline_id from pg_catalog.pg_control_checkpoint())
        else ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::integer
    end,
    case when pg_catalog.pg_is_in_recovery()
        then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_flush_lsn() end::text,
    pg_catalog.current_setting('server_version_num')::integer / 10000,
    pg_catalog.pg_is_in_recovery(),
    pg_catalog.current_database()::text

-- name: slot
-- A slot by its name: name, plugin, database, confirmed position, bytes retained, bytes behind, who reads it, lost, failover.
-- Columns that came with later versions are read off its JSON. Parameter: the name.
select
    s.slot_name::text, s.plugin::text, s.database::text, s.confirmed_flush_lsn::text,
    coalesce(pg_catalog.pg_wal_lsn_diff(w.at, s.restart_lsn), 0)::bigint,
    coalesce(greatest(pg_catalog.pg_wal_lsn_diff(w.at, s.confirmed_flush_lsn), 0), 0)::bigint,
    s.active_pid,
    coalesce(s.wal_status = 'lost', false) or coalesce((pg_catalog.to_jsonb(s) ->> 'conflicting')::boolean, false)
        or pg_catalog.to_jsonb(s) ->> 'invalidation_reason' is not null,
    coalesce((pg_catalog.to_jsonb(s) ->> 'failover')::boolean, false)
from pg_catalog.pg_replication_slots s
cross join (select case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
                        else pg_catalog.pg_current_wal_lsn() end as at) as w
where s.slot_name = %s

-- name: settings
-- What a transaction that writes runs under. Parameters: statement_timeout, lock_timeout.
select
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
    pg_catalog.set_config('statement_timeout', %s, true),
    pg_catalog.set_config('lock_timeout', %s, true)

-- name: stream_settings
-- What the server allows: wal_level, slots that can still be made, whether ours is there, replication connections, bytes of
-- log kept for a slot (-1: no limit), version, standby. Parameter: our slot's name.
select pg_catalog.current_setting('wal_level'),
       pg_catalog.current_setting('max_replication_slots')::integer
           - (select pg_catalog.count(*) from pg_catalog.pg_replication_slots)::integer,
       exists (select from pg_catalog.pg_replication_slots
               where slot_name = %s and database = pg_catalog.current_database()),
       pg_catalog.current_setting('max_wal_senders')::integer,
       (select setting from pg_catalog.pg_settings where name = 'max_slot_wal_keep_size')::bigint,
       pg_catalog.current_setting('server_version_num')::integer / 10000,
       pg_catalog.pg_is_in_recovery()

-- name: create_slot
-- A new slot of this database; answers with where it begins. Waits until all transactions that write now have ended.
-- Parameter: its name.
select lsn::text from pg_catalog.pg_create_logical_replication_slot(%s, 'pgoutput', false, false)

-- name: create_failover_slot
-- The same, kept up to date at standbys too (PostgreSQL 17 and newer).
select lsn::text from pg_catalog.pg_create_logical_replication_slot(%s, 'pgoutput', false, false, true)

-- name: drop_slot
-- Drops a slot that nobody reads. Parameter: its name.
select pg_catalog.pg_drop_replication_slot(%s)

-- name: advance_slot
-- Moves a slot on; what lies before is never sent again. Parameters: its name, the position.
select end_lsn::text from pg_catalog.pg_replication_slot_advance(%s, %s::pg_catalog.pg_lsn)

-- name: end_reader
-- Ends the session that reads a slot, and waits up to 5 s until it has. Parameter: the slot's name.
select pg_catalog.pg_terminate_backend(active_pid, 5000)
from pg_catalog.pg_replication_slots where slot_name = %s and active_pid is not null

-- name: end_own_reader
-- The same, where the reader is of our kind. Parameters: the slot's name, the name by which our kind goes.
select pg_catalog.pg_terminate_backend(s.active_pid, 5000)
from pg_catalog.pg_replication_slots s
join pg_catalog.pg_stat_activity a on a.pid = s.active_pid
where s.slot_name = %s and a.application_name = %s

-- name: publication
-- A publication by its name: whether it publishes all four operations, and by the partitions' root. Parameter: the name.
select pubinsert and pubupdate and pubdelete and pubtruncate, pubviaroot from pg_catalog.pg_publication where pubname = %s

-- name: published
-- What a publication publishes: schema, table, whether rows or columns are left out, and a text that changes when something
-- may have gone unseen: the table left the publication and came back, the publication was made anew or altered, or a partition
-- was attached, detached or truncated, of which the log tells nothing under the root's name (a truncated one is another file,
-- as is one that was rewritten). Parameter: the name.
select v.schemaname::text, v.tablename::text,
       pg_catalog.to_jsonb(v) ->> 'rowfilter' is not null,
       coalesce(pg_catalog.jsonb_array_length(pg_catalog.to_jsonb(v) -> 'attnames'), c.columns) < c.columns,
       p.oid::text || '.' || p.xmin::text || coalesce('/' || r.oid::text || '.' || r.xmin::text, '')
           || coalesce('/' || f.files, '')
from pg_catalog.pg_publication_tables v
join pg_catalog.pg_publication p on p.pubname = v.pubname
join pg_catalog.pg_namespace n on n.nspname = v.schemaname
join pg_catalog.pg_class t on t.relnamespace = n.oid and t.relname = v.tablename
left join pg_catalog.pg_publication_rel r on r.prpubid = p.oid and r.prrelid = t.oid
cross join lateral (
    select pg_catalog.count(*) as columns
    from pg_catalog.pg_attribute a where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as c
cross join lateral (
    with recursive part as (
        select t.oid, t.relkind, t.relfilenode where t.relkind = 'p'
        union all
        select c.oid, c.relkind, c.relfilenode
        from part
        join pg_catalog.pg_inherits i on i.inhparent = part.oid
        join pg_catalog.pg_class c on c.oid = i.inhrelid
        where part.relkind = 'p'
    )
    select pg_catalog.md5(pg_catalog.string_agg(oid::text || '.' || relfilenode::text, ' ' order by oid)) as files from part) as f
where v.pubname = %s

-- name: may_publish
-- Whether this role may make publications in this database, own the publication if there is one, and add a table.
-- Parameters: the publication's name, the table's oid.
select
    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create'),
    (select pg_catalog.pg_has_role(p.pubowner, 'usage') from pg_catalog.pg_publication p where p.pubname = %s),
    (select pg_catalog.pg_has_role(c.relowner, 'usage') from pg_catalog.pg_class c where c.oid = %s::bigint::oid),
    pg_catalog.current_database()::text

-- name: relations
-- A table and all its partitions: schema, name, persistence, replica identity, columns of the replica identity (null: all of
-- them). Each one's own identity says what the log holds of its rows, and the root's how that is described.
-- Parameter: the table's oid.
with recursive part as (
    select c.oid, c.relkind from pg_catalog.pg_class c where c.oid = %s::bigint::oid
    union all
    select c.oid, c.relkind
    from part p
    join pg_catalog.pg_inherits i on i.inhparent = p.oid
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where p.relkind = 'p'
)
select n.nspname::text, c.relname::text, c.relpersistence::text, c.relreplident::text,
       case when c.relreplident <> 'f' then coalesce((
           select pg_catalog.array_agg(a.attname::text order by a.attnum)
           from pg_catalog.pg_index x
           join pg_catalog.pg_attribute a on a.attrelid = x.indrelid and a.attnum = any(x.indkey::smallint[])
           where x.indrelid = c.oid
             and ((c.relreplident = 'd' and x.indisprimary) or (c.relreplident = 'i' and x.indisreplident))), '{}') end
from part
join pg_catalog.pg_class c on c.oid = part.oid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where part.relkind in ('r', 'p')
order by 1, 2

-- name: peek
-- Changes that the slot holds, without moving it on: position and message. The limit is looked at between transactions.
-- Parameters: the slot's name, the limit, the publication's name as a quoted identifier.
select lsn::text, data
from pg_catalog.pg_logical_slot_peek_binary_changes(%s, null, %s, 'proto_version', '1', 'publication_names', %s)

-- name: wal_end
-- How far the log is safe on disk.
select pg_catalog.pg_current_wal_flush_lsn()::text
