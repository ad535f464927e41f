-- Holds: the stopped states that only a person releases, and the deletes that wait.

-- open --
-- One open hold per definition and kind.
insert into syncbridge.holds (id, sync_def_id, kind, deletes_only, explanation, details, run_id)
values (%(id)s, %(definition)s, %(kind)s, %(deletes_only)s, %(explanation)s, %(details)s::jsonb, %(run)s)
on conflict (sync_def_id, kind) where released_at is null do update
   set explanation = excluded.explanation, details = excluded.details, run_id = excluded.run_id
returning id

-- blocking --
-- Open holds that stop the whole definition, the oldest first.
select kind, explanation, details from syncbridge.holds
 where sync_def_id = %(definition)s and released_at is null and not deletes_only order by opened_at, id

-- waived --
-- Kinds whose hold a person has released within the last hour.
select distinct kind from syncbridge.holds
 where sync_def_id = %(definition)s and released_at > now() - interval '1 hour'

-- release --
-- A person lets the definition go on.
update syncbridge.holds set released_at = clock_timestamp(), released_by = %(actor)s, release_reason = %(reason)s
 where id = %(id)s and released_at is null
returning id, sync_def_id, kind, explanation, details

-- find --
-- A hold, open or not.
select sync_def_id, kind from syncbridge.holds where id = %(id)s

-- list --
-- Holds for people.
select h.id, h.sync_def_id, d.name, h.kind, h.deletes_only, h.explanation, h.details, h.run_id, h.opened_at, h.released_at, h.released_by,
       h.release_reason
  from syncbridge.holds h join syncbridge.sync_definitions d on d.id = h.sync_def_id
 where (%(definition)s::uuid is null or h.sync_def_id = %(definition)s::uuid) and (%(released)s or h.released_at is null)
 order by h.opened_at desc, h.id limit 500

-- lock_allowance --
-- One taker at a time counts a definition's deletes.
select 1 from syncbridge.sync_definitions where id = %(definition)s for no key update

-- used_allowance --
-- Deletes that were let through within the rolling day. An hour counts until its last minute is a day old.
with old as (delete from syncbridge.delete_allowances where sync_def_id = %(definition)s and hour <= now() - interval '25 hours')
select coalesce(sum(used), 0)::bigint from syncbridge.delete_allowances
 where sync_def_id = %(definition)s and hour > now() - interval '25 hours'

-- take_allowance --
-- Lets deletes through.
insert into syncbridge.delete_allowances as a (sync_def_id, hour, used)
values (%(definition)s, date_trunc('hour', now()), %(taken)s)
on conflict (sync_def_id, hour) do update set used = a.used + excluded.used

-- release_subjects --
-- Subjects that wait become due, at once; approved ones may delete.
update syncbridge.sync_backlog
   set state = 'DUE', approved = %(approve)s, due_at = now(), lane = 0, number = nextval('syncbridge.mark_numbers'),
       reasons = case when 'RETRY' = any(reasons) then reasons else array_append(reasons, 'RETRY') end
 where sync_def_id = %(definition)s and state = %(state)s
   and (%(identities)s::text[] is null or source_identity = any(%(identities)s::text[]))

-- close_delete_guard --
-- A person has decided about every delete that waited: the guard's hold has nothing left to hold.
update syncbridge.holds h set released_at = clock_timestamp(), released_by = %(actor)s, release_reason = 'every delete was decided'
 where h.sync_def_id = %(definition)s and h.kind = 'DELETE_GUARD' and h.released_at is null
   and not exists (select 1 from syncbridge.sync_backlog b where b.sync_def_id = h.sync_def_id and b.state = 'AWAITING_APPROVAL')

-- reject_ledger --
-- Rejected deletes of items: their rows count as known to be gone, the items stay.
update syncbridge.sync_ledger l set stamp = null
  from syncbridge.sync_backlog b
 where b.sync_def_id = %(definition)s and b.state = 'AWAITING_APPROVAL' and b.subject_kind = 'ROW'
   and (%(identities)s::text[] is null or b.source_identity = any(%(identities)s::text[]))
   and l.sync_def_id = b.sync_def_id and l.source_identity_hash = b.subject_hash
   and ('ROW_GONE' = any(b.reasons) or not 'ITEM_GONE' = any(b.reasons))

-- reject_row_deletes --
-- Rejected deletes of rows whose item is gone: they stay without one, as where that is the policy. The stamp stays, so that
-- such a row comes up again when it changes. Takes a number, as every agreement does.
update syncbridge.sync_ledger l
   set state = 'TOMBSTONE', tombstoned_at = now(), sp_etag = null, field_digests = null, content_hash = null,
       confirmed = nextval('syncbridge.mark_numbers')
  from syncbridge.sync_backlog b
 where b.sync_def_id = %(definition)s and b.state = 'AWAITING_APPROVAL' and b.subject_kind = 'ROW'
   and (%(identities)s::text[] is null or b.source_identity = any(%(identities)s::text[]))
   and l.sync_def_id = b.sync_def_id and l.source_identity_hash = b.subject_hash
   and 'ITEM_GONE' = any(b.reasons) and not 'ROW_GONE' = any(b.reasons)

-- reject_doubtful --
-- Of rejected deletes those with writes in doubt: they are looked at once more, when nothing can surface any more.
update syncbridge.sync_backlog b
   set state = 'DUE', approved = false, reasons = array['DOUBT'], number = nextval('syncbridge.mark_numbers'),
       reason_code = null, reason_text = null,
       due_at = (select max((i ->> 'expires_at')::timestamptz) + interval '1 second' from jsonb_array_elements(l.intents) as i)
  from syncbridge.sync_ledger l
 where b.sync_def_id = %(definition)s and b.state = 'AWAITING_APPROVAL'
   and (%(identities)s::text[] is null or b.source_identity = any(%(identities)s::text[]))
   and l.sync_def_id = b.sync_def_id and l.source_identity_hash = b.subject_hash and l.intents <> '[]'

-- reject_marks --
-- All others leave the backlog.
delete from syncbridge.sync_backlog
 where sync_def_id = %(definition)s and state = 'AWAITING_APPROVAL'
   and (%(identities)s::text[] is null or source_identity = any(%(identities)s::text[]))
