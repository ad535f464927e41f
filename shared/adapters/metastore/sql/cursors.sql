-- Cursors: the captures' resumable positions.

-- get --
-- A source's watermark.
select cursor_value, cursor_details, fingerprint from syncbridge.sync_cursors
 where sync_def_id = %(definition)s and cursor_scope = 'SOURCE' and cursor_type = 'TIMESTAMP' and source_instance_id = %(instance)s

-- lock --
-- The watermark, for whoever moves it.
select id, cursor_value, cursor_details, fingerprint from syncbridge.sync_cursors
 where sync_def_id = %(definition)s and cursor_scope = 'SOURCE' and cursor_type = 'TIMESTAMP' and source_instance_id = %(instance)s
   for update

-- add --
-- A first watermark; nothing when somebody else was first.
insert into syncbridge.sync_cursors (sync_def_id, cursor_scope, cursor_type, cursor_value, cursor_details, source_instance_id, fingerprint)
values (%(definition)s, 'SOURCE', 'TIMESTAMP', %(value)s, %(details)s::jsonb, %(instance)s, %(fingerprint)s)
on conflict (sync_def_id, cursor_type, source_instance_id) where cursor_scope = 'SOURCE' do nothing

-- move --
-- A watermark that is locked moves on.
update syncbridge.sync_cursors
   set cursor_value = %(value)s, cursor_details = %(details)s::jsonb, fingerprint = %(fingerprint)s, updated_at = clock_timestamp()
 where id = %(id)s

-- get_delta --
-- Where the changes of a list go on.
select cursor_value, fingerprint from syncbridge.sync_cursors
 where sync_def_id = %(definition)s and cursor_scope = 'TARGET' and cursor_type = 'DELTA_TOKEN' and target_list_id = %(list)s

-- lock_delta --
-- The list's token, for whoever moves it.
select id, cursor_value, fingerprint from syncbridge.sync_cursors
 where sync_def_id = %(definition)s and cursor_scope = 'TARGET' and cursor_type = 'DELTA_TOKEN' and target_list_id = %(list)s
   for update

-- add_delta --
-- A first token; nothing when somebody else was first.
insert into syncbridge.sync_cursors (sync_def_id, cursor_scope, cursor_type, cursor_value, target_list_id, fingerprint)
values (%(definition)s, 'TARGET', 'DELTA_TOKEN', %(token)s, %(list)s, %(fingerprint)s)
on conflict (sync_def_id, cursor_type, target_list_id) where cursor_scope = 'TARGET' do nothing

-- move_delta --
-- A token that is locked moves on.
update syncbridge.sync_cursors set cursor_value = %(token)s, fingerprint = %(fingerprint)s, updated_at = clock_timestamp()
 where id = %(id)s

-- forget_delta --
-- A token that is locked is of no use any more.
delete from syncbridge.sync_cursors where id = %(id)s

-- forget_lists --
-- Forgets the tokens of a definition's lists.
delete from syncbridge.sync_cursors where sync_def_id = %(definition)s and cursor_scope = 'TARGET'

-- reset --
-- Forgets a definition's watermarks: the next run reads from the start.
delete from syncbridge.sync_cursors where sync_def_id = %(definition)s and cursor_scope = 'SOURCE'
