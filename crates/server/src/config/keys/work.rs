//! What is done with recordings.

use super::{Key, key};

pub(super) fn jobs() -> Vec<Key> {
    vec![
        key("jobs.upload_workers", |c| &mut c.jobs.upload_workers, "Uploads at a time.")
            .legacy("UPLOADER_WORKERS"),
        key(
            "jobs.upload_max_retry",
            |c| &mut c.jobs.upload_max_retry,
            "Repeats of a failing upload until it is parked for a person; the media is kept.",
        )
        .legacy("UPLOADER_MAX_RETRY"),
        key(
            "jobs.transcoding_workers",
            |c| &mut c.jobs.transcoding_workers,
            "Renditions that are made at a time, each in a process of its own with a lower priority.",
        )
        .legacy("TRANSCODING_WORKERS")
        .default("one a core"),
        key(
            "jobs.transcoding_max_retry",
            |c| &mut c.jobs.transcoding_max_retry,
            "Repeats of a rendition that fails by itself until it is parked for a person. What can't be read is parked at \
             once; what lacks the object store or the database has `jobs.upload_max_retry`.",
        )
        .legacy("TRANSCODING_MAX_RETRY"),
        key(
            "jobs.transcoding_memory",
            |c| &mut c.jobs.transcoding_memory,
            "The most address space of the process that makes a rendition; `0` is no limit. AV1 of large pictures may \
             need more.",
        ),
        key(
            "jobs.work_directory",
            |c| &mut c.jobs.work_directory,
            "Where renditions are made; on the spool's file system nothing has to be copied first.",
        )
        .default("`<data_dir>/work`"),
        key(
            "jobs.retention_interval",
            |c| &mut c.jobs.retention_interval,
            "How often what `retention` names is looked for; one node of all does it.",
        ),
        key(
            "jobs.first_backoff",
            |c| &mut c.jobs.first_backoff,
            "The wait after a first failure; it doubles from run to run.",
        ),
        key("jobs.max_backoff", |c| &mut c.jobs.max_backoff, "The longest wait."),
        key(
            "jobs.lease",
            |c| &mut c.jobs.lease,
            "How long a job belongs to a worker that says nothing more.",
        ),
        key("jobs.poll", |c| &mut c.jobs.poll, "The longest sleep between looks at the queue."),
    ]
}

pub(super) fn wanted() -> Vec<Key> {
    vec![
        key(
            "renditions",
            |c| &mut c.renditions,
            "What is made of every recording: `[[renditions]]` with `kind` (mp4, webm, mp3, ogg_opus, wav, thumbnail, \
             contact_sheet, waveform, mosaic, mix, stem), its parameters by the names of \
             `recorder/v1/rendition.proto` (docs/renditions.md), `tenant` if it is for one alone, and for sound `while_recording = true` if it \
             is to be made while the recording goes on, so that it is ready soon after the end of a long one.",
        ),
        key(
            "retention",
            |c| &mut c.retention,
            "What is deleted with age: `[[retention]]` with `after`, longer than 0; `rendition` (a kind) if it is for renditions of it, \
             not for recordings with all that was made of them; `tenant` if it is for one alone, whose rule goes before \
             that for all. Parked recordings are not deleted by it, but those of which no media ever came.",
        ),
    ]
}

pub(super) fn segments() -> Vec<Key> {
    vec![
        key(
            "segments.interval",
            |c| &mut c.segments.interval,
            "How long the pieces are in which renditions with `while_recording` are made, `1s` to `1h`. Shorter recordings \
             have none.",
        ),
        key(
            "segments.wait",
            |c| &mut c.segments.wait,
            "How long such a rendition waits for its segments when the recording has ended. Then it is made of the whole \
             recording, as others are.",
        ),
        key(
            "segments.keep",
            |c| &mut c.segments.keep,
            "Segments that were not joined are removed so long after their recording ended.",
        ),
        key(
            "segments.clean_up_interval",
            |c| &mut c.segments.clean_up_interval,
            "How often those are looked for.",
        ),
        key(
            "segments.followers",
            |c| &mut c.segments.followers,
            "Renditions of live recordings that are made at a time, each in a process of its own with a lower priority; \
             those beyond are made when their recordings have ended. `0` makes all of them then.",
        ),
        key(
            "segments.directory",
            |c| &mut c.segments.directory,
            "Where segments are kept until they are joined.",
        )
        .default("`<data_dir>/segments`"),
    ]
}
