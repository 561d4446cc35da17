//! Retention: deletes recordings and renditions at a certain age. One node does it for all.

use chrono::{DateTime, Utc};
use model::TenantId;
use store::{Deletion, Expired, Expiry, Store, StoreError};
use transcode::RenditionKind;

use crate::{JobError, RetentionRule, context::Context, metrics};

/// The actor in the audit.
const ACTOR: &str = "retention";
/// Rows of one query.
const BATCH: u32 = 100;

/// Applies every rule. A failure of one does not stop the others; the first error is returned at the end.
pub(super) async fn run(context: &Context) -> Result<(), JobError> {
    let (now, rules) = (Utc::now(), &context.config.retention);
    let mut result = Ok(());
    for rule in rules {
        let Some(expiry) = expiry(rule, rules, now) else { continue };
        let (deleted, applied) = apply(&expiry, &*context.store).await;
        if deleted > 0 {
            tracing::info!(
                tenant = rule.tenant.as_ref().map(TenantId::as_str),
                rendition = rule.rendition.map(RenditionKind::name),
                deleted,
                "deleted by retention"
            );
        }
        result = result.and(applied.map_err(JobError::from));
    }
    result
}

/// None: the age reaches before the first date of the calendar, so nothing can be older.
fn expiry(rule: &RetentionRule, rules: &[RetentionRule], now: DateTime<Utc>) -> Option<Expiry> {
    let except = match rule.tenant {
        Some(_) => Vec::new(),
        None => rules
            .iter()
            .filter(|other| other.rendition == rule.rendition)
            .filter_map(|other| other.tenant.clone())
            .collect(),
    };
    let before = now.checked_sub_signed(chrono::TimeDelta::from_std(rule.after.0).ok()?)?;
    Some(Expiry {
        tenant: rule.tenant.clone(),
        except,
        rendition: rule.rendition.map(|kind| kind.name().to_owned()),
        before,
    })
}

/// Returns the number of deletions, those before an error among them.
async fn apply(expiry: &Expiry, store: &dyn Store) -> (u64, Result<(), StoreError>) {
    let mut deleted = 0;
    loop {
        let expired = match store.expired(expiry, BATCH).await {
            Ok(expired) => expired,
            Err(error) => return (deleted, Err(error)),
        };
        let before = deleted;
        for one in &expired {
            match delete(store, one).await {
                Ok(now) => deleted += u64::from(now),
                Err(error) => return (deleted, Err(error)),
            }
        }
        // None deleted: a caller deletes the same ones at this moment.
        if deleted == before || expired.len() < BATCH as usize {
            return (deleted, Ok(()));
        }
    }
}

/// Returns false if it was deleted before.
async fn delete(store: &dyn Store, expired: &Expired) -> Result<bool, StoreError> {
    let deletion = match expired.rendition {
        Some(id) => store.delete_rendition(&expired.tenant, id, ACTOR).await,
        None => store.delete_recording(&expired.tenant, expired.recording, ACTOR).await,
    };
    match deletion {
        Ok(Deletion::Deleted { jobs }) => {
            metrics::deleted_by_retention();
            metrics::enqueued(model::JobKind::Delete, jobs);
            Ok(true)
        }
        Ok(Deletion::AlreadyDeleted) | Err(StoreError::NotFound { .. } | StoreError::WrongState { .. }) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rule(tenant: Option<&str>, rendition: Option<&str>, hours: u64) -> RetentionRule {
        RetentionRule {
            tenant: tenant.map(|name| name.parse().unwrap()),
            rendition: rendition.map(|kind| kind.parse().unwrap()),
            after: Duration::from_secs(hours * 3600).into(),
        }
    }

    #[test]
    fn a_tenants_own_rule_replaces_the_rule_for_all_tenants() {
        let rules = [rule(None, None, 10), rule(Some("acme"), None, 99), rule(Some("b"), Some("mp3"), 1)];
        let now = Utc::now();
        let all = expiry(&rules[0], &rules, now).unwrap();
        assert_eq!((all.tenant, all.except), (None, vec!["acme".parse().unwrap()]));
        assert_eq!(all.before, now - chrono::TimeDelta::hours(10));
        let own = expiry(&rules[1], &rules, now).unwrap();
        assert_eq!((own.tenant, own.except), (Some("acme".parse().unwrap()), Vec::new()));
    }

    #[test]
    fn an_age_beyond_the_calendar_deletes_nothing() {
        let rules = [RetentionRule { after: Duration::MAX.into(), ..rule(None, None, 0) }];
        assert_eq!(expiry(&rules[0], &rules, Utc::now()), None);
    }
}
