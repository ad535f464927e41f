-- What the control plane keeps about databases, connections, sites, lists and tables.

-- instance_columns --
-- What a database instance is read as.
select id, name, host, port, db_name, db_user, secret_reference, secret_sealed, auth_method, tls_mode, role, priority,
       health, health_details, health_checked_at, updated_at
  from syncbridge.database_instances

-- instance_by_id --
-- Follows instance_columns.
 where id = %(id)s::uuid

-- instance_by_name --
-- Follows instance_columns: all of them, in the order people read.
 order by priority, name

-- put_instance --
-- A new instance, or a changed one; health is kept when the address stays.
insert into syncbridge.database_instances as i
       (id, name, host, port, db_name, db_user, secret_reference, secret_sealed, auth_method, tls_mode, role, priority)
values (%(id)s, %(name)s, %(host)s, %(port)s, %(db_name)s, %(db_user)s, %(reference)s, %(sealed)s, %(auth_method)s, %(tls_mode)s,
        %(role)s, %(priority)s)
on conflict (id) do update
   set name = excluded.name, host = excluded.host, port = excluded.port, db_name = excluded.db_name, db_user = excluded.db_user,
       secret_reference = excluded.secret_reference, secret_sealed = excluded.secret_sealed, auth_method = excluded.auth_method,
       tls_mode = excluded.tls_mode, role = excluded.role, priority = excluded.priority,
       health = 'UNKNOWN', health_details = '{}', health_checked_at = null, updated_at = clock_timestamp()

-- remove_instance --
-- Removes an instance that no definition names.
delete from syncbridge.database_instances where id = %(id)s

-- check_instance --
-- What the last health check found.
update syncbridge.database_instances
   set health = %(health)s, health_details = %(details)s::jsonb, health_checked_at = coalesce(%(at)s, clock_timestamp())
 where id = %(id)s

-- connection_columns --
-- What a SharePoint connection is read as.
select id, name, tenant_id, client_id, auth_method, secret_reference, secret_sealed, cloud, graph_url, login_url, licence_count,
       ru_multiplier::double precision, ru_per_minute, ru_per_day, user_agent, health, health_details, health_checked_at, updated_at
  from syncbridge.sharepoint_connections

-- connection_by_id --
-- Follows connection_columns.
 where id = %(id)s::uuid

-- connection_by_name --
-- Follows connection_columns: all of them, in the order people read.
 order by name

-- put_connection --
-- A new connection, or a changed one.
insert into syncbridge.sharepoint_connections
       (id, name, tenant_id, client_id, auth_method, secret_reference, secret_sealed, cloud, graph_url, login_url, licence_count,
        ru_multiplier, ru_per_minute, ru_per_day, user_agent)
values (%(id)s, %(name)s, %(tenant_id)s, %(client_id)s, %(auth_method)s, %(reference)s, %(sealed)s, %(cloud)s, %(graph_url)s,
        %(login_url)s, %(licence_count)s, %(ru_multiplier)s, %(ru_per_minute)s, %(ru_per_day)s, %(user_agent)s)
on conflict (id) do update
   set name = excluded.name, tenant_id = excluded.tenant_id, client_id = excluded.client_id, auth_method = excluded.auth_method,
       secret_reference = excluded.secret_reference, secret_sealed = excluded.secret_sealed, cloud = excluded.cloud,
       graph_url = excluded.graph_url, login_url = excluded.login_url, licence_count = excluded.licence_count,
       ru_multiplier = excluded.ru_multiplier, ru_per_minute = excluded.ru_per_minute, ru_per_day = excluded.ru_per_day,
       user_agent = excluded.user_agent, health = 'UNKNOWN', health_details = '{}', health_checked_at = null,
       updated_at = clock_timestamp()

-- remove_connection --
-- Removes a connection that no definition names.
delete from syncbridge.sharepoint_connections where id = %(id)s

-- check_connection --
-- What the last health check found.
update syncbridge.sharepoint_connections
   set health = %(health)s, health_details = %(details)s::jsonb, health_checked_at = coalesce(%(at)s, clock_timestamp())
 where id = %(id)s

-- put_site --
-- A site that discovery saw.
insert into syncbridge.sharepoint_sites (connection_id, site_id, display_name, web_url)
values (%(connection)s, %(site)s, %(display_name)s, %(web_url)s)
on conflict (connection_id, site_id) do update
   set display_name = excluded.display_name, web_url = excluded.web_url,
       discovered_at = now()

-- sites --
-- Sites that discovery saw, by their address.
select site_id, display_name, web_url from syncbridge.sharepoint_sites
 where connection_id = %(connection)s order by web_url

-- put_list --
-- A list that discovery saw; its site is there.
insert into syncbridge.sharepoint_lists (connection_id, site_id, list_id, display_name, web_url, template)
values (%(connection)s, %(site)s, %(list)s, %(display_name)s, %(web_url)s, %(template)s)
on conflict (connection_id, list_id) do update
   set site_id = excluded.site_id, display_name = excluded.display_name, web_url = excluded.web_url, template = excluded.template,
       discovered_at = now()

-- lists --
-- Lists of a site that discovery saw, by their title.
select list_id, display_name, web_url, template from syncbridge.sharepoint_lists
 where connection_id = %(connection)s and site_id = %(site)s order by display_name, list_id

-- put_snapshot --
-- A table as introspection saw it, if that differs from the latest one.
insert into syncbridge.schema_snapshots (instance_id, table_schema, table_name, fingerprint, columns, constraints, indexes, details)
select %(instance)s::uuid, %(schema)s::text, %(table)s::text, %(fingerprint)s::bytea, %(columns)s::jsonb, %(constraints)s::jsonb,
       %(indexes)s::jsonb, %(details)s::jsonb
 where not exists (select 1
                     from (select s.fingerprint from syncbridge.schema_snapshots s
                            where s.instance_id = %(instance)s::uuid and s.table_schema = %(schema)s::text and s.table_name = %(table)s::text
                            order by s.taken_at desc limit 1) latest
                    where latest.fingerprint = %(fingerprint)s::bytea)

-- latest_snapshot --
-- The latest snapshot of a table.
select columns, constraints, indexes, details
  from syncbridge.schema_snapshots
 where instance_id = %(instance)s and table_schema = %(schema)s and table_name = %(table)s
 order by taken_at desc limit 1

-- snapshot_tables --
-- Tables that were introspected.
select distinct table_schema, table_name from syncbridge.schema_snapshots where instance_id = %(instance)s
 order by table_schema, table_name

-- put_audit --
-- One change of configuration.
insert into syncbridge.audit_log (actor, action, subject_kind, subject_id, before, after)
values (%(actor)s, %(action)s, %(kind)s, %(subject)s, %(before)s::jsonb, %(after)s::jsonb)

-- audit --
-- Changes of configuration, the newest first.
select at, actor, action, subject_kind, subject_id, before, after
  from syncbridge.audit_log
 where %(subject)s::text is null or subject_id = %(subject)s::text
 order by id desc limit %(limit)s

-- put_plan --
-- A plan that was computed.
insert into syncbridge.plans (id, sync_def_id, document, base, created_by)
values (%(id)s, %(definition)s, %(document)s::jsonb, %(base)s, %(created_by)s)

-- plan --
-- A plan by its id.
select id, sync_def_id, document, base, created_by, created_at, applied_at from syncbridge.plans where id = %(id)s

-- plan_made --
-- Whether a definition's present version was planned.
select exists (
    select 1 from syncbridge.plans p join syncbridge.sync_definitions d on d.id = p.sync_def_id
     where d.id = %(id)s and p.document ->> 'definition_version' = d.version::text)

-- mark_plan_applied --
-- Only the first caller applies a plan.
update syncbridge.plans set applied_at = now() where id = %(id)s and applied_at is null
