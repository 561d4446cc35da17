//! Deletes what is older than its tenant wants to keep it. One node does it for all.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::TenantId;
use store::{Deletion, Expired, Expiry, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::metrics;

/// What the audit calls us.
const ACTOR: &str = "retention";
/// The turn's name.
const TASK: &str = "retention";
/// Deleted at a time, between two looks at the shutdown.
const BATCH: u32 = 100;
/// The longest sleep between two looks at whose turn it is.
const LOOK: Duration = Duration::from_secs(60);

/// How long something is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionRule {
    /// Whose; none: of every tenant that has no rule of its own for the same thing.
    pub tenant: Option<TenantId>,
    /// Renditions of this kind, counted from when they became available; none: recordings with all that was made of
    /// them, counted from their end.
    pub rendition: Option<String>,
    /// Deleted once it is older.
    pub after: Duration,
}

/// Deletes every `interval` until `shutdown`.
pub(crate) async fn keep(
    rules: &[RetentionRule],
    interval: Duration,
    store: &dyn Store,
    shutdown: &CancellationToken,
) {
    if rules.is_empty() {
        return;
    }
    loop {
        match store.claim_run(TASK, interval).await {
            Ok(true) => sweep(rules, store, shutdown).await,
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "retention waits for the database"),
        }
        let sleep = tokio::time::sleep(interval.clamp(Duration::from_millis(10), LOOK));
        if shutdown.run_until_cancelled(sleep).await.is_none() {
            return;
        }
    }
}

async fn sweep(rules: &[RetentionRule], store: &dyn Store, shutdown: &CancellationToken) {
    let now = Utc::now();
    for rule in rules {
        let Some(expiry) = expiry(rule, rules, now) else { continue };
        match sweep_one(&expiry, store, shutdown).await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(
                tenant = rule.tenant.as_ref().map(TenantId::as_str),
                rendition = rule.rendition,
                deleted,
                "deleted by retention"
            ),
            Err(error) => tracing::warn!(%error, "retention goes on at its next turn"),
        }
    }
}

/// None: so long ago that nothing can be older.
fn expiry(rule: &RetentionRule, rules: &[RetentionRule], now: DateTime<Utc>) -> Option<Expiry> {
    let except = match rule.tenant {
        Some(_) => Vec::new(),
        None => rules
            .iter()
            .filter(|other| other.rendition == rule.rendition)
            .filter_map(|other| other.tenant.clone())
            .collect(),
    };
    let before = now.checked_sub_signed(chrono::TimeDelta::from_std(rule.after).ok()?)?;
    Some(Expiry { tenant: rule.tenant.clone(), except, rendition: rule.rendition.clone(), before })
}

async fn sweep_one(
    expiry: &Expiry,
    store: &dyn Store,
    shutdown: &CancellationToken,
) -> Result<u64, StoreError> {
    let mut deleted = 0;
    while !shutdown.is_cancelled() {
        let expired = store.expired(expiry, BATCH).await?;
        let mut gone = 0;
        for one in &expired {
            gone += u64::from(delete(store, one).await?);
        }
        deleted += gone;
        // None gone: others delete the same things at this moment.
        if gone == 0 || expired.len() < BATCH as usize {
            break;
        }
    }
    Ok(deleted)
}

async fn delete(store: &dyn Store, expired: &Expired) -> Result<bool, StoreError> {
    let deletion = match expired.rendition {
        Some(id) => store.delete_rendition(&expired.tenant, id, ACTOR).await,
        None => store.delete_recording(&expired.tenant, expired.recording, ACTOR).await,
    };
    match deletion {
        Ok(Deletion::Now { jobs }) => {
            metrics::deleted_by_retention();
            metrics::enqueued(model::JobKind::Delete, jobs);
            Ok(true)
        }
        // Meanwhile deleted by somebody else.
        Ok(Deletion::Before) | Err(StoreError::NotFound { .. } | StoreError::WrongState { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(tenant: Option<&str>, rendition: Option<&str>, hours: u64) -> RetentionRule {
        RetentionRule {
            tenant: tenant.map(|name| name.parse().unwrap()),
            rendition: rendition.map(str::to_owned),
            after: Duration::from_secs(hours * 3600),
        }
    }

    #[test]
    fn a_tenants_own_rule_goes_before_the_one_for_all() {
        let rules = [rule(None, None, 10), rule(Some("acme"), None, 99), rule(Some("b"), Some("mp3"), 1)];
        let now = Utc::now();
        let all = expiry(&rules[0], &rules, now).unwrap();
        assert_eq!((all.tenant, all.except), (None, vec!["acme".parse().unwrap()]));
        assert_eq!(all.before, now - chrono::TimeDelta::hours(10));
        let own = expiry(&rules[1], &rules, now).unwrap();
        assert_eq!((own.tenant, own.except), (Some("acme".parse().unwrap()), Vec::new()));
    }

    #[test]
    fn a_time_beyond_the_calendar_deletes_nothing() {
        let rules = [RetentionRule { after: Duration::MAX, ..rule(None, None, 0) }];
        assert_eq!(expiry(&rules[0], &rules, Utc::now()), None);
    }
}
