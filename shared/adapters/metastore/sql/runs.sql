-- Runs: what was executed, what it did and what it cost.

-- add_counts --
-- Adds what was done to a run's figures.
update syncbridge.sync_runs
   set items_processed = items_processed + %(items_processed)s::bigint, created = created + %(created)s::bigint,
       updated = updated + %(updated)s::bigint, deleted = deleted + %(deleted)s::bigint,
       rows_inserted = rows_inserted + %(rows_inserted)s::bigint, rows_updated = rows_updated + %(rows_updated)s::bigint,
       rows_deleted = rows_deleted + %(rows_deleted)s::bigint, unchanged = unchanged + %(unchanged)s::bigint,
       adopted = adopted + %(adopted)s::bigint, conflicts = conflicts + %(conflicts)s::bigint,
       items_failed = items_failed + %(items_failed)s::bigint, delayed = delayed + %(delayed)s::bigint,
       awaiting_approval = awaiting_approval + %(awaiting_approval)s::bigint, untold = untold + %(untold)s::bigint, ru = ru + %(ru)s::bigint,
       requests = requests + %(requests)s::bigint
 where id = %(run)s::uuid

-- record_failures --
-- Which subjects a run set aside, with the reason; the last one counts.
insert into syncbridge.sync_run_failures (run_id, subject_hash, subject_kind, source_identity, sp_list_id, sp_item_id, reason_code, reason_text)
select r.id, f.hash, f.kind, f.identity, f.list_id, f.item_id, f.code, f.message
  from syncbridge.sync_runs r
 cross join unnest(%(hashes)b::bytea[], %(kinds)b::text[], %(identities)b::text[], %(lists)b::text[], %(items)b::integer[],
                   %(codes)b::text[], %(messages)b::text[]) as f(hash, kind, identity, list_id, item_id, code, message)
 where r.id = %(run)b::uuid
on conflict (run_id, subject_hash) do update
   set reason_code = excluded.reason_code, reason_text = excluded.reason_text, at = now()

-- start --
-- A new run, unless one of its definition and kind is under way.
insert into syncbridge.sync_runs (id, sync_def_id, run_type, status, trigger, requested_by)
values (%(run)s::uuid, %(definition)s::uuid, %(type)s::text, 'QUEUED', %(trigger)s::text, %(requested_by)s::text)
on conflict (sync_def_id, run_type) where status in ('QUEUED', 'RUNNING') do nothing

-- start_due --
-- The scheduled run of a definition, which one of several ticks moves on, in one statement: whoever dies over it has done
-- both, or neither. While a run is under way there is none, and what a person wants stays wanted: it may be past that.
with moved as (
    update syncbridge.sync_definitions d
       set next_run_at = %(next_run)s::timestamptz,
           run_wanted = d.run_wanted and exists (select from syncbridge.sync_runs r
                                                  where r.sync_def_id = d.id and r.run_type = 'PUSH' and r.status in ('QUEUED', 'RUNNING'))
     where d.id = %(definition)s::uuid and d.state = 'ACTIVE' and d.next_run_at is not distinct from %(was)s::timestamptz
       and d.run_wanted = %(wanted)s
    returning d.id)
insert into syncbridge.sync_runs (id, sync_def_id, run_type, status, trigger, requested_by)
select %(run)s::uuid, moved.id, 'PUSH', 'QUEUED', %(trigger)s::text, %(requested_by)s::text from moved
on conflict (sync_def_id, run_type) where status in ('QUEUED', 'RUNNING') do nothing

-- start_noticed --
-- A new run for notices that no run has taken in, unless one is under way. The lock lets a run that begins take them first. A
-- first reading, of the whole list, waits for a push: every row that it creates would have to be looked at again.
insert into syncbridge.sync_runs (id, sync_def_id, run_type, status, trigger, requested_by)
select %(run)s::uuid, w.sync_def_id, %(type)s::text, 'QUEUED', %(trigger)s::text, %(requested_by)s::text
  from syncbridge.list_watches w
 where w.sync_def_id = %(definition)s::uuid and w.noticed > w.taken
   and (exists (select from syncbridge.sync_cursors c where c.sync_def_id = w.sync_def_id and c.cursor_type = 'DELTA_TOKEN')
        or not exists (select from syncbridge.sync_runs r
                        where r.sync_def_id = w.sync_def_id and r.run_type = 'PUSH' and r.status in ('QUEUED', 'RUNNING')))
   for update of w
on conflict (sync_def_id, run_type) where status in ('QUEUED', 'RUNNING') do nothing

-- active --
-- Runs that are under way: of one definition and kind, or all of them.
select id, sync_def_id, run_type, status, orchestration_id
  from syncbridge.sync_runs
 where status in ('QUEUED', 'RUNNING')
   and (%(definition)s::uuid is null or (sync_def_id = %(definition)s::uuid and run_type = %(type)s::text))
 order by queued_at, id

-- begin --
-- The run's orchestration is at work. Again for a run that runs: activities are at least once.
update syncbridge.sync_runs
   set status = 'RUNNING', start_time = coalesce(start_time, clock_timestamp()), orchestration_id = %(orchestration)s
 where id = %(run)s and status in ('QUEUED', 'RUNNING')

-- goes_on --
-- Whether a run may settle another page: it has not ended, its definition is active and as the run read it, nothing holds it.
select exists (
    select 1 from syncbridge.sync_runs r join syncbridge.sync_definitions d on d.id = r.sync_def_id
     where r.id = %(run)s and r.status in ('QUEUED', 'RUNNING') and d.state = 'ACTIVE' and d.version = %(version)s
       and not exists (select 1 from syncbridge.holds h
                        where h.sync_def_id = d.id and h.released_at is null and not h.deletes_only))

-- since_scan --
-- How long before this run the definition's last scan began that was not held; without one, its first run.
select clock_timestamp() - coalesce(max(start_time) filter (where capture = 'scan' and status <> 'HELD'), min(start_time))
  from syncbridge.sync_runs
 where sync_def_id = %(definition)s and run_type = 'PUSH' and id <> %(run)s

-- set_captured --
-- What the run's capture saw.
update syncbridge.sync_runs set capture = %(capture)s, captured = %(numbers)s::jsonb, notes = %(notes)s::text[] where id = %(run)s

-- add_captured --
-- What one more step of the run's capture saw; a note is said once.
update syncbridge.sync_runs r
   set capture = %(capture)s,
       captured = r.captured || (select coalesce(jsonb_object_agg(n.key, coalesce((r.captured ->> n.key)::numeric, 0) + n.value::numeric), '{}')
                                   from jsonb_each_text(%(numbers)s::jsonb) n),
       notes = r.notes || array(select n.note from unnest(%(notes)s::text[]) with ordinality as n(note, position)
                                 where not n.note = any(r.notes) order by n.position)
 where r.id = %(run)s

-- add_note --
-- A sentence that explains the run; said once.
update syncbridge.sync_runs set notes = array_append(notes, %(note)s::text) where id = %(run)s and not %(note)s::text = any(notes)

-- finish --
-- The run is over, unless it was already.
update syncbridge.sync_runs
   set status = %(status)s, error_code = %(code)s, error_message = %(message)s, end_time = clock_timestamp()
 where id = %(run)s and status in ('QUEUED', 'RUNNING')

-- record_columns --
-- What a run is read as.
select id, sync_def_id, run_type, status, trigger, requested_by, orchestration_id, capture, queued_at, start_time, end_time,
       items_processed, created, updated, deleted, rows_inserted, rows_updated, rows_deleted, unchanged, adopted, conflicts,
       items_failed, delayed, awaiting_approval, untold, ru, requests, captured, notes, error_code, error_message
  from syncbridge.sync_runs

-- by_id --
-- Follows record_columns.
 where id = %(run)s

-- recent --
-- Follows record_columns: the newest first.
 where (%(definition)s::uuid is null or sync_def_id = %(definition)s::uuid) and (%(status)s::text is null or status = %(status)s::text)
 order by queued_at desc, id limit %(limit)s

-- untold --
-- Rows of a definition that had changed without their cursor column, lately, and when that was seen last.
select coalesce(sum(untold), 0)::bigint, max(coalesce(end_time, start_time, queued_at))
  from syncbridge.sync_runs
 where sync_def_id = %(definition)s and untold > 0 and queued_at > clock_timestamp() - %(age)s::interval

-- failures --
-- What a run set aside, with the reasons.
select subject_kind, source_identity, sp_list_id, sp_item_id, reason_code, reason_text, at
  from syncbridge.sync_run_failures where run_id = %(run)s order by at, subject_hash limit %(limit)s

-- failed_items --
-- Whether a run set something aside.
select exists (select 1 from syncbridge.sync_run_failures where run_id = %(run)s)

-- subjects --
-- Subjects of a definition that wait in a state, with their reasons.
select subject_kind, source_identity, sp_list_id, sp_item_id, reason_code, reason_text, attempts, nullif(due_at, 'infinity'), first_marked_at
  from syncbridge.sync_backlog
 where sync_def_id = %(definition)s and state = %(state)s order by first_marked_at, subject_hash limit %(limit)s
