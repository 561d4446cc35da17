-- For retention, which removes what is parked without media.
CREATE INDEX recordings_without_media_by_age ON recordings (ended_at) WHERE state = 'PARKED' AND container IS NULL;
