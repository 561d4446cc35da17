-- Recordings whose node is taken for lost, and of which nothing had been uploaded.

-- Set while they are PARKED for that: SEAL if the session was closed for it too, so that its node may still seal it.
ALTER TABLE recordings ADD COLUMN lost text CHECK (lost IN ('SEAL', 'UPLOAD'));
CREATE INDEX recordings_lost ON recordings (node) WHERE lost IS NOT NULL;
-- What a node that is lost has not finished.
CREATE INDEX recordings_unfinished ON recordings (node) WHERE state IN ('RECORDING', 'PAUSED', 'PROCESSING');
