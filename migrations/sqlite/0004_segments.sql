-- Pieces of renditions that are made while their recordings go on: the table of the Postgres back end.

CREATE TABLE segments (
    recording   TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    -- Of the rendition, as in `renditions`.
    parameters  TEXT NOT NULL,
    number      INTEGER NOT NULL CHECK (number >= 0),
    -- The node that has the file.
    node        TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('QUEUED', 'IN_PROGRESS', 'DONE', 'FAILED')),
    start_ns    INTEGER NOT NULL CHECK (start_ns >= 0),
    duration_ns INTEGER NOT NULL CHECK (duration_ns >= 0),
    -- Of the recording.
    media_bytes INTEGER NOT NULL CHECK (media_bytes >= 0),
    -- Of the segment's file.
    bytes       INTEGER NOT NULL CHECK (bytes >= 0),
    error       TEXT,
    created_at  TEXT NOT NULL,
    PRIMARY KEY (recording, parameters, number)
) STRICT;
