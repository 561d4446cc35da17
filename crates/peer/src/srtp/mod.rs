//! SRTP and SRTCP (RFC 3711). No state is made for a source before it has authenticated.

use std::sync::Arc;

use bytes::BytesMut;
use rtc_crypto::RTCCryptoProvider;
use rtc_srtp::{
    config::{Config, SessionKeys},
    context::Context,
    option::{srtcp_replay_protection, srtp_replay_protection},
    protection_profile::ProtectionProfile,
};
use rtp::Ssrc;

use crate::header::Header;

/// RFC 3711 §3.3.2 asks for 64 at least; at 4 Mbit/s this is half a second of reordering.
const RTP_REPLAY_WINDOW: usize = 256;
const RTCP_REPLAY_WINDOW: usize = 128;
/// A probe makes a state for each source that it is shown, so it is replaced after this many.
const TRIES_PER_PROBE: u32 = 256;

/// A profile of RFC 5764 §4.1.2 or RFC 7714 §14.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SrtpProfile {
    Aes128CmSha1_80,
    AeadAes128Gcm,
    AeadAes256Gcm,
}

impl SrtpProfile {
    /// By the number in the use_srtp extension.
    pub(crate) fn from_id(id: u64) -> Option<Self> {
        match id {
            1 => Some(Self::Aes128CmSha1_80),
            7 => Some(Self::AeadAes128Gcm),
            8 => Some(Self::AeadAes256Gcm),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Aes128CmSha1_80 => "SRTP_AES128_CM_HMAC_SHA1_80",
            Self::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
        }
    }

    fn protection(self) -> ProtectionProfile {
        match self {
            Self::Aes128CmSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Self::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            Self::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        }
    }

    /// Bytes to export from DTLS: two keys and two salts (RFC 5764 §4.2).
    pub(crate) fn keying_material_length(self) -> usize {
        let profile = self.protection();
        2 * (profile.key_len() + profile.salt_len())
    }
}

/// Why a packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejected {
    Replayed,
    NotAuthentic,
}

pub(crate) struct Srtp {
    crypto: Arc<dyn RTCCryptoProvider>,
    profile: ProtectionProfile,
    keys: SessionKeys,
    inbound: Context,
    outbound: Context,
    probe: Option<(Context, u32)>,
    /// Sources whose RTCP was authentic once.
    rtcp_sources: Vec<Ssrc>,
    /// Reused for each packet. rtc-srtp reads only its ssrc, its sequence number and its size.
    header: rtc_rtp::Header,
}

impl std::fmt::Debug for Srtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Srtp").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Srtp {
    /// With the keying material of the DTLS session that we were the server of.
    pub(crate) fn new(
        profile: SrtpProfile,
        keying_material: &[u8],
        crypto: Arc<dyn RTCCryptoProvider>,
    ) -> Result<Self, String> {
        let profile = profile.protection();
        let mut config = Config { profile, ..Config::default() };
        config
            .set_session_keys_from_keying_material(keying_material, false)
            .map_err(|error| error.to_string())?;
        let keys = config.keys;
        let inbound = Context::new(
            &keys.remote_master_key,
            &keys.remote_master_salt,
            profile,
            Some(srtp_replay_protection(RTP_REPLAY_WINDOW)),
            Some(srtcp_replay_protection(RTCP_REPLAY_WINDOW)),
            crypto.crypto(),
        );
        let outbound = Context::new(
            &keys.local_master_key,
            &keys.local_master_salt,
            profile,
            None,
            None,
            crypto.crypto(),
        );
        Ok(Self {
            profile,
            inbound: inbound.map_err(|error| error.to_string())?,
            outbound: outbound.map_err(|error| error.to_string())?,
            probe: None,
            rtcp_sources: Vec::new(),
            header: rtc_rtp::Header { version: 2, ..Default::default() },
            keys,
            crypto,
        })
    }

    /// Whether a packet of an unknown source is authentic. Tried in the probe, a context that is soon replaced: the real
    /// one makes a state for each source that it is shown, never frees it, and positions its replay window by the first
    /// packet, authentic or not.
    pub(crate) fn is_authentic(&mut self, packet: &[u8], header: &Header<'_>) -> bool {
        self.set_header(header);
        let Some(probe) = renewed_probe(&mut self.probe, &self.keys, self.profile, &*self.crypto) else {
            return false;
        };
        probe.decrypt_rtp_with_header(packet, &self.header).is_ok()
    }

    /// Decrypts a packet of a source that has passed [`is_authentic`](Self::is_authentic). The header remains in front.
    pub(crate) fn decrypt_rtp(&mut self, packet: &[u8], header: &Header<'_>) -> Result<BytesMut, Rejected> {
        self.set_header(header);
        self.inbound.decrypt_rtp_with_header(packet, &self.header).map_err(|error| match error {
            rtc_shared::error::Error::SrtpSsrcDuplicated(..) => Rejected::Replayed,
            _ => Rejected::NotAuthentic,
        })
    }

    /// Decrypts a compound of a known source. The first one of each source is tried in the probe before.
    pub(crate) fn decrypt_rtcp(&mut self, packet: &[u8], ssrc: Ssrc) -> Result<BytesMut, Rejected> {
        if !self.rtcp_sources.contains(&ssrc) {
            renewed_probe(&mut self.probe, &self.keys, self.profile, &*self.crypto)
                .and_then(|probe| probe.decrypt_rtcp(packet).ok())
                .ok_or(Rejected::NotAuthentic)?;
            self.rtcp_sources.push(ssrc);
        }
        self.inbound.decrypt_rtcp(packet).map_err(|error| match error {
            rtc_shared::error::Error::SrtcpSsrcDuplicated(..) => Rejected::Replayed,
            _ => Rejected::NotAuthentic,
        })
    }

    pub(crate) fn encrypt_rtcp(&mut self, compound: &[u8]) -> Option<BytesMut> {
        self.outbound.encrypt_rtcp(compound).ok()
    }

    fn set_header(&mut self, header: &Header<'_>) {
        self.header.ssrc = header.ssrc.0;
        self.header.sequence_number = header.sequence_number;
        // Stands for contributing sources and extensions alike: only the size counts.
        self.header.csrc.resize((header.length - 12) / 4, 0);
    }
}

/// The probe for one more try, replaced after [`TRIES_PER_PROBE`].
fn renewed_probe<'a>(
    probe: &'a mut Option<(Context, u32)>,
    keys: &SessionKeys,
    profile: ProtectionProfile,
    crypto: &dyn RTCCryptoProvider,
) -> Option<&'a mut Context> {
    if probe.as_ref().is_none_or(|(_, tries)| *tries >= TRIES_PER_PROBE) {
        let (key, salt) = (&keys.remote_master_key, &keys.remote_master_salt);
        *probe =
            Context::new(key, salt, profile, None, None, crypto.crypto()).ok().map(|context| (context, 0));
    }
    let (context, tries) = probe.as_mut()?;
    *tries += 1;
    Some(context)
}

#[cfg(test)]
mod tests;
