-- Watches: when a definition's lists are read for changes.

-- notice --
-- Somebody says that a list changed. Nothing for a definition that is not there.
insert into syncbridge.list_watches (sync_def_id, noticed, noticed_at)
select id, 1, clock_timestamp() from syncbridge.sync_definitions where id = %(definition)s and state <> 'DELETED'
on conflict (sync_def_id) do update set noticed = list_watches.noticed + 1, noticed_at = excluded.noticed_at

-- take --
-- A run is about to read the lists: notices up to now are answered by it.
update syncbridge.list_watches set taken = noticed where sync_def_id = %(definition)s

-- pending --
-- Whether a notice came after the last run took them in.
select noticed > taken from syncbridge.list_watches where sync_def_id = %(definition)s

-- due --
-- Active definitions whose lists are to be read: noticed, or the safety poll's time has come. None that is held or at it. A
-- first reading, of the whole list, waits for a push: every row that it creates would have to be looked at again.
select d.id, w.next_at, coalesce(w.noticed > w.taken, false)
  from syncbridge.sync_definitions d
  join syncbridge.sync_targets t on t.sync_def_id = d.id and t.provisioned_at is not null
  left join syncbridge.list_watches w on w.sync_def_id = d.id
 where d.state = 'ACTIVE' and (w.next_at is null or w.next_at <= %(now)s or w.noticed > w.taken)
   and not exists (select from syncbridge.holds h where h.sync_def_id = d.id and h.released_at is null and not h.deletes_only)
   and not exists (select from syncbridge.sync_runs r
                    where r.sync_def_id = d.id and r.status in ('QUEUED', 'RUNNING')
                      and (r.run_type = 'INGRESS' or (r.run_type = 'PUSH' and not exists (
                          select from syncbridge.sync_cursors c where c.sync_def_id = d.id and c.cursor_type = 'DELTA_TOKEN'))))
 order by w.next_at nulls first, d.id

-- add --
-- A definition's first poll.
insert into syncbridge.list_watches (sync_def_id, next_at) values (%(definition)s, %(next_at)s) on conflict (sync_def_id) do nothing

-- set_next --
-- Only one of several ticks moves a poll on.
update syncbridge.list_watches set next_at = %(next_at)s where sync_def_id = %(definition)s and next_at is not distinct from %(was)s

-- after_reading --
-- The next poll comes sooner when a reading failed, or when edits of people had to wait (for quiet, for a claim) and will be due.
update syncbridge.list_watches
   set next_at = least(next_at, case when waits.until is not null then greatest(waits.until, %(earliest)s::timestamptz) end)
  from (select least(%(retry_at)s::timestamptz, min(greatest(due_at, claimed_until))) as until from syncbridge.sync_backlog
         where sync_def_id = %(definition)s and state = 'DUE' and lane = %(lane)s) as waits
 where sync_def_id = %(definition)s

-- seen --
-- For people: the last notice, and the next poll.
select noticed, noticed_at, next_at from syncbridge.list_watches where sync_def_id = %(definition)s
