//! Safe wrappers for the calls of libssl 3 that the `openssl` crate doesn't offer. The only unsafe code of this crate.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_long, c_uint, c_void};

use foreign_types::ForeignTypeRef;
use openssl::ssl::{SslContextBuilder, SslRef};

use super::MTU;

/// `SSL_CTRL_SET_MAX_CERT_LIST` of ssl.h.
const SET_MAX_CERT_LIST: c_int = 51;
/// `SSL_CTRL_SET_MAX_SEND_FRAGMENT` of ssl.h.
const SET_MAX_SEND_FRAGMENT: c_int = 52;
/// The largest chain of certificates that is accepted, in bytes. A client has one self-signed certificate.
const MAX_CERT_LIST: c_long = 8192;
/// An hour in microseconds, the longest that fits. Every handshake's deadline is earlier, so the timer never fires.
const NEVER: c_uint = 3_600_000_000;

type VerifyCallback = extern "C" fn(*mut c_void, *mut c_void) -> c_int;
type TimerCallback = extern "C" fn(*mut openssl_sys::SSL, c_uint) -> c_uint;

unsafe extern "C" {
    fn DTLS_set_timer_cb(ssl: *mut openssl_sys::SSL, callback: Option<TimerCallback>);
    fn SSL_CTX_set_cert_verify_callback(
        context: *mut openssl_sys::SSL_CTX,
        callback: Option<VerifyCallback>,
        argument: *mut c_void,
    );
}

extern "C" fn accept_certificate(_store: *mut c_void, _argument: *mut c_void) -> c_int {
    1
}

extern "C" fn never(_ssl: *mut openssl_sys::SSL, _previous: c_uint) -> c_uint {
    NEVER
}

/// Bounds the memory that a client can make libssl use, and the records that we send.
pub(super) fn limit_sizes(context: &mut SslContextBuilder) {
    // SAFETY: the pointer is of a live context that is borrowed mutably for the call; both controls take a number and
    // no pointer.
    unsafe {
        openssl_sys::SSL_CTX_ctrl(context.as_ptr(), SET_MAX_CERT_LIST, MAX_CERT_LIST, std::ptr::null_mut());
        openssl_sys::SSL_CTX_ctrl(
            context.as_ptr(),
            SET_MAX_SEND_FRAGMENT,
            c_long::from(MTU as c_int),
            std::ptr::null_mut(),
        );
    }
}

/// Accepts any certificate without building a chain from it. The fingerprint is compared afterwards.
pub(super) fn accept_any_certificate(context: &mut SslContextBuilder) {
    // SAFETY: the pointer is of a live context that is borrowed mutably for the call; the callback is a plain function
    // that touches neither of its arguments, for as long as the program runs.
    unsafe {
        SSL_CTX_set_cert_verify_callback(context.as_ptr(), Some(accept_certificate), std::ptr::null_mut());
    }
}

/// Disables libssl's own resend timer, which reads the system's clock. [`Flight`](super::Flight) resends.
pub(super) fn disable_timer(ssl: &mut SslRef) {
    // SAFETY: the pointer is of a live session that is borrowed mutably for the call; the callback is a plain function
    // that touches neither of its arguments, for as long as the program runs.
    unsafe { DTLS_set_timer_cb(ssl.as_ptr(), Some(never)) }
}

/// The first release of the 3.0 series whose DTLS doesn't buffer records of a future epoch without bound
/// (CVE-2026-54874). Distributions add later fixes (CVE-2026-75806, CVE-2026-84782) under the same version number, so an
/// outdated package can't always be recognized.
const FIXED: u64 = 0x3000_0160;

/// The version of the libssl in use, as it states it: `OpenSSL 3.0.22 25 Aug 2026`.
#[must_use]
pub fn openssl_version() -> String {
    openssl::version::version().to_owned()
}

/// Whether the libssl in use is of the 3.0 series and older than its known DTLS fixes. The filter stops those attacks, but
/// a warning is due.
#[must_use]
pub fn openssl_predates_dtls_fixes() -> bool {
    predates_fixes(openssl::version::number() as u64)
}

/// `0xMNN00PP0`: major, minor, patch.
fn predates_fixes(number: u64) -> bool {
    number < FIXED
}

#[cfg(test)]
mod tests {
    use super::predates_fixes;

    #[test]
    fn releases_before_3_0_22_lack_a_fix() {
        assert!(predates_fixes(0x3000_0150));
        assert!(!predates_fixes(0x3000_0160));
        assert!(!predates_fixes(0x3050_0000));
    }
}
