-- Streams: replication slots, who reads them, how far the queue has their changes, and what each definition can rely on.

-- columns --
-- What a slot is read as; ages are by this database's clock.
select s.instance_id, s.slot_name, s.phase, s.system_identifier, s.timeline, s.created_lsn::text, s.queued_lsn::text, s.epoch, s.holder,
       coalesce(s.leased_until > clock_timestamp(), false), s.heartbeat_at, clock_timestamp() - s.heartbeat_at, s.streaming, s.paused_reason,
       s.most_per_second, s.making, s.budget_bytes, s.budget_action, s.retained_bytes, s.behind_bytes, s.measured_at, s.over_budget_since is not null,
       clock_timestamp() - s.caught_up_at, s.problem_code, s.problem_text, s.changes, s.keys, s.messages
  from syncbridge.stream_slots s

-- by_instance --
-- Follows columns.
 where s.instance_id = %(instance)s

-- all --
-- Follows columns.
 order by s.instance_id

-- want --
-- A slot is wanted for a source: from now on, or again after it was dropped or broke. Nothing while it streams.
insert into syncbridge.stream_slots as s (instance_id, slot_name) values (%(instance)s, %(slot)s)
on conflict (instance_id) do update set phase = 'WANTED', slot_name = excluded.slot_name, updated_at = clock_timestamp()
 where s.phase in ('BROKEN', 'DROPPED') and %(again)s

-- acquire --
-- The reader's lease, under a new epoch; nothing while another one's has not run out.
update syncbridge.stream_slots
   set epoch = epoch + 1, holder = %(holder)s, leased_until = clock_timestamp() + %(lease)s::interval, heartbeat_at = clock_timestamp(),
       streaming = null
 where instance_id = %(instance)s and phase in ('WANTED', 'STREAMING')
   and (leased_until is null or leased_until <= clock_timestamp() or holder = %(holder)s)
returning epoch

-- renew --
-- The reader is alive; nothing if another one has taken over.
update syncbridge.stream_slots
   set leased_until = clock_timestamp() + %(lease)s::interval, heartbeat_at = clock_timestamp(), streaming = %(streaming)s
 where instance_id = %(instance)s and epoch = %(epoch)s

-- release --
-- The reader goes.
update syncbridge.stream_slots set leased_until = null, streaming = null
 where instance_id = %(instance)s and epoch = %(epoch)s

-- progress --
-- What the queue has by now. Only then may the server forget it; nothing if another reader has taken over.
update syncbridge.stream_slots
   set queued_lsn = greatest(queued_lsn, %(queued)s::pg_lsn), changes = changes + %(changes)s, keys = keys + %(keys)s,
       messages = messages + %(messages)s, leased_until = clock_timestamp() + %(lease)s::interval, heartbeat_at = clock_timestamp()
 where instance_id = %(instance)s and epoch = %(epoch)s and phase = 'STREAMING'

-- measure --
-- How much log the server keeps, by whom it may be: the reader, or the tick while there is none.
update syncbridge.stream_slots
   set retained_bytes = %(retained)s, behind_bytes = %(behind)s, measured_at = clock_timestamp(),
       caught_up_at = case when %(caught_up)s then clock_timestamp() else caught_up_at end,
       over_budget_since = case when %(retained)s::bigint > budget_bytes then coalesce(over_budget_since, clock_timestamp()) end
 where instance_id = %(instance)s and (%(epoch)s::bigint is null or epoch = %(epoch)s::bigint)

-- make --
-- A slot of this name is about to be made.
update syncbridge.stream_slots set slot_name = %(slot)s, making = true
 where instance_id = %(instance)s and epoch = %(epoch)s and phase = 'WANTED'

-- begin --
-- A new slot: who and where it is. Everything before it is for scans to find.
update syncbridge.stream_slots
   set phase = 'STREAMING', making = false, slot_name = %(slot)s, system_identifier = %(system)s, timeline = %(timeline)s, created_lsn = %(created)s::pg_lsn,
       queued_lsn = %(created)s::pg_lsn, problem_code = null, problem_text = null, caught_up_at = clock_timestamp(),
       over_budget_since = null, retained_bytes = null, behind_bytes = null, updated_at = clock_timestamp()
 where instance_id = %(instance)s and epoch = %(epoch)s

-- renew_watches --
-- The stream begins anew for all definitions of a source.
update syncbridge.stream_watches set watched_at = clock_timestamp() where instance_id = %(instance)s

-- move --
-- A person moved the slot on; whoever reads it is fenced off.
update syncbridge.stream_slots
   set queued_lsn = greatest(queued_lsn, %(queued)s::pg_lsn), epoch = epoch + 1, leased_until = null, streaming = null,
       updated_at = clock_timestamp()
 where instance_id = %(instance)s and phase = 'STREAMING'

-- set_phase --
-- From one phase to another, with the reason; whoever reads the slot is fenced off. Nothing if somebody was faster.
update syncbridge.stream_slots
   set phase = %(phase)s, problem_code = %(code)s, problem_text = %(text)s, epoch = epoch + 1, leased_until = null, streaming = null,
       updated_at = clock_timestamp()
 where instance_id = %(instance)s and phase = any(%(was)s::text[]) and (%(epoch)s::bigint is null or epoch = %(epoch)s::bigint)

-- trouble --
-- What keeps the reader from reading just now; null: nothing any more.
update syncbridge.stream_slots set problem_code = %(code)s, problem_text = %(text)s
 where instance_id = %(instance)s and epoch = %(epoch)s and (problem_code is distinct from %(code)s or problem_text is distinct from %(text)s)

-- resume_released --
-- A broken slot is wanted again once no definition of its source is held for it any more.
update syncbridge.stream_slots s
   set phase = 'WANTED', updated_at = clock_timestamp()
 where s.instance_id = %(instance)s and s.phase = 'BROKEN'
   and not exists (select from syncbridge.sync_sources o
                     join syncbridge.sync_definitions d on d.id = o.sync_def_id and d.change_detection = 'STREAM'
                     join syncbridge.holds h on h.sync_def_id = d.id
                    where o.instance_id = s.instance_id and o.role = 'PRIMARY' and d.state in ('ACTIVE', 'PAUSED')
                      and h.kind = 'STREAM_BROKEN' and h.released_at is null)

-- settings --
-- Controls that a person sets; what is not given stays.
update syncbridge.stream_slots
   set paused_reason = case when %(pause)s then %(paused_reason)s::text else paused_reason end,
       most_per_second = case when %(throttle)s then %(most_per_second)s::integer else most_per_second end,
       budget_bytes = coalesce(%(budget)s::bigint, budget_bytes), budget_action = coalesce(%(budget_action)s::text, budget_action),
       updated_at = clock_timestamp()
 where instance_id = %(instance)s

-- forget --
-- Nobody streams from this source any more.
delete from syncbridge.stream_slots where instance_id = %(instance)s

-- streamed --
-- Definitions that stream, of one source or all; marks of paused ones are kept too.
select d.id, o.instance_id, d.version, w.membership
  from syncbridge.sync_definitions d
  join syncbridge.sync_sources o on o.sync_def_id = d.id and o.role = 'PRIMARY'
  left join syncbridge.stream_watches w on w.sync_def_id = d.id and w.instance_id = o.instance_id
 where d.change_detection = 'STREAM' and d.state in ('ACTIVE', 'PAUSED')
   and (%(instance)s::uuid is null or o.instance_id = %(instance)s::uuid)
 order by d.id

-- watch --
-- From now on the stream has every change of a definition; nothing if it had it already.
insert into syncbridge.stream_watches as w (sync_def_id, instance_id, membership) values (%(definition)s, %(instance)s, %(membership)s)
on conflict (sync_def_id) do update
   set instance_id = excluded.instance_id, membership = excluded.membership, watched_at = clock_timestamp()
 where w.membership <> excluded.membership or w.instance_id <> excluded.instance_id or %(anew)s

-- unwatch --
-- Definitions that do not stream any more: should they again, they begin anew.
delete from syncbridge.stream_watches w
 where w.instance_id = %(instance)s and not w.sync_def_id = any(%(definitions)s::uuid[])

-- unscanned --
-- Active definitions whose stream began after their last scan: a scan has to look at what was before it. Not those that are
-- held, or at it, or were tried a moment ago.
select w.sync_def_id
  from syncbridge.stream_watches w
  join syncbridge.sync_definitions d on d.id = w.sync_def_id and d.state = 'ACTIVE' and d.change_detection = 'STREAM'
 where not exists (select from syncbridge.sync_runs r
                    where r.sync_def_id = d.id and r.run_type = 'PUSH' and r.capture = 'scan' and r.status <> 'HELD'
                      and r.start_time > w.watched_at)
   and not exists (select from syncbridge.sync_runs r
                    where r.sync_def_id = d.id and r.run_type = 'PUSH'
                      and (r.status in ('QUEUED', 'RUNNING') or r.queued_at > clock_timestamp() - interval '1 minute'))
   and not exists (select from syncbridge.holds h where h.sync_def_id = d.id and h.released_at is null and not h.deletes_only)
 order by w.sync_def_id

-- pressed --
-- Sources whose slot is beyond its budget and whose other work has to wait for it.
select instance_id from syncbridge.stream_slots where over_budget_since is not null and budget_action = 'PAUSE_OTHERS'

-- park --
-- A message that cannot be used; once, with the newest reason.
insert into syncbridge.parked_messages (queue, body, digest, reason_code, reason_text)
values (%(queue)s, %(body)s, %(digest)s, %(code)s, %(reason)s)
on conflict (queue, digest) where state = 'PARKED'
   do update set reason_code = excluded.reason_code, reason_text = excluded.reason_text
returning id

-- parked --
-- Messages that were parked, the newest first.
select id, queue, body, reason_code, reason_text, parked_at, state from syncbridge.parked_messages
 where %(decided)s or state = 'PARKED' order by parked_at desc, id limit %(limit)s

-- set_aside --
-- How much of a queue waits for a person: messages that were parked, and hints that were dropped lately.
select (select count(*) from syncbridge.parked_messages where queue = %(queue)s and state = 'PARKED'),
       (select count(*) from syncbridge.audit_log
         where subject_kind = 'queue' and subject_id = %(queue)s and action = 'notice dropped'
           and at > clock_timestamp() - %(age)s::interval)

-- parked_one --
-- One of them.
select id, queue, body, reason_code, reason_text, parked_at, state from syncbridge.parked_messages where id = %(id)s

-- decide --
-- What a person decided about it; nothing if somebody was faster.
update syncbridge.parked_messages
   set state = %(state)s, decided_at = clock_timestamp(), decided_by = %(actor)s, decision_reason = %(reason)s
 where id = %(id)s and state = 'PARKED'
