-- What of a recording is in the object store already while it is still being written: a multipart upload and its parts.
-- Enough for any node to go on with it.

CREATE TABLE uploads (
    recording  uuid PRIMARY KEY REFERENCES recordings (id) ON DELETE CASCADE,
    -- The node that has the file.
    node       text NOT NULL,
    object_key text NOT NULL,
    -- The store's name for the upload.
    upload_id  text NOT NULL,
    container  text NOT NULL,
    -- Set when another node completed it with what was there: SEAL if it closed the session too.
    rescue     text CHECK (rescue IN ('UPLOAD', 'SEAL')),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX uploads_of_node ON uploads (node);

CREATE TABLE upload_parts (
    recording   uuid NOT NULL REFERENCES uploads (recording) ON DELETE CASCADE,
    number      bigint NOT NULL CHECK (number BETWEEN 1 AND 10000),
    first_byte  bigint NOT NULL CHECK (first_byte >= 0),
    bytes       bigint NOT NULL CHECK (bytes > 0),
    md5         bytea NOT NULL CHECK (length(md5) = 16),
    sha256      bytea CHECK (length(sha256) = 32),
    etag        text NOT NULL,
    -- Whether it will be sent once more when the recording ends.
    provisional boolean NOT NULL,
    -- The run of the process that sent it: another run compares the file with it first.
    run         uuid NOT NULL,
    PRIMARY KEY (recording, number)
);
