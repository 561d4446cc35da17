//! Authentication of callers, and the permissions of their roles.

use http::HeaderMap;
use model::TenantId;
use sha2::{Digest as _, Sha256};

use crate::{
    config::{Role, Secret, Token},
    error::ApiError,
};

/// The header of existing clients. Its value is the token itself.
pub const LEGACY_HEADER: &str = "x-webitel-access";

/// What a method requires of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// To read recordings and sessions.
    View,
    /// To begin, change, end and delete recordings.
    Record,
}

impl Role {
    /// Whether the role includes the permission.
    #[must_use]
    pub fn allows(self, permission: Permission) -> bool {
        match permission {
            Permission::View => true,
            Permission::Record => matches!(self, Self::Recorder | Self::Admin),
        }
    }
}

/// An authenticated caller.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The owner of the recordings that they see.
    pub tenant: TenantId,
    /// The name of their token. Empty without authentication.
    pub name: String,
    /// Their token, to forward a call with.
    pub token: Option<Secret>,
    /// The node that forwarded this call.
    pub forwarded_by: Option<String>,
}

/// The header of a forwarded call: the id of the node that forwards it. Such a call is not forwarded again.
pub const FORWARDED_HEADER: &str = "x-recorder-forwarded-by";

/// Authenticates callers by their tokens.
#[derive(Debug, Clone, Default)]
pub struct Authenticator {
    tokens: Vec<Token>,
}

impl Authenticator {
    /// Accepts these tokens. Without any, every caller is accepted as the tenant `default`.
    #[must_use]
    pub fn new(tokens: Vec<Token>) -> Self {
        Self { tokens }
    }

    /// Authenticates a call by its headers.
    ///
    /// # Errors
    /// `Unauthenticated` without a known token; `Denied` if its role lacks the permission.
    pub fn caller(&self, headers: &HeaderMap, permission: Permission) -> Result<Caller, ApiError> {
        let forwarded_by =
            headers.get(FORWARDED_HEADER).and_then(|node| node.to_str().ok()).map(str::to_owned);
        if self.tokens.is_empty() {
            let tenant = TenantId::default();
            return Ok(Caller { tenant, name: String::new(), token: None, forwarded_by });
        }
        let presented = presented(headers).ok_or(ApiError::Unauthenticated("no token was given"))?;
        let token = self.find(presented).ok_or(ApiError::Unauthenticated("the token is not known"))?;
        if !token.role.allows(permission) {
            return Err(ApiError::Denied { role: token.role });
        }
        let (tenant, name) = (token.tenant.clone(), token.name.clone());
        Ok(Caller { tenant, name, token: Some(Secret::new(presented)), forwarded_by })
    }

    /// Compares in constant time, so that timing shows neither which token matches nor how much of it.
    fn find(&self, presented: &str) -> Option<&Token> {
        let hash: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
        let mut found = None;
        for token in &self.tokens {
            let differing = token.sha256.iter().zip(&hash).fold(0, |bits, (a, b)| bits | (a ^ b));
            if std::hint::black_box(differing) == 0 {
                found = Some(token);
            }
        }
        found
    }
}

fn presented(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let legacy = || headers.get(LEGACY_HEADER).and_then(|value| value.to_str().ok()).map(str::trim);
    bearer.or_else(legacy).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn authenticator() -> Authenticator {
        let token = |secret: &str, tenant: &str, role| Token {
            tenant: tenant.parse().unwrap(),
            role,
            name: secret.to_owned(),
            sha256: Sha256::digest(secret.as_bytes()).into(),
        };
        Authenticator::new(vec![
            token("one", "acme", Role::Recorder),
            token("two", "acme", Role::Viewer),
            token("three", "other", Role::Admin),
        ])
    }

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_known_token_names_its_tenant_in_either_header() {
        let auth = authenticator();
        for headers in [
            headers("authorization", "Bearer one"),
            headers("authorization", "bearer one"),
            headers("x-webitel-access", "one"),
        ] {
            let caller = auth.caller(&headers, Permission::Record).unwrap();
            assert_eq!(caller.tenant.as_str(), "acme");
        }
    }

    #[test]
    fn a_call_without_a_known_token_is_unauthenticated() {
        let auth = authenticator();
        for headers in [
            HeaderMap::new(),
            headers("authorization", "Bearer onee"),
            headers("authorization", "Basic one"),
            headers("authorization", "Bearer "),
            headers("x-webitel-access", ""),
        ] {
            let refused = auth.caller(&headers, Permission::View);
            assert!(matches!(refused, Err(ApiError::Unauthenticated(_))), "{headers:?}");
        }
    }

    #[test]
    fn a_viewer_may_view_and_not_record() {
        let auth = authenticator();
        let headers = headers("authorization", "Bearer two");
        assert!(auth.caller(&headers, Permission::View).is_ok());
        let refused = auth.caller(&headers, Permission::Record);
        assert!(matches!(refused, Err(ApiError::Denied { role: Role::Viewer })));
    }

    #[test]
    fn without_configured_tokens_every_caller_is_the_default_tenant() {
        let caller = Authenticator::default().caller(&HeaderMap::new(), Permission::Record).unwrap();
        assert_eq!(caller.tenant, TenantId::default());
    }

    #[test]
    fn a_callers_debug_text_does_not_show_the_token() {
        let headers = headers("authorization", "Bearer three");
        let caller = authenticator().caller(&headers, Permission::View).unwrap();
        assert!(!format!("{:?}", caller.token).contains("three"));
    }
}
