use rtc_crypto::providers::RingProvider;

use super::*;

const PROFILES: [SrtpProfile; 3] =
    [SrtpProfile::Aes128CmSha1_80, SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm];

/// Our side, and a client's context for sending.
fn pair(profile: SrtpProfile) -> (Srtp, Context) {
    let crypto: Arc<dyn RTCCryptoProvider> = Arc::new(RingProvider::new());
    let material: Vec<u8> = (0..profile.keying_material_length()).map(|byte| byte as u8).collect();
    let mut config = Config { profile: profile.protection(), ..Config::default() };
    config.set_session_keys_from_keying_material(&material, true).unwrap();
    let keys = &config.keys;
    let client = Context::new(
        &keys.local_master_key,
        &keys.local_master_salt,
        profile.protection(),
        None,
        None,
        crypto.crypto(),
    );
    (Srtp::new(profile, &material, crypto).unwrap(), client.unwrap())
}

fn packet(sequence_number: u16) -> Vec<u8> {
    let mut packet = vec![0x91, 96];
    packet.extend(sequence_number.to_be_bytes());
    packet.extend([0, 0, 0, 1, 0, 0, 0, 7]);
    // A contributing source and an extension, so that the header's size counts.
    packet.extend([0, 0, 0, 9, 0xbe, 0xde, 0, 1, 0x10, 5, 0, 0]);
    packet.extend([0x5a; 30]);
    packet
}

#[test]
fn every_profile_decrypts_with_csrc_and_extension_across_the_wrap() {
    for profile in PROFILES {
        let (mut srtp, mut client) = pair(profile);
        for sequence_number in (65_500..=65_535).chain(0..50) {
            let plain = packet(sequence_number);
            let encrypted = client.encrypt_rtp(&plain).unwrap();
            let header = Header::parse(&encrypted).unwrap();
            assert_eq!(
                srtp.decrypt_rtp(&encrypted, &header).unwrap(),
                plain,
                "{profile:?} {sequence_number}"
            );
            assert_eq!(srtp.decrypt_rtp(&encrypted, &header), Err(Rejected::Replayed));
        }
    }
}

#[test]
fn a_change_of_any_byte_is_detected() {
    for profile in PROFILES {
        let (mut srtp, mut client) = pair(profile);
        let encrypted = client.encrypt_rtp(&packet(1)).unwrap();
        for index in 0..encrypted.len() {
            let mut changed = encrypted.to_vec();
            changed[index] ^= 1;
            if let Some(header) = Header::parse(&changed) {
                assert!(!srtp.is_authentic(&changed, &header), "{profile:?} byte {index}");
            }
        }
        assert!(srtp.is_authentic(&encrypted, &Header::parse(&encrypted).unwrap()));
    }
}

#[test]
fn short_packets_are_refused_by_every_profile() {
    for profile in PROFILES {
        let (mut srtp, mut client) = pair(profile);
        let encrypted = client.encrypt_rtp(&packet(1)).unwrap();
        for length in 0..encrypted.len() {
            if let Some(header) = Header::parse(&encrypted[..length]) {
                assert_eq!(srtp.decrypt_rtp(&encrypted[..length], &header), Err(Rejected::NotAuthentic));
            }
        }
        for length in 0..80 {
            assert_eq!(srtp.decrypt_rtcp(&vec![0x80; length], Ssrc(7)), Err(Rejected::NotAuthentic));
        }
    }
}
