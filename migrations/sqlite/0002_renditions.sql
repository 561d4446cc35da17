-- What is made out of recordings, how far a job has come, who removed what, and work that one node does for all: the
-- tables of the Postgres back end.

CREATE TABLE renditions (
    id           TEXT NOT NULL PRIMARY KEY,
    recording    TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    tenant       TEXT NOT NULL,
    kind         TEXT NOT NULL,
    -- JSON in one canonical form: the same text is the same rendition.
    parameters   TEXT NOT NULL,
    state        TEXT NOT NULL
        CHECK (state IN ('QUEUED', 'IN_PROGRESS', 'AVAILABLE', 'PARKED', 'CANCELLED', 'DELETED')),
    -- The last job that was to make it.
    job          TEXT NOT NULL,
    object_key   TEXT NOT NULL,
    content_type TEXT NOT NULL,
    bytes        INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0),
    duration_ns  INTEGER NOT NULL DEFAULT 0 CHECK (duration_ns >= 0),
    width        INTEGER NOT NULL DEFAULT 0 CHECK (width >= 0),
    height       INTEGER NOT NULL DEFAULT 0 CHECK (height >= 0),
    sha256       TEXT,
    error        TEXT,
    created_at   TEXT NOT NULL,
    ready_at     TEXT,
    UNIQUE (recording, parameters)
) STRICT;
-- For retention.
CREATE INDEX renditions_by_age ON renditions (kind, ready_at) WHERE state = 'AVAILABLE';
CREATE INDEX recordings_by_age ON recordings (ended_at) WHERE state = 'AVAILABLE';

-- SQLite can't change a table's checks: the jobs move into a new table with one more state and the new columns.
CREATE TABLE jobs_now (
    id           TEXT NOT NULL PRIMARY KEY,
    recording    TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    tenant       TEXT NOT NULL,
    -- The rendition that the job makes or removes; none for a job on the recording itself.
    rendition    TEXT REFERENCES renditions (id) ON DELETE CASCADE,
    kind         TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('QUEUED', 'IN_PROGRESS', 'DONE', 'FAILED', 'PARKED', 'CANCELLED')),
    node         TEXT,
    attempts     INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    run_at       TEXT NOT NULL,
    -- The last run's lease. It stays when the run has ended, so that a repeated answer is told from a lost lease.
    lease        TEXT,
    lease_until  TEXT,
    error        TEXT,
    -- How far the last run came: of the whole, seconds of media a second, and what it will still take.
    fraction     REAL,
    speed        REAL,
    remaining_ns INTEGER CHECK (remaining_ns >= 0),
    created_at   TEXT NOT NULL,
    -- When a worker may take it: none once it is done, parked or cancelled.
    due_at       TEXT GENERATED ALWAYS AS (
        CASE WHEN state IN ('QUEUED', 'FAILED') THEN run_at WHEN state = 'IN_PROGRESS' THEN lease_until END
    ) STORED,
    CHECK (state <> 'IN_PROGRESS' OR (lease IS NOT NULL AND lease_until IS NOT NULL))
) STRICT;
INSERT INTO jobs_now (id, recording, tenant, kind, state, node, attempts, run_at, lease, lease_until, error, created_at)
SELECT id, recording, tenant, kind, state, node, attempts, run_at, lease, lease_until, error, created_at FROM jobs;
DROP TABLE jobs;
ALTER TABLE jobs_now RENAME TO jobs;
CREATE INDEX jobs_due ON jobs (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_open ON jobs (kind, state) WHERE state NOT IN ('DONE', 'CANCELLED');
CREATE INDEX jobs_of_recording ON jobs (recording);
-- Ids sort by the time at which they were made.
CREATE INDEX jobs_of_tenant ON jobs (tenant, id DESC);

-- Never changed and never removed, not even with its recording.
CREATE TABLE audit (
    id        TEXT NOT NULL PRIMARY KEY,
    at        TEXT NOT NULL,
    tenant    TEXT NOT NULL,
    -- The name of the caller's token, or `retention`; empty where nobody had to say who they are.
    actor     TEXT NOT NULL,
    action    TEXT NOT NULL,
    recording TEXT NOT NULL,
    rendition TEXT
) STRICT;
CREATE INDEX audit_of_recording ON audit (tenant, recording, at, id);

-- Work that is done every so often by one node of all: when the next turn is.
CREATE TABLE turns (
    task    TEXT NOT NULL PRIMARY KEY,
    next_at TEXT NOT NULL
) STRICT;
