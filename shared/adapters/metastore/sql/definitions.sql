-- Definitions with their fields, source and target.

-- columns --
-- What a definition is read as, without its fields.
select d.id, d.version, d.state, d.state_reason, s.instance_id, d.source_schema, d.source_table_name, d.source_relation, d.draft,
       d.resolved, d.next_field_no, t.connection_id, t.site_id, t.list_name, t.list_id, t.key_column, t.keeps_versions,
       t.provisioned_at, d.agreed_scope_fingerprint, d.scan_seconds, d.next_run_at, d.created_at, d.updated_at, d.agreed_terms,
       d.run_wanted, d.marked_fields
  from syncbridge.sync_definitions d
  join syncbridge.sync_sources s on s.sync_def_id = d.id and s.role = 'PRIMARY'
  join syncbridge.sync_targets t on t.sync_def_id = d.id

-- by_id --
-- Follows columns.
 where d.id = %(id)s

-- all --
-- Follows columns: all, in the order people read.
 where %(deleted)s or d.state <> 'DELETED' order by d.name, d.id

-- due --
-- Follows columns: active definitions whose next run is due, or wanted.
 where d.state = 'ACTIVE' and (d.next_run_at is null or d.next_run_at <= %(now)s or d.run_wanted)
 order by d.next_run_at nulls first, d.id

-- fields --
-- The fields of definitions, in their order.
select sync_def_id, field_no, source_column, target_column_name, target_display_name, field_kind, sync_direction, is_system_field,
       transform_rule, field_group, choices, required, indexed, paused_reason, paused_since, paused_by,
       target_column_id
  from syncbridge.field_mappings
 where sync_def_id = any(%(ids)s) order by sync_def_id, position

-- field_ids --
-- The ids that the API knows fields by.
select field_no, id from syncbridge.field_mappings where sync_def_id = %(id)s

-- field_owner --
-- The definition and number of a field that the API names by its id.
select sync_def_id, field_no from syncbridge.field_mappings where id = %(id)s

-- add --
-- A new definition.
insert into syncbridge.sync_definitions
       (id, version, state, source_schema, source_table_name, source_relation, draft, resolved, agreed_scope_fingerprint, agreed_terms,
        next_field_no)
values (%(id)s, 1, %(state)s, %(schema)s, %(table)s, %(relation)s, %(draft)s::jsonb, %(resolved)s::jsonb, %(agreed)s, %(terms)s::jsonb,
        %(next_field_no)s)

-- add_source --
-- Its PRIMARY source.
insert into syncbridge.sync_sources (sync_def_id, instance_id) values (%(id)s, %(instance)s)

-- add_target --
-- Its list, before it is provisioned.
insert into syncbridge.sync_targets (sync_def_id, connection_id, site_id, list_name) values (%(id)s, %(connection)s, %(site)s, %(list_name)s)

-- save --
-- A new version, if the definition still is at the one that it was made from.
update syncbridge.sync_definitions
   set version = version + 1, source_relation = %(relation)s, draft = %(draft)s::jsonb, resolved = %(resolved)s::jsonb,
       agreed_scope_fingerprint = %(agreed)s, agreed_terms = %(terms)s::jsonb, next_field_no = %(next_field_no)s, updated_at = clock_timestamp(),
       run_wanted = run_wanted or %(wants_run)s
 where id = %(id)s and version = %(version)s and state <> 'DELETED'

-- save_target --
-- Where the items live, once the list is provisioned.
update syncbridge.sync_targets
   set list_id = %(list)s, key_column = %(key_column)s, keeps_versions = %(keeps_versions)s,
       provisioned_at = %(provisioned_at)s
 where sync_def_id = %(id)s

-- drop_fields --
-- Fields that a version does not have any more.
delete from syncbridge.field_mappings where sync_def_id = %(id)s and field_no <> all(%(numbers)s::smallint[])

-- put_field --
-- A field of a version; it keeps the id that it was given first.
insert into syncbridge.field_mappings
       (sync_def_id, field_no, position, source_column_name, source_column, target_column_name, target_display_name, field_kind,
        sync_direction, is_system_field, transform_rule, field_group, choices, required, indexed, paused_reason, paused_since, paused_by,
        target_column_id)
values (%(id)s, %(no)s, %(position)s, %(source_name)s, %(source)s::jsonb, %(target_name)s, %(display_name)s, %(kind)s, %(direction)s,
        %(system)s, %(transform)s, %(group)s, %(choices)s, %(required)s, %(indexed)s, %(paused)s, %(paused_since)s, %(paused_by)s,
        %(target_id)s)
on conflict (sync_def_id, field_no) do update
   set position = excluded.position, source_column_name = excluded.source_column_name, source_column = excluded.source_column,
       target_column_name = excluded.target_column_name, target_display_name = excluded.target_display_name,
       field_kind = excluded.field_kind, sync_direction = excluded.sync_direction, is_system_field = excluded.is_system_field,
       transform_rule = excluded.transform_rule, field_group = excluded.field_group, choices = excluded.choices,
       required = excluded.required, indexed = excluded.indexed, paused_reason = excluded.paused_reason,
       paused_since = excluded.paused_since, paused_by = excluded.paused_by, target_column_id = excluded.target_column_id

-- put_version --
-- What a version was, for ever.
insert into syncbridge.sync_definition_versions (sync_def_id, version, document, changed_by)
values (%(id)s, %(version)s, %(document)s::jsonb, %(actor)s)

-- versions --
-- All versions, the newest first.
select version, document, changed_by, changed_at from syncbridge.sync_definition_versions
 where sync_def_id = %(id)s order by version desc

-- set_state --
-- Moves a definition from one state to another, unless somebody else has moved it.
update syncbridge.sync_definitions
   set state = %(state)s, state_reason = %(reason)s, updated_at = clock_timestamp(), next_run_at = null,
       deleted_at = case when %(state)s = 'DELETED' then now() end
 where id = %(id)s and state = %(was)s

-- free_list --
-- A deleted definition's list may be another's.
update syncbridge.sync_targets set is_active = false where sync_def_id = %(id)s

-- want_run --
-- A person waits for the next run.
update syncbridge.sync_definitions set run_wanted = true where id = %(id)s

-- set_marked_fields --
-- All rows that were agreed on under other fields are marked.
update syncbridge.sync_definitions set marked_fields = %(fields)s where id = %(id)s

-- set_scan_seconds --
-- How long the last scan took.
update syncbridge.sync_definitions set scan_seconds = %(seconds)s where id = %(id)s

-- agree_scope --
-- A person agrees to the scope as it is.
update syncbridge.sync_definitions set agreed_scope_fingerprint = %(fingerprint)s where id = %(id)s

-- agree_terms --
-- A person agrees to what the definition may write.
update syncbridge.sync_definitions set agreed_terms = %(terms)s::jsonb where id = %(id)s

-- lock_rivals --
-- One definition of a table at a time may begin to write it.
select pg_advisory_xact_lock(hashtextextended('syncbridge rivals ' || i.host || ' ' || i.port || ' ' || i.db_name || ' '
                                              || d.source_schema || '.' || d.source_table_name, 0))
  from syncbridge.sync_definitions d
  join syncbridge.sync_sources s on s.sync_def_id = d.id and s.role = 'PRIMARY'
  join syncbridge.database_instances i on i.id = s.instance_id
 where d.id = %(id)s

-- rivals --
-- Other definitions that run and write columns of the same table that this one writes too, each with those columns. A key is
-- written into new rows only, and is nobody's.
with writers as (
    select d.id, d.name, d.state, d.source_schema, d.source_table_name, i.host, i.port, i.db_name, f.source_column_name
      from syncbridge.sync_definitions d
      join syncbridge.sync_sources s on s.sync_def_id = d.id and s.role = 'PRIMARY'
      join syncbridge.database_instances i on i.id = s.instance_id
      join syncbridge.field_mappings f on f.sync_def_id = d.id and f.sync_direction <> 'PUSH_ONLY'
     where d.sync_mode <> 'ONE_WAY_PUSH'
       and not exists (select 1 from jsonb_array_elements(d.resolved -> 'key' -> 'columns') k where k ->> 'name' = f.source_column_name)
)
select other.name, array_agg(distinct other.source_column_name order by other.source_column_name)
  from writers mine
  join writers other using (source_schema, source_table_name, host, port, db_name, source_column_name)
 where mine.id = %(id)s and other.id <> mine.id and other.state in ('ACTIVE', 'PAUSED')
 group by other.id, other.name order by other.name limit 1

-- owner_of --
-- The definition that a list belongs to.
select sync_def_id from syncbridge.sync_targets where list_id = %(list)s and is_active
