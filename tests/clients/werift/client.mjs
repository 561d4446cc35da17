// An independent WebRTC stack that sends coded clips: one JSON request a line on stdin, one response a line on stdout.
//
//   {"do":"offer"}                → {"sdp":…}
//   {"do":"answer","sdp":…}       waits until the connection is up, then plays
//   {"do":"stats"}                → {"packets":…}
//   {"do":"close"}
//
// VIDEO and AUDIO name the clips (VP8 in IVF, Opus in Ogg). ffmpeg packetizes them in real time.
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters } from 'werift';

const feedback = [{ type: 'nack' }, { type: 'nack', parameter: 'pli' }];
const connection = new RTCPeerConnection({
  bundlePolicy: 'max-bundle',
  codecs: {
    video: [new RTCRtpCodecParameters({ mimeType: 'video/VP8', clockRate: 90000, rtcpFeedback: feedback })],
    audio: [new RTCRtpCodecParameters({ mimeType: 'audio/opus', clockRate: 48000, channels: 2 })],
  },
});

let packets = 0;
const sources = [];

async function source(kind) {
  const track = new MediaStreamTrack({ kind });
  connection.addTransceiver(track, { direction: 'sendonly' });
  const socket = createSocket('udp4');
  await new Promise((ready) => socket.bind(0, '127.0.0.1', ready));
  socket.on('message', (packet) => {
    // RTCP of ffmpeg's own sender stays here: werift writes its own reports.
    if (packet[1] >= 200 && packet[1] < 207) return;
    packets += 1;
    track.writeRtp(packet);
  });
  sources.push({ socket });
}

// One process for both: what two of them are apart when they start would be between picture and sound.
function play() {
  const [video, audio] = sources.map(({ socket }) => `rtp://127.0.0.1:${socket.address().port}?pkt_size=1200`);
  const inputs = ['-re', '-i', process.env.VIDEO, '-re', '-i', process.env.AUDIO];
  const outputs = ['-map', '0:v', '-c', 'copy', '-f', 'rtp', video, '-map', '1:a', '-c', 'copy', '-f', 'rtp', audio];
  const ffmpeg = spawn('ffmpeg', ['-v', 'error', '-nostdin', ...inputs, ...outputs], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  process.on('exit', () => ffmpeg.kill('SIGKILL'));
}

const requests = {
  async offer() {
    await source('video');
    await source('audio');
    await connection.setLocalDescription(await connection.createOffer());
    return { sdp: connection.localDescription.sdp };
  },
  async answer({ sdp }) {
    await connection.setRemoteDescription({ type: 'answer', sdp });
    const deadline = Date.now() + 10000;
    while (connection.connectionState !== 'connected') {
      if (Date.now() > deadline) throw new Error(`connection is ${connection.connectionState}`);
      await new Promise((again) => setTimeout(again, 10));
    }
    play();
    return {};
  },
  async stats() {
    return { packets };
  },
  async close() {
    await connection.close();
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  let response;
  try {
    const request = JSON.parse(line);
    response = { ok: await requests[request.do](request) };
  } catch (error) {
    response = { error: String(error?.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(response)}\n`);
}
process.exit(0);
