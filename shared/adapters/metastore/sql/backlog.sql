-- The backlog: one durable, coalesced, numbered entry per subject that may differ.

-- mark --
-- Marks of one chunk, in the order of their hash (captures and settle lock in that order, so they do not deadlock).
-- Followed by `policy`, which says what becomes of a subject that is marked already.
insert into syncbridge.sync_backlog as b (sync_def_id, subject_hash, subject_kind, source_identity, sp_list_id, sp_item_id, reasons, lane, news)
select %(definition)b::uuid, m.hash, m.kind, m.identity, m.list_id, m.item_id, string_to_array(m.reasons, ','), m.lane, m.news
  from unnest(%(hashes)b::bytea[], %(kinds)b::text[], %(identities)b::text[], %(lists)b::text[], %(items)b::integer[],
              %(reasons)b::text[], %(lanes)b::smallint[], %(news)b::text[])
       as m(hash, kind, identity, list_id, item_id, reasons, lane, news)
 order by m.hash

-- policy --
-- What a mark does to a subject that has one. Written under `insert into sync_backlog as b … select … order by hash`.
--
-- Number: every mark takes a new one, but a scan's mark (SCAN and ROW_GONE only) that tells nothing new is not written
--   at all. A claimed subject is always renumbered: its worker may have read the row before the mark saw it.
-- State: PARKED becomes due again with its attempts kept, except when a scan sees the content that was parked, or misses
--   the row once more: a row that cannot be written differs from the ledger at every scan, and waits for its retry time.
--   AWAITING_APPROVAL and HELD stay under marks that say once more what they wait for: that the row is gone, or that the
--   item is. News of the other side, and that the other one is gone as well, make them due: there is less to ask, or nothing.
--   A subject that is due because one side is gone, and nothing else, waits when a mark that says the same says so.
-- approved: an approval outlives the same marks as a wait does.
-- due_at: news does not wait for a delay, except of a subject that waits for somebody else's creation (AGAIN).
-- news: two different eTags cannot be ordered here, so settle is made to look.
on conflict (sync_def_id, subject_hash) do update
   set number = excluded.number,
       reasons = case when b.reasons @> excluded.reasons then b.reasons
                      else array(select distinct r from unnest(b.reasons || excluded.reasons) as r order by r) end,
       lane = least(b.lane, excluded.lane),
       news = case when excluded.news is null and not 'ITEM' = any(excluded.reasons) then b.news
                   when b.news is null and not 'ITEM' = any(b.reasons) then excluded.news
                   when b.news = excluded.news then b.news end,
       seen_stamp = case when excluded.reasons <@ array['SCAN', 'ROW_GONE'] then excluded.seen_stamp else b.seen_stamp end,
       state = case when b.state = 'DUE' and excluded.state <> 'DUE' and not b.approved and b.reasons <@ excluded.reasons then excluded.state
                    when b.state = 'PARKED' and excluded.state <> 'DUE'
                         and not (b.reasons || excluded.reasons) @> array['ROW_GONE', 'ITEM_GONE'] then excluded.state
                    when b.state in ('AWAITING_APPROVAL', 'HELD')
                         and excluded.reasons <@ array['ROW_GONE', 'ITEM_GONE', 'BACKFILL', 'MAPPING', 'DRIFT', 'SAMPLE']
                         and not ('ITEM_GONE' = any(excluded.reasons) and ('ROW_GONE' = any(b.reasons) or not 'ITEM_GONE' = any(b.reasons)))
                         and not ('ROW_GONE' = any(excluded.reasons) and 'ITEM_GONE' = any(b.reasons) and not 'ROW_GONE' = any(b.reasons)) then b.state
                    else 'DUE' end,
       approved = b.approved
                  and excluded.reasons <@ array['ROW_GONE', 'ITEM_GONE', 'DOUBT', 'RETRY', 'AGAIN', 'BACKFILL', 'MAPPING', 'DRIFT', 'SAMPLE']
                  and not ('ITEM_GONE' = any(excluded.reasons) and ('ROW_GONE' = any(b.reasons) or not 'ITEM_GONE' = any(b.reasons)))
                  and not ('ROW_GONE' = any(excluded.reasons) and 'ITEM_GONE' = any(b.reasons) and not 'ROW_GONE' = any(b.reasons)),
       due_at = case when b.state = 'DUE' and 'AGAIN' = any(b.reasons) then b.due_at else least(b.due_at, now()) end,
       marked_at = now()
 where not excluded.reasons <@ array['SCAN', 'ROW_GONE']
    or case b.state
            when 'PARKED' then b.seen_stamp is distinct from excluded.seen_stamp
                               or ('ROW_GONE' = any(excluded.reasons) and not 'ROW_GONE' = any(b.reasons))
            when 'DUE' then b.claim is not null or b.lane > excluded.lane or not b.reasons @> excluded.reasons
                            or (excluded.state <> 'DUE' and not b.approved and b.reasons <@ array['ROW_GONE'])
            else not b.reasons @> excluded.reasons or not excluded.reasons <@ array['ROW_GONE'] end

-- numbers --
-- What a mark or its renewal is numbered. Written after `policy`.
returning b.subject_hash, b.number

-- under_way --
-- Of echoes: those whose subject somebody holds, or is marked because its item was gone, or whose entry is not the one
-- that was read. In one snapshot: a claim that is over has left its confirmation in the ledger.
select e.hash
  from unnest(%(hashes)b::bytea[], %(confirmed)b::bigint[]) as e(hash, confirmed)
 where exists (select 1 from syncbridge.sync_backlog b
                where b.sync_def_id = %(definition)b::uuid and b.subject_hash = e.hash
                  and (b.claim is not null or 'ITEM_GONE' = any(b.reasons)))
    or not exists (select 1 from syncbridge.sync_ledger l
                    where l.sync_def_id = %(definition)b::uuid and l.source_identity_hash = e.hash
                      and l.confirmed is not distinct from e.confirmed)

-- peek --
-- Subjects that are to be settled, for a plan, in the order of their hash.
select b.subject_kind, b.source_identity, b.sp_list_id, b.sp_item_id, b.number, b.reasons, b.lane, b.claim is not null, b.attempts, b.news,
       b.approved
  from syncbridge.sync_backlog b
 where b.sync_def_id = %(definition)s and b.subject_hash > %(after)s and b.state in ('DUE', 'PARKED')
 order by b.subject_hash limit %(limit)s

-- next_number --
-- A number from the marks' sequence.
select nextval('syncbridge.mark_numbers')

-- claim --
-- Claims the first due subjects of the lanes, in the lanes' order, without waiting for anybody. A claim whose lease has
-- run out is taken over. A parked subject whose retry time has come is due. The update takes an array of keys, not a join:
-- where the table was empty when it was last analyzed, a join compares every picked row with every row of the backlog.
with picked as materialized (
    select d.subject_hash, d.claim is not null as takeover
      from unnest(%(lanes)b::smallint[]) with ordinality as l(lane, rank)
     cross join lateral (
           select b.subject_hash, b.claim
             from syncbridge.sync_backlog b
            where b.sync_def_id = %(definition)b::uuid
              and b.lane = l.lane
              and b.state in ('DUE', 'PARKED')
              and b.due_at <= now()
              and (b.claim is null or b.claimed_until <= now())
            order by b.due_at
            limit %(limit)b::integer
              for update skip locked) as d
     limit %(limit)b::integer
)
update syncbridge.sync_backlog b
   set claim = %(token)b::uuid, claimed_until = now() + %(lease)b::interval, state = 'DUE'
 where b.sync_def_id = %(definition)b::uuid and b.subject_hash = any(array(select p.subject_hash from picked p))
returning b.subject_kind, b.source_identity, b.sp_list_id, b.sp_item_id, b.number, b.reasons, b.lane,
          b.subject_hash = any(array(select p.subject_hash from picked p where p.takeover)), b.attempts, b.news, b.approved,
          now(), b.claimed_until

-- now --
-- The metastore's clock, for a claim that found nothing.
select now()

-- due_left --
-- How many subjects of the lanes are due and free, counted up to a bound; those that others hold locked are counted too.
select count(*)
  from (select 1 from syncbridge.sync_backlog b
         where b.sync_def_id = %(definition)b::uuid
           and b.lane = any(%(lanes)b::smallint[])
           and b.state in ('DUE', 'PARKED')
           and b.due_at <= now()
           and (b.claim is null or b.claimed_until <= now())
         limit %(bound)b::integer) as due

-- still_held --
-- Which of the subjects the token still holds.
select b.subject_hash
  from syncbridge.sync_backlog b
 where b.subject_hash = any(%(hashes)b::bytea[]) and b.claim = %(token)b::uuid and b.claimed_until > clock_timestamp()
   and b.sync_def_id = %(definition)b::uuid

-- set_aside --
-- Which of the subjects are parked, or wait for a person.
select b.subject_hash
  from syncbridge.sync_backlog b
 where b.subject_hash = any(%(hashes)b::bytea[]) and b.state in ('PARKED', 'AWAITING_APPROVAL')
   and b.sync_def_id = %(definition)b::uuid

-- release --
-- Gives claims back, at once or for later.
with held as materialized (
    select b.sync_def_id, b.subject_hash
      from syncbridge.sync_backlog b
     where b.sync_def_id = %(definition)b::uuid and b.subject_hash = any(%(hashes)b::bytea[]) and b.claim = %(token)b::uuid
     order by b.subject_hash
       for update
)
update syncbridge.sync_backlog b
   set claim = null, claimed_until = null, due_at = case when %(due_in)b::interval is null then b.due_at else now() + %(due_in)b::interval end
  from held h
 where b.sync_def_id = h.sync_def_id and b.subject_hash = h.subject_hash

-- counts --
-- The backlog in figures. A parked subject whose retry time has come counts as due.
select count(*) filter (where state in ('DUE', 'PARKED') and due_at <= now() and (claim is null or claimed_until <= now())),
       count(*) filter (where state = 'DUE' and (due_at > now() or claimed_until > now())),
       count(*) filter (where state = 'PARKED' and due_at > now()),
       count(*) filter (where state = 'AWAITING_APPROVAL'),
       count(*) filter (where state = 'HELD'),
       min(greatest(due_at, claimed_until)) filter (where state = 'DUE' and (due_at > now() or claimed_until > now())),
       min(first_marked_at) filter (where state = 'DUE')
  from syncbridge.sync_backlog
 where sync_def_id = %(definition)b::uuid
