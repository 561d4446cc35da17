//! Our certificate: self-signed, known to the client by its fingerprint alone (RFC 8122).

use openssl::{
    asn1::Asn1Time,
    bn::{BigNum, MsbOption},
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{X509, X509Name, X509Ref},
};

/// Longer than any process runs. Clients do not check it.
const VALIDITY_DAYS: u32 = 3650;
/// Subject and issuer. Clients do not check it.
const COMMON_NAME: &str = "WebRTC";

pub(super) struct Identity {
    pub(super) certificate: X509,
    pub(super) key: PKey<Private>,
}

impl Identity {
    /// ECDSA with P-256, which RFC 8827 §6.5 makes every client support.
    pub(super) fn generate() -> Result<Self, ErrorStack> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
        let mut name = X509Name::builder()?;
        name.append_entry_by_text("CN", COMMON_NAME)?;
        let name = name.build();
        let mut serial = BigNum::new()?;
        serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        let serial = serial.to_asn1_integer()?;
        builder.set_serial_number(&serial)?;
        builder.set_subject_name(&name)?;
        builder.set_issuer_name(&name)?;
        builder.set_pubkey(&key)?;
        let (begin, end) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(VALIDITY_DAYS)?);
        builder.set_not_before(&begin)?;
        builder.set_not_after(&end)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Ok(Self { certificate: builder.build(), key })
    }
}

/// The SHA-256 of a certificate.
pub(super) fn fingerprint(certificate: &X509Ref) -> Result<[u8; 32], ErrorStack> {
    let digest = certificate.digest(MessageDigest::sha256())?;
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.get(..32).unwrap_or(&[0; 32]));
    Ok(bytes)
}
