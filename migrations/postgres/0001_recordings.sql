-- Sessions, what they leave behind, and the work that remains to be done on it.
--
-- States are checked here. Sets that grow from version to version (codec, channel, source, end reason, job kind) are
-- checked by the program that reads them, so that a new member needs no rewriting of tables.

-- A live session, or one that was. Closed in the transaction that seals its recording.
CREATE TABLE sessions (
    id         uuid PRIMARY KEY,
    tenant     text NOT NULL,
    node       text NOT NULL,
    started_at timestamptz NOT NULL,
    closed_at  timestamptz,
    end_reason text,
    CHECK ((closed_at IS NULL) = (end_reason IS NULL))
);
CREATE INDEX sessions_live ON sessions (node) WHERE closed_at IS NULL;

CREATE TABLE recordings (
    id             uuid PRIMARY KEY REFERENCES sessions (id),
    tenant         text NOT NULL,
    name           text NOT NULL,
    correlation_id text NOT NULL,
    channel        text NOT NULL,
    source         text NOT NULL,
    node           text NOT NULL,
    state          text NOT NULL
        CHECK (state IN ('RECORDING', 'PAUSED', 'PROCESSING', 'AVAILABLE', 'PARKED', 'DELETED')),
    started_at     timestamptz NOT NULL,
    ended_at       timestamptz,
    end_reason     text,
    container      text,
    object_key     text,
    duration_ns    bigint NOT NULL CHECK (duration_ns >= 0),
    bytes          bigint NOT NULL CHECK (bytes >= 0),
    sha256         text,
    error          text,
    -- While a job of the recording is PARKED: the state to go back to, and what went wrong with the job.
    parked_from    text,
    parked_error   text
);
CREATE INDEX recordings_by_time ON recordings (tenant, started_at DESC, id DESC);
CREATE INDEX recordings_by_state ON recordings (tenant, state, started_at DESC, id DESC);
-- Names and correlation ids are any text of any length; a B-tree holds at most about 2,700 bytes an entry.
CREATE INDEX recordings_by_name ON recordings (tenant, left(name, 256), started_at DESC, id DESC);
CREATE INDEX recordings_by_correlation_id ON recordings (tenant, left(correlation_id, 256), started_at DESC, id DESC)
    WHERE correlation_id <> '';

CREATE TABLE tracks (
    recording    uuid NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    number       bigint NOT NULL CHECK (number > 0),
    mid          text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('audio', 'video')),
    codec        text NOT NULL,
    width        bigint NOT NULL CHECK (width >= 0),
    height       bigint NOT NULL CHECK (height >= 0),
    start_ns     bigint NOT NULL CHECK (start_ns >= 0),
    duration_ns  bigint NOT NULL CHECK (duration_ns >= 0),
    frames       bigint NOT NULL CHECK (frames >= 0),
    bytes        bigint NOT NULL CHECK (bytes >= 0),
    packets_lost bigint NOT NULL CHECK (packets_lost >= 0),
    PRIMARY KEY (recording, number)
);

CREATE TABLE jobs (
    id          uuid PRIMARY KEY,
    recording   uuid NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    tenant      text NOT NULL,
    kind        text NOT NULL,
    state       text NOT NULL CHECK (state IN ('QUEUED', 'IN_PROGRESS', 'DONE', 'FAILED', 'PARKED')),
    node        text,
    attempts    bigint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    run_at      timestamptz NOT NULL,
    -- The last run's lease. It stays when the run has ended, so that a repeated answer is told from a lost lease.
    lease       uuid,
    lease_until timestamptz,
    error       text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- When a worker may take it: none once it is done or parked.
    due_at      timestamptz GENERATED ALWAYS AS (
        CASE WHEN state IN ('QUEUED', 'FAILED') THEN run_at WHEN state = 'IN_PROGRESS' THEN lease_until END
    ) STORED,
    CHECK (state <> 'IN_PROGRESS' OR (lease IS NOT NULL AND lease_until IS NOT NULL))
);
CREATE INDEX jobs_due ON jobs (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_open ON jobs (kind, state) WHERE state <> 'DONE';
CREATE INDEX jobs_of_recording ON jobs (recording);

CREATE TABLE nodes (
    id           text PRIMARY KEY,
    grpc_address text NOT NULL,
    seen_at      timestamptz NOT NULL,
    draining     boolean NOT NULL
);
