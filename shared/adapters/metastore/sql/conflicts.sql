-- The conflict log: the values that lost, pending until their write is confirmed.

-- record --
-- Conflicts that are pending with the intents of a page; a repetition of the same operation changes nothing.
insert into syncbridge.conflicts
       (sync_def_id, op, source_identity_hash, source_identity, field_no, source_column_name, winner, conflict_policy, losing_value,
        winning_digest, base_digest, sp_list_id, sp_item_id, item_modified, item_editor, row_version,
        row_time)
select %(definition)b::uuid, c.op, c.hash, c.identity, c.field_no, c.column_name, c.winner, c.policy, c.losing_value,
       c.winning_digest, c.base_digest, c.list_id, c.item_id, c.item_modified, c.item_editor, c.row_version,
       c.row_time
  from unnest(%(ops)b::uuid[], %(hashes)b::bytea[], %(identities)b::text[], %(fields)b::integer[], %(columns)b::text[], %(winners)b::text[],
              %(policies)b::text[], %(losing)b::text[], %(winning)b::bytea[], %(bases)b::bytea[], %(lists)b::text[], %(items)b::integer[],
              %(modified)b::timestamptz[], %(editors)b::text[], %(versions)b::text[], %(row_times)b::timestamptz[])
       as c(op, hash, identity, field_no, column_name, winner, policy, losing_value, winning_digest, base_digest, list_id, item_id,
            item_modified, item_editor, row_version, row_time)
on conflict (op, field_no) do nothing

-- conclude --
-- Pending conflicts of operations that landed become final, those of operations that did not are void.
update syncbridge.conflicts
   set state = case when op = any(%(landed)b::uuid[]) then 'FINAL' else 'VOID' end,
       finalized_at = now(), run_id = %(run)b::uuid
 where op = any(%(landed)b::uuid[] || %(void)b::uuid[]) and state = 'PENDING'

-- answer --
-- Values that people wanted back: written again, or refused with a reason.
update syncbridge.conflicts c
   set state = case when a.reason is null then 'REVERSED' else 'FINAL' end, reversed_at = case when a.reason is null then now() end,
       reversal_note = a.reason
  from (select unnest(%(met)b::uuid[]) as id, null::text as reason
        union all select r.id, r.reason from unnest(%(refused)b::uuid[], %(reasons)b::text[]) as r(id, reason)) as a
 where c.id = a.id and c.state = 'REVERSING'

-- open_wishes --
-- Values that are wanted back for rows, in the order in which they were asked for.
select source_identity, id, field_no, winner, losing_value from syncbridge.conflicts
 where sync_def_id = %(definition)s and source_identity_hash = any(%(hashes)s::bytea[]) and state = 'REVERSING'
 order by reversal_asked_at, id

-- columns --
-- What a conflict is shown as.
select c.id, c.sync_def_id, c.source_identity, c.field_no, c.source_column_name, c.losing_value, c.winner, c.conflict_policy, c.state,
       encode(c.base_digest, 'hex'), encode(c.winning_digest, 'hex'), c.sp_list_id, c.sp_item_id, c.item_modified, c.item_editor,
       c.row_time, c.row_version, c.run_id, c.detected_at, c.finalized_at, c.reversal_by, c.reversal_asked_at, c.reversed_at,
       c.reversal_note
  from syncbridge.conflicts c

-- by_id --
-- Follows columns.
 where c.id = %(id)s

-- log --
-- Follows columns: the newest first; without a state, those that never happened are left out.
 where (%(definition)s::uuid is null or c.sync_def_id = %(definition)s::uuid)
   and case when %(state)s::text is null then c.state <> 'VOID' else c.state = %(state)s::text end
   and (%(column)s::text is null or c.source_column_name = %(column)s::text)
   and (%(winner)s::text is null or c.winner = %(winner)s::text)
   and (%(identity)s::text is null or c.source_identity = %(identity)s::text)
 order by c.detected_at desc, c.id limit %(limit)s

-- wish --
-- A person wants values back: the conflicts of one write, if none of their fields is being brought back already.
update syncbridge.conflicts c
   set state = 'REVERSING', reversal_by = %(actor)s, reversal_asked_at = clock_timestamp(), reversal_note = null
  from syncbridge.conflicts asked
 where asked.id = %(id)s and asked.state = 'FINAL' and c.op = asked.op and c.field_no = any(%(fields)s::integer[])
   and c.state = 'FINAL' and c.losing_value is not null
   and not exists (select from syncbridge.conflicts other
                    where other.sync_def_id = asked.sync_def_id and other.source_identity_hash = asked.source_identity_hash
                      and other.field_no = any(%(fields)s::integer[]) and other.state = 'REVERSING')
returning c.id

-- withdraw --
-- A person does not want values back any more: those of one write.
update syncbridge.conflicts c
   set state = 'FINAL', reversal_note = %(note)s
  from syncbridge.conflicts asked
 where asked.id = %(id)s and asked.state = 'REVERSING' and c.op = asked.op and c.state = 'REVERSING'
returning c.id
