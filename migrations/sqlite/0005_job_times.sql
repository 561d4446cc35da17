-- When the newest run of a job began, and when it ended or the job was cancelled. Unknown of what ran before.
ALTER TABLE jobs ADD COLUMN started_at TEXT;
ALTER TABLE jobs ADD COLUMN ended_at TEXT;
