-- The metastore: what the control plane configures and what the data plane agrees on.
-- PostgreSQL 14 or newer, no extensions. Until the first release this file may change; from then on it is history.

-- ---------------------------------------------------------------- connections

create table syncbridge.database_instances (
    id uuid primary key default gen_random_uuid(),
    name text not null unique,
    host text not null,
    port integer not null default 5432 check (port between 1 and 65535),
    db_name text not null,
    db_user text not null,
    secret_reference text,          -- env:NAME or keyvault:NAME
    secret_sealed bytea,            -- AES-GCM under the key from the settings
    auth_method text not null default 'PASSWORD' check (auth_method in ('PASSWORD', 'ENTRA')),
    tls_mode text not null default 'verify-full' check (tls_mode in ('disable', 'require', 'verify-ca', 'verify-full')),
    role text not null default 'PRIMARY' check (role in ('PRIMARY', 'REPLICA')),
    priority integer not null default 100,
    health text not null default 'UNKNOWN' check (health in ('UNKNOWN', 'HEALTHY', 'DEGRADED', 'UNREACHABLE')),
    health_details jsonb not null default '{}',
    health_checked_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check (num_nonnulls(secret_reference, secret_sealed) <= 1)
);

create table syncbridge.sharepoint_connections (
    id uuid primary key default gen_random_uuid(),
    name text not null unique,
    tenant_id text not null,
    client_id text not null,
    auth_method text not null check (auth_method in ('SECRET', 'CERTIFICATE', 'MANAGED_IDENTITY', 'FEDERATED')),
    secret_reference text,
    secret_sealed bytea,
    cloud text not null default 'GLOBAL' check (cloud in ('GLOBAL', 'USGOV', 'USGOV_DOD', 'CHINA', 'CUSTOM')),
    graph_url text,                 -- CUSTOM only: where Graph answers, e.g. the local simulator
    login_url text,
    licence_count integer not null default 0 check (licence_count >= 0),
    ru_multiplier numeric not null default 1 check (ru_multiplier > 0),
    ru_per_minute integer check (ru_per_minute > 0),   -- overrides the tier's figure
    ru_per_day bigint check (ru_per_day > 0),
    user_agent text,
    health text not null default 'UNKNOWN' check (health in ('UNKNOWN', 'HEALTHY', 'DEGRADED', 'UNREACHABLE')),
    health_details jsonb not null default '{}',
    health_checked_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check (num_nonnulls(secret_reference, secret_sealed) <= 1)
);

-- Inventory of what discovery saw.
create table syncbridge.sharepoint_sites (
    connection_id uuid not null references syncbridge.sharepoint_connections on delete cascade,
    site_id text not null,          -- host,site-collection GUID,web GUID
    display_name text not null,
    web_url text not null,
    discovered_at timestamptz not null default now(),
    primary key (connection_id, site_id)
);

create table syncbridge.sharepoint_lists (
    connection_id uuid not null,
    site_id text not null,
    list_id text not null,          -- GUID, lower case
    display_name text not null,
    web_url text not null,
    template text not null,
    discovered_at timestamptz not null default now(),
    primary key (connection_id, list_id),
    foreign key (connection_id, site_id) references syncbridge.sharepoint_sites on delete cascade
);

create table syncbridge.schema_snapshots (
    id uuid primary key default gen_random_uuid(),
    instance_id uuid not null references syncbridge.database_instances on delete cascade,
    table_schema text not null,
    table_name text not null,
    fingerprint bytea not null,
    columns jsonb not null,
    constraints jsonb not null,
    indexes jsonb not null,
    details jsonb not null,         -- relation kind, replica identity, estimated rows, row-level security
    taken_at timestamptz not null default now()
);
create index schema_snapshots_latest on syncbridge.schema_snapshots (instance_id, table_schema, table_name, taken_at desc);

-- ---------------------------------------------------------------- definitions

create table syncbridge.sync_definitions (
    id uuid primary key default gen_random_uuid(),
    version integer not null default 1,
    state text not null default 'DRAFT' check (state in ('DRAFT', 'ACTIVE', 'PAUSED', 'DEACTIVATED', 'DELETED')),
    state_reason text,
    source_schema text not null,
    source_table_name text not null,
    source_relation text not null check (source_relation in ('r', 'p', 'v', 'm', 'f')),
    draft jsonb not null,           -- the choices by name, see shared.core.draft; the columns below are read off it
    resolved jsonb not null,        -- key, soft-delete and cursor columns with their types, as last introspected
    name text not null generated always as (draft ->> 'name') stored,
    sync_mode text not null generated always as (draft ->> 'mode') stored
        check (sync_mode in ('ONE_WAY_PUSH', 'ONE_WAY_PULL', 'TWO_WAY')),
    conflict_policy text not null generated always as (draft ->> 'conflict_policy') stored
        check (conflict_policy in ('SOURCE_WINS', 'DESTINATION_WINS', 'LATEST_WINS')),
    key_strategy text not null generated always as (draft ->> 'key_strategy') stored
        check (key_strategy in ('PRIMARY_KEY', 'UNIQUE', 'COMPOSITE_COLUMNS')),
    change_detection text not null generated always as (draft ->> 'change_detection') stored
        check (change_detection in ('AUTO', 'SCAN', 'WATERMARK', 'STREAM')),
    cursor_column text generated always as (draft ->> 'cursor_column') stored,
    row_filter text generated always as (draft ->> 'row_filter') stored,
    schedule text not null generated always as (draft ->> 'schedule') stored,
    guards jsonb not null generated always as (draft -> 'guards') stored,
    target_strategy text not null default 'SINGLE' check (target_strategy in ('SINGLE', 'CONDITIONAL')),
    sharding_policy jsonb not null default '{}',
    agreed_scope_fingerprint bytea, -- of the filter and key that a person last agreed to
    agreed_terms jsonb,             -- what a person last agreed that it may write, see shared.core.terms
    next_field_no smallint not null default 1,
    marked_fields bytea,            -- of the fields for whose sake rows were last marked; null: never
    scan_seconds double precision,  -- measured by the last scan
    next_run_at timestamptz,
    run_wanted boolean not null default false,  -- by a person: as soon as no run is under way
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz
);
create unique index sync_definitions_name on syncbridge.sync_definitions (name) where state <> 'DELETED';

create table syncbridge.sync_definition_versions (
    sync_def_id uuid not null references syncbridge.sync_definitions on delete cascade,
    version integer not null,
    document jsonb not null,
    changed_by text not null,
    changed_at timestamptz not null default now(),
    primary key (sync_def_id, version)
);

create table syncbridge.sync_sources (
    sync_def_id uuid not null references syncbridge.sync_definitions on delete cascade,
    instance_id uuid not null references syncbridge.database_instances,
    role text not null default 'PRIMARY' check (role in ('PRIMARY', 'REPLICA')),
    primary key (sync_def_id, instance_id)
);
create unique index sync_sources_one_primary on syncbridge.sync_sources (sync_def_id) where role = 'PRIMARY';

create table syncbridge.sync_targets (
    id uuid primary key default gen_random_uuid(),
    sync_def_id uuid not null references syncbridge.sync_definitions on delete cascade,
    connection_id uuid not null references syncbridge.sharepoint_connections,
    site_id text not null,
    list_id text,                   -- GUID, lower case; null until provisioned
    list_name text not null,        -- display name asked for
    key_column text,                -- internal name of the hidden unique column; null until provisioned
    keeps_versions boolean not null default true,
    site_zone text not null default 'UTC',
    is_active boolean not null default true,   -- false once the definition is deleted: the list is free again
    provisioned_at timestamptz,
    created_at timestamptz not null default now()
);
-- Two definitions on one list are refused.
create unique index sync_targets_one_definition on syncbridge.sync_targets (list_id) where is_active and list_id is not null;
create index sync_targets_definition on syncbridge.sync_targets (sync_def_id);

create table syncbridge.field_mappings (
    id uuid primary key default gen_random_uuid(),
    sync_def_id uuid not null references syncbridge.sync_definitions on delete cascade,
    field_no smallint not null,     -- never reused within a definition
    position smallint not null,
    source_column_name text not null,
    source_column jsonb not null,   -- with its type, as introspected
    target_column_name text not null,   -- what is asked for until the list is provisioned, then the real internal name
    target_column_id text,          -- another column of that name was made anew, and is empty; null: not seen yet
    target_display_name text not null,
    field_kind text not null,
    sync_direction text not null check (sync_direction in ('BIDIRECTIONAL', 'PUSH_ONLY', 'PULL_ONLY')),
    is_system_field boolean not null default false,
    transform_rule text,
    field_group text,
    choices text[] not null default '{}',
    required boolean not null default false,
    indexed boolean not null default false,
    paused_reason text,             -- its column is not what it was: the field takes no part, the others go on
    paused_since timestamptz,
    paused_by text,                 -- who has seen it
    unique (sync_def_id, field_no),
    check (num_nonnulls(paused_reason, paused_since, paused_by) in (0, 3)),
    check (not is_system_field or sync_direction = 'PULL_ONLY')
);
create index field_mappings_target on syncbridge.field_mappings (sync_def_id, target_column_name);

-- ---------------------------------------------------------------- the ledger and the backlog

-- One sequence for all marks and confirmations: a number never comes back, and orders observations against agreements.
create sequence syncbridge.mark_numbers as bigint cache 1;

-- Ledger and backlog carry no foreign key to the definition: every row of a page would lock the definition's one row.
-- A deleted definition keeps its row, so that no entry is ever without one.
create table syncbridge.sync_ledger (
    sync_def_id uuid not null,
    source_identity_hash bytea not null check (octet_length(source_identity_hash) = 32),
    source_identity text collate "C" not null,
    source_key_strategy text,       -- as the definition says; null: the definition is gone
    source_instance_id uuid not null,
    state text not null check (state in ('BOUND', 'CREATING', 'SETTLED', 'MOVING', 'TOMBSTONE')),
    sp_list_id text,
    sp_item_id integer,
    sp_etag text,
    stamp bigint,                   -- of the row at the last agreement; null: no row
    content_hash bytea,             -- over field_digests
    field_digests bytea,            -- packed (field number, digest), see shared.core.digests; null: no base
    mapping_fingerprint bytea,
    provenance text check (provenance in ('PUSH', 'PULL')),
    intents jsonb not null default '[]',   -- writes in doubt: digests only, never values
    confirmed bigint,               -- taken from mark_numbers at the confirmation
    generation integer not null default 1,
    last_source_ts timestamptz,
    last_sync_ts timestamptz not null default now(),
    tombstoned_at timestamptz,
    -- The loop breaker's memory: writes of the engine since the window began.
    writes_since timestamptz,
    writes integer not null default 0,
    primary key (sync_def_id, source_identity_hash),
    check (state <> 'TOMBSTONE' or field_digests is null),
    check (state <> 'SETTLED' or (sp_item_id is not null and field_digests is not null))
) with (fillfactor = 80);
create unique index sync_ledger_item on syncbridge.sync_ledger (sync_def_id, sp_list_id, sp_item_id)
    where sp_item_id is not null and state <> 'TOMBSTONE';
create index sync_ledger_tombstones on syncbridge.sync_ledger (sync_def_id, tombstoned_at) where state = 'TOMBSTONE';
create index sync_ledger_former_items on syncbridge.sync_ledger (sync_def_id, sp_list_id, sp_item_id)
    where sp_item_id is not null and state = 'TOMBSTONE';

create table syncbridge.sync_backlog (
    sync_def_id uuid not null,
    subject_hash bytea not null check (octet_length(subject_hash) = 32),
    subject_kind text not null check (subject_kind in ('ROW', 'ITEM')),
    source_identity text collate "C",   -- ROW subjects
    sp_list_id text,                -- ITEM subjects
    sp_item_id integer,
    number bigint not null default nextval('syncbridge.mark_numbers'),
    reasons text[] not null,
    lane smallint not null check (lane between 0 and 4),
    news text,                      -- eTag that a capture saw; null although ITEM is a reason: more than one, so look
    seen_stamp bigint,              -- what the last scan's mark saw: a parked row is tried again when it has changed
    state text not null default 'DUE' check (state in ('DUE', 'PARKED', 'AWAITING_APPROVAL', 'HELD')),
    approved boolean not null default false,
    due_at timestamptz not null default now(),  -- PARKED: when it is tried again; infinity: only by a person or a new mark
    claim uuid,
    claimed_until timestamptz,
    attempts integer not null default 0,
    first_marked_at timestamptz not null default now(),
    marked_at timestamptz not null default now(),
    reason_code text,               -- why it is parked or waits
    reason_text text,
    primary key (sync_def_id, subject_hash),
    check ((subject_kind = 'ROW') = (source_identity is not null)),
    check ((subject_kind = 'ITEM') = (sp_item_id is not null and sp_list_id is not null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.1);
-- No index holds the claim, so that claiming is a heap-only update.
create index sync_backlog_due on syncbridge.sync_backlog (sync_def_id, lane, due_at) where state in ('DUE', 'PARKED');
create index sync_backlog_waiting on syncbridge.sync_backlog (sync_def_id, state, marked_at) where state <> 'DUE';

-- Key changes that a stream told, until settle has followed them: the former row's item becomes the new row's. Hints only.
create table syncbridge.sync_renames (
    sync_def_id uuid not null,
    former_hash bytea not null check (octet_length(former_hash) = 32),
    new_hash bytea not null check (octet_length(new_hash) = 32),
    former_identity text collate "C" not null,
    new_identity text collate "C" not null,
    number bigint not null,         -- from mark_numbers: their order
    told_at timestamptz not null default now(),
    primary key (sync_def_id, former_hash, new_hash)
);
create index sync_renames_new on syncbridge.sync_renames (sync_def_id, new_hash);

-- The unlogged tables of scans and enumerations: which there are, and how many rows they have to hold (a server's crash
-- empties them).
create table syncbridge.run_tables (
    run_id uuid not null,
    kind text not null check (kind in ('SCAN', 'LIST')),
    sync_def_id uuid not null,
    created_at timestamptz not null default now(),
    loaded bigint,
    differing bigint,
    list_position jsonb,            -- LIST: how far the list was read
    primary key (run_id, kind)
);

create table syncbridge.sync_cursors (
    id uuid primary key default gen_random_uuid(),
    sync_def_id uuid not null references syncbridge.sync_definitions on delete cascade,
    cursor_scope text not null check (cursor_scope in ('SOURCE', 'TARGET')),
    cursor_type text not null check (cursor_type in ('TIMESTAMP', 'LSN', 'DELTA_TOKEN')),
    cursor_value text not null,
    cursor_details jsonb not null default '{}',
    source_instance_id uuid,
    target_list_id text,
    fingerprint bytea not null,     -- of mapping, filter and key strategy
    updated_at timestamptz not null default now(),
    check ((cursor_scope = 'SOURCE') = (source_instance_id is not null)),
    check ((cursor_scope = 'TARGET') = (target_list_id is not null))
);
create unique index sync_cursors_source on syncbridge.sync_cursors (sync_def_id, cursor_type, source_instance_id) where cursor_scope = 'SOURCE';
create unique index sync_cursors_target on syncbridge.sync_cursors (sync_def_id, cursor_type, target_list_id) where cursor_scope = 'TARGET';

-- ---------------------------------------------------------------- notices of lists' changes

-- When a definition's lists are read for changes. Numbers, not messages, say whether a notice is still to be answered: a
-- message that is lost, doubled or late changes nothing.
create table syncbridge.list_watches (
    sync_def_id uuid primary key references syncbridge.sync_definitions on delete cascade,
    noticed bigint not null default 0,      -- notices so far
    noticed_at timestamptz,                 -- the last one
    taken bigint not null default 0 check (taken <= noticed),   -- of those: how many came before the last ingress run began
    next_at timestamptz                     -- the next safety poll; null: at once
) with (fillfactor = 50);

-- Subscriptions to lists' changes: one per definition and list.
create table syncbridge.list_subscriptions (
    id uuid primary key,
    sync_def_id uuid not null references syncbridge.sync_definitions on delete cascade,
    list_id text not null,
    notification_url text not null,         -- ours; with the list it tells ours from others' at Graph
    subscription_id text unique,            -- Graph's; null: not made yet, or nobody knows whether it was
    client_state_hash bytea check (octet_length(client_state_hash) = 32),   -- SHA-256 of the last one that was sent
    asked integer not null default 0,       -- how often it was asked for without knowing an outcome
    expires_at timestamptz,
    renew_at timestamptz,
    verified_at timestamptz,                -- last seen among Graph's subscriptions
    look_at timestamptz not null,           -- when it is looked after next; whoever looks after it moves it on first
    failures integer not null default 0,    -- in a row
    error_code text,
    error_message text,
    created_at timestamptz not null default now(),
    unique (sync_def_id, list_id),
    check (subscription_id is null or (client_state_hash is not null and expires_at is not null))
);
create index list_subscriptions_look on syncbridge.list_subscriptions (look_at);

-- ---------------------------------------------------------------- change data capture

-- One replication slot per source database, for all its definitions. `queued_lsn` is our own mark: every change before it is
-- in the queue. Whoever reads the slot has the newest epoch; an older reader writes nothing here, so confirms nothing there.
create table syncbridge.stream_slots (
    instance_id uuid primary key references syncbridge.database_instances on delete cascade,
    slot_name text not null,
    phase text not null default 'WANTED' check (phase in ('WANTED', 'STREAMING', 'BROKEN', 'DROPPED')),
    making boolean not null default false,  -- a slot of this name that we do not know yet is ours: its maker died
    system_identifier text,         -- of the server that the slot was made on, with its timeline and where the slot began
    timeline integer,
    created_lsn pg_lsn,
    queued_lsn pg_lsn,
    epoch bigint not null default 0,
    holder text,                    -- who reads it: host and process
    leased_until timestamptz,
    heartbeat_at timestamptz,
    streaming boolean,              -- false: asked for by SQL; null: nobody reads
    paused_reason text,             -- not null: paused by a person
    most_per_second integer check (most_per_second > 0),
    budget_bytes bigint not null default 5368709120 check (budget_bytes > 0),
    budget_action text not null default 'ALERT' check (budget_action in ('ALERT', 'PAUSE_OTHERS', 'DROP')),
    retained_bytes bigint,          -- log that the server keeps for the slot, when it was measured last
    behind_bytes bigint,
    measured_at timestamptz,
    over_budget_since timestamptz,
    caught_up_at timestamptz,       -- when everything that the server had was in the queue
    problem_code text,
    problem_text text,
    changes bigint not null default 0,
    keys bigint not null default 0,
    messages bigint not null default 0,
    updated_at timestamptz not null default now(),
    check (phase <> 'STREAMING' or num_nonnulls(system_identifier, timeline, created_lsn, queued_lsn) = 4)
);

-- Since when the stream has every change of a definition's table. A scan that began later leaves no gap before it.
create table syncbridge.stream_watches (
    sync_def_id uuid primary key references syncbridge.sync_definitions on delete cascade,
    instance_id uuid not null,
    membership text not null,       -- of the table in the publication; another text: changes may have gone unseen
    watched_at timestamptz not null default clock_timestamp()
);

-- Queue messages that could not be used: kept with the reason until a person has decided.
create table syncbridge.parked_messages (
    id uuid primary key default gen_random_uuid(),
    queue text not null,
    body text not null,             -- keys at most, never values
    digest bytea not null,          -- of the body: a message that comes again is parked once
    reason_code text not null,
    reason_text text not null,
    parked_at timestamptz not null default now(),
    state text not null default 'PARKED' check (state in ('PARKED', 'REPLAYED', 'DISCARDED')),
    decided_at timestamptz,
    decided_by text,
    decision_reason text
);
create unique index parked_messages_once on syncbridge.parked_messages (queue, digest) where state = 'PARKED';
create index parked_messages_recent on syncbridge.parked_messages (parked_at desc);

-- ---------------------------------------------------------------- runs, conflicts, holds, budgets, audit

create table syncbridge.sync_runs (
    id uuid primary key,
    sync_def_id uuid not null references syncbridge.sync_definitions on delete cascade,
    run_type text not null check (run_type in ('PUSH', 'INGRESS', 'CDC', 'BACKFILL', 'DRIFT')),
    status text not null check (status in ('QUEUED', 'RUNNING', 'COMPLETED', 'COMPLETED_WITH_ERRORS', 'HELD', 'FAILED', 'CANCELLED')),
    trigger text not null,          -- SCHEDULE, MANUAL, BACKFILL, NOTICE, STREAM, …
    requested_by text not null,
    orchestration_id text,
    capture text,                   -- scan, watermark, command
    start_time timestamptz,
    end_time timestamptz,
    queued_at timestamptz not null default now(),
    items_processed bigint not null default 0,
    items_failed bigint not null default 0,
    created bigint not null default 0,
    updated bigint not null default 0,
    deleted bigint not null default 0,
    rows_inserted bigint not null default 0,
    rows_updated bigint not null default 0,
    rows_deleted bigint not null default 0,
    unchanged bigint not null default 0,
    adopted bigint not null default 0,
    conflicts bigint not null default 0,
    delayed bigint not null default 0,
    awaiting_approval bigint not null default 0,
    untold bigint not null default 0,       -- rows that had changed without their cursor column
    ru bigint not null default 0,
    requests bigint not null default 0,
    captured jsonb not null default '{}',   -- scanned, new, changed, gone, seconds
    notes text[] not null default '{}',     -- why it did what it did, or nothing
    error_code text,
    error_message text
);
create unique index sync_runs_one_active on syncbridge.sync_runs (sync_def_id, run_type) where status in ('QUEUED', 'RUNNING');
create index sync_runs_recent on syncbridge.sync_runs (sync_def_id, queued_at desc);

create table syncbridge.sync_run_failures (
    run_id uuid not null references syncbridge.sync_runs on delete cascade,
    subject_hash bytea not null,
    subject_kind text not null,
    source_identity text,
    sp_list_id text,
    sp_item_id integer,
    reason_code text not null,
    reason_text text not null,
    at timestamptz not null default now(),
    primary key (run_id, subject_hash)
);

create table syncbridge.conflicts (
    id uuid primary key default gen_random_uuid(),
    sync_def_id uuid not null references syncbridge.sync_definitions on delete cascade,
    op uuid not null,
    source_identity_hash bytea not null,
    source_identity text not null,
    field_no smallint not null,
    source_column_name text not null,
    state text not null default 'PENDING' check (state in ('PENDING', 'FINAL', 'VOID', 'REVERSING', 'REVERSED')),
    winner text not null check (winner in ('ROW', 'ITEM')),
    conflict_policy text not null,
    losing_value text,
    winning_digest bytea not null,
    base_digest bytea,
    sp_list_id text,
    sp_item_id integer,
    item_modified timestamptz,
    item_editor text,
    row_version text,
    row_time timestamptz,
    run_id uuid,
    detected_at timestamptz not null default now(),
    finalized_at timestamptz,
    reversal_by text,               -- who wants the losing value back; null: nobody ever did
    reversal_asked_at timestamptz,
    reversed_at timestamptz,        -- when it was written again
    reversal_note text              -- why it was not
);
create index conflicts_recent on syncbridge.conflicts (sync_def_id, detected_at desc);
create unique index conflicts_op on syncbridge.conflicts (op, field_no);
create index conflicts_pending on syncbridge.conflicts (sync_def_id, source_identity_hash) where state = 'PENDING';
create index conflicts_wanted on syncbridge.conflicts (sync_def_id, source_identity_hash) where state = 'REVERSING';

create table syncbridge.holds (
    id uuid primary key default gen_random_uuid(),
    sync_def_id uuid not null references syncbridge.sync_definitions on delete cascade,
    kind text not null,
    deletes_only boolean not null default false,
    explanation text not null,
    details jsonb not null default '{}',
    run_id uuid,
    opened_at timestamptz not null default now(),
    released_at timestamptz,
    released_by text,
    release_reason text
);
create unique index holds_one_open on syncbridge.holds (sync_def_id, kind) where released_at is null;

-- Deletes that were let through within the rolling day, per hour.
create table syncbridge.delete_allowances (
    sync_def_id uuid not null references syncbridge.sync_definitions on delete cascade,
    hour timestamptz not null,
    used integer not null check (used >= 0),
    primary key (sync_def_id, hour)
);

create table syncbridge.plans (
    id uuid primary key default gen_random_uuid(),
    sync_def_id uuid not null references syncbridge.sync_definitions on delete cascade,
    document jsonb not null,
    base bytea not null,            -- digest of what the plan was computed from; apply refuses when it has moved
    created_by text not null,
    created_at timestamptz not null default now(),
    applied_at timestamptz
);

-- One budget per tenant and application, shared by every instance and the poller.
create table syncbridge.ru_budgets (
    tenant_id text not null,
    client_id text not null,
    level double precision not null,        -- RU in the bucket; negative: debt
    refilled_at timestamptz not null,
    blocked_until timestamptz,
    ramp integer not null,                  -- eighths of the full pace while ramping up after a throttle
    hours jsonb not null default '{}',      -- RU spent per hour of the rolling day
    primary key (tenant_id, client_id)
);

create table syncbridge.audit_log (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null,
    action text not null,
    subject_kind text not null,
    subject_id text not null,
    before jsonb,
    after jsonb                      -- never a secret: references only
);
create index audit_log_subject on syncbridge.audit_log (subject_kind, subject_id, at desc);

create table syncbridge.settings (
    name text primary key,
    value jsonb not null,
    updated_at timestamptz not null default now()
);
