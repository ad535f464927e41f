-- Scans: the unlogged tables of one run, and what differs from the ledger. `{scan}`, `{differing}` and `{checksums}` are the
-- run's tables.

-- worthwhile --
-- Whether the ledger has so many entries of this definition that checksums save anything.
select count(*) = %(entries)s::bigint
  from (select from syncbridge.sync_ledger where sync_def_id = %(definition)s::uuid limit %(entries)s::bigint) as entries

-- hashing --
-- How this server hashes. A source that answers alike makes the same checksums of the same rows.
select current_setting('server_encoding') || '/' || hashtextextended(%(probe)s::text collate "C", 0)
       || '/' || hashtextextended(%(probe)s::text collate "C", %(seed)s::bigint)

-- create_checksums --
-- The source's checksums: there until the end of the transaction that asks for them.
create unlogged table {checksums} (bucket integer not null, rows bigint not null, checksum bigint not null)
  with (autovacuum_enabled = false)

-- copy_checksums --
-- COPY BINARY, exactly as the source sends it.
copy {checksums} (bucket, rows, checksum) from stdin (format binary)

-- unequal --
-- The ledger's checksums beside the source's: rows of the buckets that are equal, and which are not. A bucket with an entry
-- on the way to an agreement, or with a subject that waits because its row was gone, has to be looked into whatever its
-- checksum says. LIMIT ALL limits nothing: it hides the key's statistics, by which the planner would sort all entries.
with known as (
    select bucket, count(stamp) as rows, bit_xor(hashtextextended(source_identity, stamp)) as checksum,
           bool_or(state in ('BOUND', 'CREATING')) as unsettled
      from (select source_identity, stamp, state, (hashtextextended(source_identity, 0) & %(last)s::bigint)::integer as bucket
              from syncbridge.sync_ledger
             where sync_def_id = %(definition)s::uuid and (stamp is not null or state in ('BOUND', 'CREATING'))
             limit all) as entries
     group by bucket
), waiting as (
    select distinct (hashtextextended(source_identity, 0) & %(last)s::bigint)::integer as bucket
      from syncbridge.sync_backlog
     where sync_def_id = %(definition)s::uuid and state in ('AWAITING_APPROVAL', 'HELD') and 'ROW_GONE' = any(reasons)
       and source_identity is not null
), compared as (
    select bucket, s.rows, k.rows is distinct from s.rows or k.checksum is distinct from s.checksum
           or coalesce(k.unsettled, false) or w.bucket is not null as unequal
      from {checksums} s full join known k using (bucket) left join waiting w using (bucket)
)
select coalesce(sum(rows) filter (where not unequal), 0)::bigint, coalesce(array_agg(bucket) filter (where unequal), '{{}}')
  from compared

-- drop_checksums --
-- They are compared.
drop table {checksums}

-- create_scan --
-- The rows of the source: what the scan piped in. A crash of the server empties it, see `loaded`.
create unlogged table {scan} (identity text collate "C" not null, stamp bigint not null) with (autovacuum_enabled = false)

-- copy --
-- COPY BINARY, exactly as the source sends it.
copy {scan} (identity, stamp) from stdin (format binary)

-- analyze_scan --
-- The comparison's plan depends on how many rows there are.
analyze {scan} (identity)

-- create_differing --
-- What differs, in the order of the marks.
create unlogged table {differing} (subject_hash bytea not null, identity text collate "C" not null, stamp bigint, kind "char" not null)
  with (autovacuum_enabled = false)

-- compare --
-- One full join of the scan with the ledger, or with its entries in the buckets that were scanned: n: row without an agreement, c: other stamp, g: agreement without a row,
-- u: an item is bound or being created, whatever the stamp says. Writes nothing if a row of the scan is missing.
insert into {differing} (subject_hash, identity, stamp, kind)
select coalesce(l.source_identity_hash, sha256(convert_to(s.identity, 'UTF8'))), coalesce(s.identity, l.source_identity), s.stamp,
       case when s.identity is not null and l.stamp is null and coalesce(l.state, 'TOMBSTONE') not in ('BOUND', 'CREATING') then 'n'
            when s.identity is null and l.stamp is not null then 'g'
            when l.state in ('BOUND', 'CREATING') then 'u'
            else 'c' end
  from {scan} s
  full join (select source_identity, source_identity_hash, stamp, state
               from syncbridge.sync_ledger
              where sync_def_id = %(definition)s::uuid
                and (%(buckets)s::bytea is null
                     or get_bit(%(buckets)s::bytea, hashtextextended(source_identity, 0) & %(last)s::bigint) = 1)) l
         on l.source_identity = s.identity
 where (s.stamp is distinct from l.stamp or l.state in ('BOUND', 'CREATING'))
   and (select count(*) from {scan}) = %(loaded)s::bigint

-- compare_waiting --
-- Subjects that wait because their row was gone, and whose row is back as the ledger knows it.
insert into {differing} (subject_hash, identity, stamp, kind)
select b.subject_hash, s.identity, s.stamp, 'b'
  from syncbridge.sync_backlog b join {scan} s on s.identity = b.source_identity
 where b.sync_def_id = %(definition)s::uuid and b.state in ('AWAITING_APPROVAL', 'HELD') and 'ROW_GONE' = any(b.reasons)
   and not exists (select 1 from {differing} d where d.subject_hash = b.subject_hash)

-- totals --
-- The comparison in figures, and whether every row of the scan was there.
select (select count(*) from {scan}), count(*), count(*) filter (where kind = 'n'), count(*) filter (where kind in ('c', 'u')),
       count(*) filter (where kind = 'g'), count(*) filter (where kind = 'u' and stamp is not null)
  from {differing}

-- remapped --
-- Differences of rows that were agreed under other fields: their stamp covered other columns and says nothing.
select count(*) from {differing} d
  join syncbridge.sync_ledger l on l.sync_def_id = %(definition)s::uuid and l.source_identity_hash = d.subject_hash
 where d.kind = 'c' and l.mapping_fingerprint is distinct from %(mapping)s::bytea

-- renamed --
-- Rows that are gone, and of which a stream has told which key they have now.
select count(*) from {differing} d
 where d.kind = 'g'
   and exists (select from syncbridge.sync_renames r where r.sync_def_id = %(definition)s::uuid and r.former_hash = d.subject_hash)

-- show --
-- A page of differences for a plan, in the order of their hash.
select subject_hash, identity, case kind when 'n' then 'NEW' when 'g' then 'GONE' else 'CHANGED' end
  from {differing} where subject_hash > %(after)b::bytea order by subject_hash limit %(limit)b::integer

-- mark --
-- Marks a page of differences, in the order of their hash. Followed by the backlog's `policy`.
insert into syncbridge.sync_backlog as b (sync_def_id, subject_hash, subject_kind, source_identity, reasons, lane, seen_stamp, state)
select %(definition)b::uuid, d.subject_hash, 'ROW', d.identity, array[case when d.stamp is null then 'ROW_GONE' else 'SCAN' end],
       %(lane)b::smallint, d.stamp,
       case when d.kind = 'g' and %(hold_deletes)b::boolean then 'AWAITING_APPROVAL' else 'DUE' end
  from {differing} d
 where d.subject_hash > %(after)b::bytea and d.subject_hash <= %(last)b::bytea
 order by d.subject_hash

-- drop --
-- The run's tables go.
drop table if exists {scan}, {differing}
