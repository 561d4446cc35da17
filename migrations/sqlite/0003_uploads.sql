-- What of a recording is in the object store already while it is still being written: a multipart upload and its parts.
-- Enough for any node to go on with it.

CREATE TABLE uploads (
    recording  TEXT NOT NULL PRIMARY KEY REFERENCES recordings (id) ON DELETE CASCADE,
    -- The node that has the file.
    node       TEXT NOT NULL,
    object_key TEXT NOT NULL,
    -- The store's name for the upload.
    upload_id  TEXT NOT NULL,
    container  TEXT NOT NULL,
    -- Set when another node completed it with what was there: SEAL if it closed the session too.
    rescue     TEXT CHECK (rescue IN ('UPLOAD', 'SEAL')),
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX uploads_of_node ON uploads (node);

CREATE TABLE upload_parts (
    recording   TEXT NOT NULL REFERENCES uploads (recording) ON DELETE CASCADE,
    number      INTEGER NOT NULL CHECK (number BETWEEN 1 AND 10000),
    first_byte  INTEGER NOT NULL CHECK (first_byte >= 0),
    bytes       INTEGER NOT NULL CHECK (bytes > 0),
    md5         BLOB NOT NULL CHECK (length(md5) = 16),
    sha256      BLOB CHECK (length(sha256) = 32),
    etag        TEXT NOT NULL,
    -- Whether it will be sent once more when the recording ends.
    provisional INTEGER NOT NULL CHECK (provisional IN (0, 1)),
    -- The run of the process that sent it: another run compares the file with it first.
    run         TEXT NOT NULL,
    PRIMARY KEY (recording, number)
) STRICT;
