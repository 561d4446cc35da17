//! Offers as real clients write them, shortened in their codecs only.

/// Chromium: everything bundled, simulcast by rid, `a=ssrc` for the audio only, RED, a data channel.
pub(super) const CHROMIUM: &str = "v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS stream
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:8hhY
a=ice-pwd:asd88fgpdd777uzjYhagZg12
a=ice-options:trickle
a=fingerprint:sha-256 D1:2C:BE:AD:C4:F6:64:5C:25:16:11:9C:AF:E7:0F:73:79:36:4E:9C:1E:15:54:39:0C:06:8B:ED:96:86:00:39
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:stream audio
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:3510681183 cname:loqPWNg7JMmrFUnr
a=ssrc:3510681183 msid:stream audio
m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 104 107 108 109 114 98 99 45 46 124
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:8hhY
a=ice-pwd:asd88fgpdd777uzjYhagZg12
a=ice-options:trickle
a=fingerprint:sha-256 D1:2C:BE:AD:C4:F6:64:5C:25:16:11:9C:AF:E7:0F:73:79:36:4E:9C:1E:15:54:39:0C:06:8B:ED:96:86:00:39
a=setup:actpass
a=mid:1
a=extmap:14 urn:ietf:params:rtp-hdrext:toffset
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:13 urn:3gpp:video-orientation
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id
a=sendonly
a=msid:stream video
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:103 H264/90000
a=rtcp-fb:103 nack
a=rtcp-fb:103 nack pli
a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=rtpmap:104 rtx/90000
a=fmtp:104 apt=103
a=rtpmap:107 H264/90000
a=fmtp:107 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f
a=rtpmap:108 rtx/90000
a=fmtp:108 apt=107
a=rtpmap:109 H264/90000
a=fmtp:109 level-asymmetry-allowed=1;profile-level-id=42e01f
a=rtpmap:114 red/90000
a=rtpmap:98 VP9/90000
a=rtcp-fb:98 nack
a=fmtp:98 profile-id=0
a=rtpmap:99 rtx/90000
a=fmtp:99 apt=98
a=rtpmap:45 AV1/90000
a=fmtp:45 level-idx=5;profile=0;tier=0
a=rtpmap:46 rtx/90000
a=fmtp:46 apt=45
a=rtpmap:124 ulpfec/90000
a=rid:h send
a=rid:m send
a=rid:l send
a=simulcast:send h;m;l
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:8hhY
a=ice-pwd:asd88fgpdd777uzjYhagZg12
a=ice-options:trickle
a=fingerprint:sha-256 D1:2C:BE:AD:C4:F6:64:5C:25:16:11:9C:AF:E7:0F:73:79:36:4E:9C:1E:15:54:39:0C:06:8B:ED:96:86:00:39
a=setup:actpass
a=mid:2
a=sctp-port:5000
a=max-message-size:262144
";

/// Firefox: fingerprint and options at session level, candidates inside, ssrc for both, extmaps with a direction.
pub(super) const FIREFOX: &str = "v=0
o=mozilla...THIS_IS_SDPARTA-99.0 7312961284518093214 0 IN IP4 0.0.0.0
s=-
t=0 0
a=sendrecv
a=fingerprint:sha-256 D1:2C:BE:AD:C4:F6:64:5C:25:16:11:9C:AF:E7:0F:73:79:36:4E:9C:1E:15:54:39:0C:06:8B:ED:96:86:00:39
a=group:BUNDLE 0 1
a=ice-options:trickle
a=msid-semantic:WMS *
m=audio 54609 UDP/TLS/RTP/SAVPF 109 9 0 8 101
c=IN IP4 192.0.2.33
a=candidate:0 1 UDP 2122187007 9db57c0e-d11c-4d71-9c5c-6c4f1c9dbd3f.local 54609 typ host
a=candidate:1 1 TCP 2105458943 9db57c0e-d11c-4d71-9c5c-6c4f1c9dbd3f.local 9 typ host tcptype active
a=sendrecv
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=fmtp:101 0-15
a=ice-pwd:0e8c7d1e8e4d8f5b3f0a1d2c3b4a5f60
a=ice-ufrag:3f2e1d0c
a=mid:0
a=msid:{a} {b}
a=rtcp-mux
a=rtpmap:109 opus/48000/2
a=rtpmap:9 G722/8000/1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000/1
a=setup:actpass
a=ssrc:1234567 cname:{c}
m=video 0 UDP/TLS/RTP/SAVPF 120 124 121 125 126 127
c=IN IP4 0.0.0.0
a=bundle-only
a=sendrecv
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:7 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=fmtp:126 profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1
a=fmtp:120 max-fs=12288;max-fr=60
a=fmtp:124 apt=120
a=fmtp:121 max-fs=12288;max-fr=60
a=fmtp:125 apt=121
a=fmtp:127 apt=126
a=ice-pwd:0e8c7d1e8e4d8f5b3f0a1d2c3b4a5f60
a=ice-ufrag:3f2e1d0c
a=mid:1
a=msid:{a} {d}
a=rtcp-fb:* transport-cc
a=rtcp-fb:120 nack
a=rtcp-fb:120 nack pli
a=rtcp-fb:120 ccm fir
a=rtcp-fb:121 nack
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:120 VP8/90000
a=rtpmap:124 rtx/90000
a=rtpmap:121 VP9/90000
a=rtpmap:125 rtx/90000
a=rtpmap:126 H264/90000
a=rtpmap:127 rtx/90000
a=setup:actpass
a=ssrc:7654321 cname:{c}
a=ssrc:7654322 cname:{c}
a=ssrc-group:FID 7654321 7654322
";

/// aiortc: no rsize, no transport-cc, LF endings in some versions, two fingerprints more.
pub(super) const AIORTC: &str = "v=0
o=- 3912345678 3912345678 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0 1
a=msid-semantic:WMS *
m=audio 40000 UDP/TLS/RTP/SAVPF 96 0 8
c=IN IP4 192.0.2.44
a=sendrecv
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=mid:0
a=msid:aaa bbb
a=rtcp:9 IN IP4 0.0.0.0
a=rtcp-mux
a=ssrc:2000000001 cname:ccc
a=rtpmap:96 opus/48000/2
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=candidate:abc 1 udp 2130706431 192.0.2.44 40000 typ host
a=end-of-candidates
a=ice-ufrag:Vy3P
a=ice-pwd:8ODz3wTVlXAbfVTDRmKGUF
a=fingerprint:sha-512 00:11
a=fingerprint:sha-256 D1:2C:BE:AD:C4:F6:64:5C:25:16:11:9C:AF:E7:0F:73:79:36:4E:9C:1E:15:54:39:0C:06:8B:ED:96:86:00:39
a=setup:actpass
m=video 40000 UDP/TLS/RTP/SAVPF 97 98 99 100
c=IN IP4 192.0.2.44
a=sendrecv
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=mid:1
a=rtcp-mux
a=ssrc-group:FID 3000000001 3000000002
a=ssrc:3000000001 cname:ccc
a=ssrc:3000000002 cname:ccc
a=rtpmap:97 VP8/90000
a=rtcp-fb:97 nack
a=rtcp-fb:97 nack pli
a=rtcp-fb:97 goog-remb
a=rtpmap:98 rtx/90000
a=fmtp:98 apt=97
a=rtpmap:99 H264/90000
a=rtcp-fb:99 nack
a=fmtp:99 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=rtpmap:100 rtx/90000
a=fmtp:100 apt=99
a=ice-ufrag:Vy3P
a=ice-pwd:8ODz3wTVlXAbfVTDRmKGUF
a=fingerprint:sha-256 D1:2C:BE:AD:C4:F6:64:5C:25:16:11:9C:AF:E7:0F:73:79:36:4E:9C:1E:15:54:39:0C:06:8B:ED:96:86:00:39
a=setup:actpass
";

/// GStreamer's webrtcbin: lowercase names, spaces in fmtp, no extmap, ssrc with a group of its own.
pub(super) const GSTREAMER: &str = "v=0
o=- 5871234098123 0 IN IP4 0.0.0.0
s=-
t=0 0
a=ice-options:trickle
a=group:BUNDLE video0
m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=setup:actpass
a=ice-ufrag:uV1zJ4dG
a=ice-pwd:4qKfEKqZg2gqyS5BrCTRqVJ1Z2o3w4Ab
a=rtcp-mux
a=rtcp-rsize
a=sendonly
a=rtpmap:96 h264/90000
a=rtcp-fb:96 nack pli
a=framerate:30
a=fmtp:96 packetization-mode=1; profile-level-id=42c01f; sprop-parameter-sets=Z0LAH9oBQBbpUgAAAwACAAADAHkeMGVA,aM48gA==
a=ssrc:1804289383 msid:user@host webrtctransceiver0
a=ssrc:1804289383 cname:user@host
a=mid:video0
a=fingerprint:sha-256 d1:2c:be:ad:c4:f6:64:5c:25:16:11:9c:af:e7:0f:73:79:36:4e:9c:1e:15:54:39:0c:06:8b:ed:96:86:00:39
a=rtcp-mux-only
";

/// libdatachannel without addSSRC: neither msid nor ssrc; session-level setup, ICE and fingerprint.
pub(super) const LIBDATACHANNEL: &str = "v=0
o=rtc 3767197920 0 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE video data
a=group:LS video data
a=msid-semantic:WMS *
a=setup:actpass
a=ice-ufrag:ABCD
a=ice-pwd:abcdefghijklmnopqrstuv
a=ice-options:ice2,trickle
a=fingerprint:sha-256 D1:2C:BE:AD:C4:F6:64:5C:25:16:11:9C:AF:E7:0F:73:79:36:4E:9C:1E:15:54:39:0C:06:8B:ED:96:86:00:39
m=video 9 UDP/TLS/RTP/SAVPF 102
c=IN IP4 0.0.0.0
a=mid:video
a=sendonly
a=rtcp-mux
a=rtpmap:102 H264/90000
a=rtcp-fb:102 nack
a=rtcp-fb:102 nack pli
a=rtcp-fb:102 goog-remb
a=fmtp:102 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:data
a=sendrecv
a=sctp-port:5000
a=max-message-size:262144
";

/// Safari: many H264 profiles, HEVC, an audio section that only receives.
pub(super) const SAFARI: &str = "v=0
o=- 3324127893812 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:S1fa
a=ice-pwd:asd88fgpdd777uzjYhagZg12
a=fingerprint:sha-256 D1:2C:BE:AD:C4:F6:64:5C:25:16:11:9C:AF:E7:0F:73:79:36:4E:9C:1E:15:54:39:0C:06:8B:ED:96:86:00:39
a=setup:actpass
a=mid:0
a=recvonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100
c=IN IP4 0.0.0.0
a=ice-ufrag:S1fa
a=ice-pwd:asd88fgpdd777uzjYhagZg12
a=fingerprint:sha-256 D1:2C:BE:AD:C4:F6:64:5C:25:16:11:9C:AF:E7:0F:73:79:36:4E:9C:1E:15:54:39:0C:06:8B:ED:96:86:00:39
a=setup:actpass
a=mid:1
a=extmap:3 urn:3gpp:video-orientation
a=sendrecv
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 H264/90000
a=rtcp-fb:96 nack
a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:98 H265/90000
a=fmtp:98 level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST
a=rtpmap:99 rtx/90000
a=fmtp:99 apt=98
a=rtpmap:100 VP8/90000
";

pub(super) const ALL: [(&str, &str); 6] = [
    ("chromium", CHROMIUM),
    ("firefox", FIREFOX),
    ("aiortc", AIORTC),
    ("gstreamer", GSTREAMER),
    ("libdatachannel", LIBDATACHANNEL),
    ("safari", SAFARI),
];
