#!/usr/bin/env python3
"""Records a moving test picture and a tone on a running recorder, as a browser would: a client of 120 lines.

    ./dev demo                          # or: pip install aiortc, then python3 examples/record.py
    ./dev demo --seconds 30 --url https://recorder.example --token "$TOKEN"

It sends an SDP offer to the JSON route of WebRTCService, media by WebRTC, and stops the recording.
"""

import argparse
import asyncio
import fractions
import json
import math
import os
import pathlib
import struct
import sys
import time
import urllib.error
import urllib.request

from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame, VideoFrame

WIDTH, HEIGHT, FRAME_RATE = 640, 360, 30
SAMPLE_RATE, SAMPLES = 48000, 960  # 20 ms


class Picture(MediaStreamTrack):
    """Grey bars that move to the right, in planar 4:2:0."""

    kind = "video"

    def __init__(self, start):
        super().__init__()
        self.start, self.number = start, 0
        bars = bytes(40 + x // 40 % 8 * 24 for x in range(2 * WIDTH))
        self.rows = [bars[shift : shift + WIDTH] * HEIGHT for shift in range(320)]

    async def recv(self):
        number, self.number = self.number, self.number + 1
        await asyncio.sleep(max(0, self.start + number / FRAME_RATE - time.monotonic()))
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        frame.planes[0].update(self.rows[-4 * number % 320])
        for plane in frame.planes[1:]:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts, frame.time_base = number * 90000 // FRAME_RATE, fractions.Fraction(1, 90000)
        return frame


class Tone(MediaStreamTrack):
    """440 Hz, in blocks of 20 ms."""

    kind = "audio"

    def __init__(self, start):
        super().__init__()
        self.start, self.sample = start, 0

    async def recv(self):
        first, self.sample = self.sample, self.sample + SAMPLES
        await asyncio.sleep(max(0, self.start + first / SAMPLE_RATE - time.monotonic()))
        tone = (int(8000 * math.sin(math.tau * 440 * n / SAMPLE_RATE)) for n in range(first, first + SAMPLES))
        frame = AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(struct.pack(f"<{SAMPLES}h", *tone))
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, first, fractions.Fraction(1, SAMPLE_RATE)
        return frame


def call(options, method, path="", body=None):
    """One call of WebRTCService by its JSON route."""
    headers = {"content-type": "application/json"}
    if options.token:
        headers["authorization"] = f"Bearer {options.token}"
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"{options.url}/webrtc/video{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        sys.exit(f"the recorder refused: {error.code} {error.read().decode()}")
    except urllib.error.URLError as error:
        sys.exit(f"no recorder answers on {options.url} ({error.reason}); start one with ./dev run")


async def record(options):
    connection = RTCPeerConnection()
    start = time.monotonic()
    connection.addTransceiver(Picture(start), direction="sendonly")
    connection.addTransceiver(Tone(start), direction="sendonly")
    await connection.setLocalDescription(await connection.createOffer())

    offer = {"sdpOffer": connection.localDescription.sdp, "name": options.name}
    answer = await asyncio.to_thread(call, options, "POST", "", offer)
    recording = answer["id"]
    print(f"recording {recording} for {options.seconds:g} s …", flush=True)
    await connection.setRemoteDescription(RTCSessionDescription(answer["sdpAnswer"], "answer"))
    await asyncio.sleep(options.seconds)

    # Returns when the file is complete on the recorder's disk and its row is committed.
    await asyncio.to_thread(call, options, "DELETE", f"/{recording}")
    await connection.close()
    print("stopped. Look at it with:")
    print(f"""  grpcurl -plaintext -d '{{"id": "{recording}"}}' localhost:50011 recorder.v1.RecordingService/GetRecording""")
    show_file(recording)


def show_file(recording):
    """With the embedded default the object is a file on this machine."""
    state = os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local/state"
    objects = pathlib.Path(state) / "webrtc-recorder/objects"
    for _ in range(50):
        for file in objects.glob(f"records/*/*/*/{recording}.webm"):
            return print(f"  ffplay {file}   # {file.stat().st_size:,} bytes; any browser plays it, too")
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://localhost:8080", help="the recorder's HTTP port (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10, help="how long to record (default: %(default)s)")
    parser.add_argument("--name", default="demo", help="the recording's name (default: %(default)s)")
    parser.add_argument("--token", help="sent as `authorization: Bearer …`")
    asyncio.run(record(parser.parse_args()))


main()
