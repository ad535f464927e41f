-- Enumerations: the unlogged tables of one run that reads a whole list, and what differs from the ledger. `{listed}` and
-- `{differing}` are the run's tables.

-- create_listed --
-- The items of the list: what the pages said. A crash of the server empties it, see `loaded`.
create unlogged table {listed} (item_id integer primary key, etag text not null, keyless boolean not null) with (autovacuum_enabled = false)

-- load --
-- One page; how many of its items are new to the table.
with stored as (
    insert into {listed} as s (item_id, etag, keyless)
    select p.item_id, p.etag, p.keyless
      from unnest(%(items)b::integer[], %(etags)b::text[], %(keyless)b::boolean[]) as p(item_id, etag, keyless)
        on conflict (item_id) do update set etag = excluded.etag, keyless = excluded.keyless
    returning s.xmax = 0 as fresh
)
select count(*) filter (where fresh) from stored

-- move --
-- How far the list was read.
update syncbridge.run_tables set list_position = %(position)s::jsonb where run_id = %(run)s::uuid and kind = 'LIST'

-- position --
-- How far the list was read, and how many rows have to be there.
select list_position, coalesce(loaded, 0) from syncbridge.run_tables where run_id = %(run)s::uuid and kind = 'LIST'

-- count_listed --
-- How many rows are there.
select count(*) from {listed}

-- analyze_listed --
-- The comparison's plan depends on how many items there are.
analyze {listed}

-- drop_differing --
-- The findings of an earlier comparison go.
drop table if exists {differing}

-- create_differing --
-- What differs, in the order of the marks. `etag` null: the item was not seen.
create unlogged table {differing} (subject_hash bytea not null, identity text collate "C", item_id integer, etag text, kind "char" not null)
  with (autovacuum_enabled = false)

-- compare --
-- The list against ledger and claims, in one snapshot: what a claim will confirm is not in the ledger yet, and a claim that
-- is over has left its confirmation there. Answers with the number of f, which are no differences.
-- f: an item of nobody's that stays so, n: another one that no entry stands for, c: another eTag, g: an item that was not seen, u: the entry is on the way to an
-- agreement, r: the item is being created anew, its former one seen or not, l: another eTag, or not seen, where it was agreed
-- after the reading began, h: the row is claimed, b: a row waits because its item was gone, and it is there.
with known as materialized (
    select l.source_identity_hash as hash, l.source_identity as identity, l.sp_item_id as item_id, l.sp_etag as etag, l.state, l.confirmed
      from syncbridge.sync_ledger l
     where l.sync_def_id = %(definition)s::uuid and l.sp_list_id = %(list)s::text and l.sp_item_id is not null and l.state <> 'TOMBSTONE'
), found as materialized (
    select coalesce(k.hash, sha256(convert_to('item:' || %(list)s::text || ':' || s.item_id, 'UTF8'))) as hash,
           k.identity, coalesce(s.item_id, k.item_id) as item_id, s.etag,
           case when k.hash is null and s.keyless and not %(takes_foreign)s::boolean then 'f'
                when k.hash is null then 'n'
                when k.state = 'CREATING' then 'r'
                when coalesce(k.confirmed, 0) > %(since)s::bigint then 'l'
                when s.item_id is null then 'g'
                when k.state <> 'SETTLED' then 'u'
                else 'c' end as kind
      from {listed} s full join known k on k.item_id = s.item_id
     where k.hash is null or s.item_id is null or s.etag is distinct from k.etag or k.state <> 'SETTLED'
), kept as (
insert into {differing} (subject_hash, identity, item_id, etag, kind)
select f.hash, f.identity, f.item_id, f.etag, f.kind from found f where f.kind <> 'f'
 union all
select b.subject_hash, b.source_identity, s.item_id, case when b.claim is null then s.etag end, case when b.claim is null then 'b' else 'h' end
  from syncbridge.sync_backlog b left join known k on k.hash = b.subject_hash left join {listed} s on s.item_id = k.item_id
 where b.sync_def_id = %(definition)s::uuid and b.subject_kind = 'ROW'
   and (b.claim is not null or (b.state in ('AWAITING_APPROVAL', 'HELD') and 'ITEM_GONE' = any(b.reasons) and s.item_id is not null))
   and not exists (select 1 from found f where f.hash = b.subject_hash)
)
select count(*) from found where kind = 'f'

-- totals --
-- The comparison in figures: items listed, differences, and those by kind.
select (select count(*) from {listed}), count(*), count(*) filter (where kind = 'n'), count(*) filter (where kind = 'c'),
       count(*) filter (where kind = 'g'), count(*) filter (where kind = 'h'), count(*) filter (where kind = 'r' and etag is not null)
  from {differing}

-- mark --
-- Marks a page of differences, in the order of their hash. Followed by the backlog's `policy`.
insert into syncbridge.sync_backlog as b
       (sync_def_id, subject_hash, subject_kind, source_identity, sp_list_id, sp_item_id, reasons, lane, news, state)
select %(definition)b::uuid, d.subject_hash, case when d.identity is null then 'ITEM' else 'ROW' end, d.identity,
       case when d.identity is null then %(list)b::text end, case when d.identity is null then d.item_id end,
       array[case when d.etag is null then 'ITEM_GONE' else 'ITEM' end], %(lane)b::smallint, d.etag,
       case when d.kind = 'g' and %(hold_deletes)b::boolean then 'AWAITING_APPROVAL' else 'DUE' end
  from {differing} d
 where d.subject_hash > %(after)b::bytea and d.subject_hash <= %(last)b::bytea
 order by d.subject_hash

-- drop --
-- The run's tables go.
drop table if exists {listed}, {differing}
