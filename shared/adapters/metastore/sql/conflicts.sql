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
