-- Sessions, what they leave behind, and the work that remains to be done on it: the tables of the Postgres back end.
--
-- UUIDs are text with hyphens. Times are RFC 3339 text in UTC with as many digits of a second as are needed: such
-- texts sort as the times do.

-- A live session, or one that was. Closed in the transaction that seals its recording.
CREATE TABLE sessions (
    id         TEXT NOT NULL PRIMARY KEY,
    tenant     TEXT NOT NULL,
    node       TEXT NOT NULL,
    started_at TEXT NOT NULL,
    closed_at  TEXT,
    end_reason TEXT,
    CHECK ((closed_at IS NULL) = (end_reason IS NULL))
) STRICT;
CREATE INDEX sessions_live ON sessions (node) WHERE closed_at IS NULL;

CREATE TABLE recordings (
    id             TEXT NOT NULL PRIMARY KEY REFERENCES sessions (id),
    tenant         TEXT NOT NULL,
    name           TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    channel        TEXT NOT NULL,
    source         TEXT NOT NULL,
    node           TEXT NOT NULL,
    state          TEXT NOT NULL
        CHECK (state IN ('RECORDING', 'PAUSED', 'PROCESSING', 'AVAILABLE', 'PARKED', 'DELETED')),
    started_at     TEXT NOT NULL,
    ended_at       TEXT,
    end_reason     TEXT,
    container      TEXT,
    object_key     TEXT,
    duration_ns    INTEGER NOT NULL CHECK (duration_ns >= 0),
    bytes          INTEGER NOT NULL CHECK (bytes >= 0),
    sha256         TEXT,
    error          TEXT,
    -- While a job of the recording is PARKED: the state to go back to, and what went wrong with the job.
    parked_from    TEXT,
    parked_error   TEXT
) STRICT;
CREATE INDEX recordings_by_time ON recordings (tenant, started_at DESC, id DESC);
CREATE INDEX recordings_by_state ON recordings (tenant, state, started_at DESC, id DESC);
CREATE INDEX recordings_by_name ON recordings (tenant, name, started_at DESC, id DESC);
CREATE INDEX recordings_by_correlation_id ON recordings (tenant, correlation_id, started_at DESC, id DESC)
    WHERE correlation_id <> '';

CREATE TABLE tracks (
    recording    TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL CHECK (number > 0),
    mid          TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('audio', 'video')),
    codec        TEXT NOT NULL,
    width        INTEGER NOT NULL CHECK (width >= 0),
    height       INTEGER NOT NULL CHECK (height >= 0),
    start_ns     INTEGER NOT NULL CHECK (start_ns >= 0),
    duration_ns  INTEGER NOT NULL CHECK (duration_ns >= 0),
    frames       INTEGER NOT NULL CHECK (frames >= 0),
    bytes        INTEGER NOT NULL CHECK (bytes >= 0),
    packets_lost INTEGER NOT NULL CHECK (packets_lost >= 0),
    PRIMARY KEY (recording, number)
) STRICT;

CREATE TABLE jobs (
    id          TEXT NOT NULL PRIMARY KEY,
    recording   TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    tenant      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('QUEUED', 'IN_PROGRESS', 'DONE', 'FAILED', 'PARKED')),
    node        TEXT,
    attempts    INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    run_at      TEXT NOT NULL,
    -- The last run's lease. It stays when the run has ended, so that a repeated answer is told from a lost lease.
    lease       TEXT,
    lease_until TEXT,
    error       TEXT,
    created_at  TEXT NOT NULL,
    -- When a worker may take it: none once it is done or parked.
    due_at      TEXT GENERATED ALWAYS AS (
        CASE WHEN state IN ('QUEUED', 'FAILED') THEN run_at WHEN state = 'IN_PROGRESS' THEN lease_until END
    ) STORED,
    CHECK (state <> 'IN_PROGRESS' OR (lease IS NOT NULL AND lease_until IS NOT NULL))
) STRICT;
CREATE INDEX jobs_due ON jobs (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_open ON jobs (kind, state) WHERE state <> 'DONE';
CREATE INDEX jobs_of_recording ON jobs (recording);

CREATE TABLE nodes (
    id           TEXT NOT NULL PRIMARY KEY,
    grpc_address TEXT NOT NULL,
    seen_at      TEXT NOT NULL,
    draining     INTEGER NOT NULL CHECK (draining IN (0, 1))
) STRICT;
