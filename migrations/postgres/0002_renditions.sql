-- What is made out of recordings, how far a job has come, who removed what, and work that one node does for all.

CREATE TABLE renditions (
    id           uuid PRIMARY KEY,
    recording    uuid NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    tenant       text NOT NULL,
    kind         text NOT NULL,
    -- JSON in one canonical form, kept as text: the same text is the same rendition.
    parameters   text NOT NULL,
    state        text NOT NULL
        CHECK (state IN ('QUEUED', 'IN_PROGRESS', 'AVAILABLE', 'PARKED', 'CANCELLED', 'DELETED')),
    -- The last job that was to make it.
    job          uuid NOT NULL,
    object_key   text NOT NULL,
    content_type text NOT NULL,
    bytes        bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0),
    duration_ns  bigint NOT NULL DEFAULT 0 CHECK (duration_ns >= 0),
    width        bigint NOT NULL DEFAULT 0 CHECK (width >= 0),
    height       bigint NOT NULL DEFAULT 0 CHECK (height >= 0),
    sha256       text,
    error        text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    ready_at     timestamptz,
    UNIQUE (recording, parameters)
);
-- For retention.
CREATE INDEX renditions_by_age ON renditions (kind, ready_at) WHERE state = 'AVAILABLE';
CREATE INDEX recordings_by_age ON recordings (ended_at) WHERE state = 'AVAILABLE';

ALTER TABLE jobs
    -- The rendition that the job makes or removes; none for a job on the recording itself.
    ADD COLUMN rendition uuid REFERENCES renditions (id) ON DELETE CASCADE,
    -- How far the last run came: of the whole, seconds of media a second, and what it will still take.
    ADD COLUMN fraction double precision,
    ADD COLUMN speed double precision,
    ADD COLUMN remaining_ns bigint CHECK (remaining_ns >= 0),
    DROP CONSTRAINT jobs_state_check,
    ADD CONSTRAINT jobs_state_check
        CHECK (state IN ('QUEUED', 'IN_PROGRESS', 'DONE', 'FAILED', 'PARKED', 'CANCELLED'));
DROP INDEX jobs_open;
CREATE INDEX jobs_open ON jobs (kind, state) WHERE state NOT IN ('DONE', 'CANCELLED');
-- Ids sort by the time at which they were made.
CREATE INDEX jobs_of_tenant ON jobs (tenant, id DESC);

-- Never changed and never removed, not even with its recording.
CREATE TABLE audit (
    id        uuid PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT now(),
    tenant    text NOT NULL,
    -- The name of the caller's token, or `retention`; empty where nobody had to say who they are.
    actor     text NOT NULL,
    action    text NOT NULL,
    recording uuid NOT NULL,
    rendition uuid
);
CREATE INDEX audit_of_recording ON audit (tenant, recording, at, id);

-- Work that is done every so often by one node of all: when the next turn is.
CREATE TABLE turns (
    task    text PRIMARY KEY,
    next_at timestamptz NOT NULL
);
