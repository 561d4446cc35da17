-- Pieces of renditions that are made while their recordings go on. They are temporary, and so are their rows.

CREATE TABLE segments (
    recording   uuid NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    -- Of the rendition, as in `renditions`.
    parameters  text NOT NULL,
    number      bigint NOT NULL CHECK (number >= 0),
    -- The node that has the file.
    node        text NOT NULL,
    state       text NOT NULL CHECK (state IN ('QUEUED', 'IN_PROGRESS', 'DONE', 'FAILED')),
    start_ns    bigint NOT NULL CHECK (start_ns >= 0),
    duration_ns bigint NOT NULL CHECK (duration_ns >= 0),
    -- Of the recording.
    media_bytes bigint NOT NULL CHECK (media_bytes >= 0),
    -- Of the segment's file.
    bytes       bigint NOT NULL CHECK (bytes >= 0),
    error       text,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (recording, parameters, number)
);
