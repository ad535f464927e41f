-- name: opening
-- What a transaction that writes has to know first, asked under the role's own settings: whether it may write at all (a standby
-- and a server that is short of disk may not), who we are, how long the server waits before it looks for a deadlock (in
-- milliseconds), its synchronous_commit, and the values of some settings. Parameter: the settings' names.
select
    pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool,
    current_user::pg_catalog.text,
    (extract(epoch from pg_catalog.current_setting('deadlock_timeout')::pg_catalog.interval) * 1000)::pg_catalog.int4,
    pg_catalog.current_setting('synchronous_commit'),
    array(
        select pg_catalog.current_setting(named.setting)
        from rows from (pg_catalog.unnest(%s::pg_catalog.text[])) with ordinality as named (setting, place)
        order by named.place
    )

-- name: names
-- Gives the transaction an id that survives a crash of the server, and tells it: system identifier, timeline, id, and how far the
-- log has to be on disk for that.
-- An id that only stands in memory is handed out again after a crash. A transactional message puts it into the log, which has to
-- be flushed before the id is written down anywhere: see flush.
select
    (select system_identifier from pg_catalog.pg_control_system())::text,
    ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::integer,
    pg_catalog.pg_current_xact_id()::text,
    pg_catalog.pg_logical_emit_message(true, 'syncbridge', '')::text

-- name: flush
-- Something to commit, for the log to be flushed by: a transaction that has logged nothing is committed without a flush, even if
-- it has an id.
select pg_catalog.pg_logical_emit_message(true, 'syncbridge', '')

-- name: is_flushed
-- Whether the log is on disk that far. Parameter: the position.
select pg_catalog.pg_current_wal_flush_lsn() >= %s::pg_catalog.pg_lsn

-- name: fate
-- What became of a transaction: this server's identity and timeline, whether it is a standby, and the status (committed, aborted,
-- in progress; null when it is too old, or of another server). Raises 22023 for an id that is still to come.
-- Parameters: system identifier, timeline, id.
select here.standby,
    case when not here.standby and here.system = %s and here.timeline = %s then pg_catalog.pg_xact_status(%s::xid8) end
from (
    select
        (select system_identifier from pg_catalog.pg_control_system())::text as system,
        case when not pg_catalog.pg_is_in_recovery()
            then ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::integer
        end as timeline,
        pg_catalog.pg_is_in_recovery() as standby
) as here

-- name: kind
-- The kind of a table-like object, and its oid. Parameters: schema, name.
select c.relkind::text, c.oid::bigint
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %s and c.relname = %s

-- name: columns
-- How texts become values of each column: name, schema and name of the type that stands behind its domains, schema and name of
-- its own type, that one's modifiers, whether it is generated from others. Parameter: the table's oid.
with recursive resolved as (
    select a.attnum, a.atttypid as type, 0 as depth
    from pg_attribute a where a.attrelid = %s::bigint::oid and a.attnum > 0 and not a.attisdropped
    union all
    select r.attnum, t.typbasetype, r.depth + 1 from resolved r join pg_type t on t.oid = r.type where t.typtype = 'd'
), base as (
    select distinct on (attnum) attnum, type from resolved order by attnum, depth desc
)
select a.attname::text, bn.nspname::text, bt.typname::text, tn.nspname::text, t.typname::text,
       coalesce(substring(format_type(a.atttypid, a.atttypmod) from '\([0-9, -]+\)'), ''),
       a.attgenerated <> ''
from base b
join pg_attribute a on a.attrelid = %s::bigint::oid and a.attnum = b.attnum
join pg_type bt on bt.oid = b.type
join pg_namespace bn on bn.oid = bt.typnamespace
join pg_type t on t.oid = a.atttypid
join pg_namespace tn on tn.oid = t.typnamespace

-- name: unique_indexes
-- Whole, usable unique indexes on exactly these columns: name, and whether they refuse at once (a deferrable constraint's does
-- not). Parameters: the table's oid, the columns' names twice.
select ic.relname::text, i.indimmediate
from pg_index i
join pg_class ic on ic.oid = i.indexrelid
where i.indrelid = %s::bigint::oid and i.indisunique and i.indisvalid and i.indisready and i.indpred is null
  and i.indnkeyatts = cardinality(%s::text[])
  and not exists (
      select from unnest(i.indkey::smallint[]) with ordinality as k (attnum, place)
      left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum and k.attnum <> 0
      where k.place <= i.indnkeyatts and (a.attname is null or a.attname <> all(%s::text[]))
  )
order by i.indimmediate desc, ic.relname

-- name: sequences
-- Columns that a sequence numbers, by GENERATED … AS IDENTITY or a default that is nextval() and nothing else: name, the sequence's
-- oid, schema and name, whether it is an identity's, and whether this role may draw from it. Parameter: the table's oid.
select a.attname::text, s.oid::bigint, n.nspname::text, s.relname::text, a.attidentity <> '',
       has_sequence_privilege(s.oid, 'usage') or has_sequence_privilege(s.oid, 'update')
from pg_attribute a
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
join pg_depend p on (
    -- An identity's sequence depends on its column; a default depends on the sequences that it names.
    (a.attidentity <> '' and p.classid = 'pg_class'::regclass and p.deptype = 'i'
     and p.refclassid = 'pg_class'::regclass and p.refobjid = a.attrelid and p.refobjsubid = a.attnum)
    or (pg_get_expr(d.adbin, d.adrelid) ~ '^nextval\(''[^'']+(''''[^'']*)*''::regclass\)$'
        and p.classid = 'pg_attrdef'::regclass and p.objid = d.oid and p.refclassid = 'pg_class'::regclass)
)
join pg_class s on s.relkind = 'S' and s.oid = case when a.attidentity <> '' then p.objid else p.refobjid end
join pg_namespace n on n.oid = s.relnamespace
where a.attrelid = %s::bigint::oid and a.attnum > 0 and not a.attisdropped

-- name: draw
-- The next numbers of a sequence, as texts. Parameters: the sequence's oid, how many.
select nextval(%s::bigint::oid::regclass)::text from generate_series(1, %s)

-- name: functions
-- Functions that a transaction's name and fate need, and this role may not call: name, types of the arguments.
select p.proname::text, array(select t.typname::text from unnest(p.proargtypes::oid[]) with ordinality as a (type, place)
                              join pg_type t on t.oid = a.type order by a.place)
from pg_proc p
where p.pronamespace = 'pg_catalog'::regnamespace
  and (p.proname in ('pg_control_system', 'pg_walfile_name', 'pg_current_wal_lsn', 'pg_current_xact_id', 'pg_xact_status')
       or p.proname = 'pg_logical_emit_message' and p.proargtypes[2] = 'text'::regtype)
  and not has_function_privilege(p.oid, 'execute')
order by p.proname
