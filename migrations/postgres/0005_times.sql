-- When the newest run of a job began, and when it ended or the job was cancelled. Unknown of what ran before.
ALTER TABLE jobs ADD COLUMN started_at timestamptz, ADD COLUMN ended_at timestamptz;

-- For retention, which removes what is parked without media.
CREATE INDEX recordings_without_media_by_age ON recordings (ended_at) WHERE state = 'PARKED' AND container IS NULL;
