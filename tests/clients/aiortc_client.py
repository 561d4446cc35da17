"""An independent WebRTC stack that sends the test signal: one JSON request a line on stdin, one response a line.

    {"do": "offer"}                  -> {"sdp": ...}
    {"do": "answer", "sdp": ...}     waits until the connection is up
    {"do": "stats"}                  -> {"frames": ..., "packets": ...}
    {"do": "close"}
"""

import asyncio
import fractions
import json
import math
import os
import sys
import time

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtcrtpsender import RTCRtpSender
from av import AudioFrame, VideoFrame

WIDTH, HEIGHT, RATE = 320, 240, 30
SAMPLES = 960


def cells(number):
    """The bar of testkit's `signal::picture`: white, black, 16 bits of the counter, 2 bits that count its ones."""
    bits = [1, 0] + [number >> bit & 1 for bit in range(15, -1, -1)]
    ones = sum(bits[2:])
    return bits + [ones >> 1 & 1, ones & 1]


class Paced(MediaStreamTrack):
    """Frames at the pace of their time: neither queued nor made up."""

    origin = None

    async def until(self, seconds):
        if Paced.origin is None:
            Paced.origin = time.monotonic()
        await asyncio.sleep(max(0, Paced.origin + seconds - time.monotonic()))


class Picture(Paced):
    kind = "video"

    def __init__(self):
        super().__init__()
        self.number = 0

    async def recv(self):
        number = self.number
        self.number += 1
        await self.until(number / RATE)
        top = HEIGHT - HEIGHT // 8
        if number % RATE == 0:
            above = bytes([235]) * WIDTH * top
        else:
            row = bytes(40 + (x + number * 2) // 16 % 8 * 12 for x in range(WIDTH))
            above = row * top
        bar = b"".join(bytes([235 if bit else 16]) * (WIDTH // 20) for bit in cells(number))
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        frame.planes[0].update(above + bar * (HEIGHT - top))
        for plane in frame.planes[1:]:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts, frame.time_base = number * 90000 // RATE, fractions.Fraction(1, 90000)
        return frame


class Beep(Paced):
    kind = "audio"

    def __init__(self):
        super().__init__()
        self.sample = 0

    async def recv(self):
        begin = self.sample
        self.sample += SAMPLES
        await self.until(begin / 48000)
        pcm = bytearray()
        for n in range(begin, begin + SAMPLES):
            within = n % 48000
            value = int(16000 * math.sin(2 * math.pi * 1000 * within / 48000)) if within < 4800 else 0
            pcm += value.to_bytes(2, "little", signed=True)
        frame = AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(bytes(pcm))
        frame.sample_rate, frame.pts, frame.time_base = 48000, begin, fractions.Fraction(1, 48000)
        return frame


class Client:
    def __init__(self):
        self.connection = RTCPeerConnection()
        self.picture = Picture()
        self.connection.addTransceiver(self.picture, direction="sendonly")
        self.connection.addTransceiver(Beep(), direction="sendonly")
        wanted = os.environ.get("CODEC")
        if wanted:
            codecs = RTCRtpSender.getCapabilities("video").codecs
            chosen = [codec for codec in codecs if codec.mimeType.lower() == wanted.lower()]
            self.connection.getTransceivers()[0].setCodecPreferences(chosen)

    async def offer(self, _request):
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return {"sdp": self.connection.localDescription.sdp}

    async def answer(self, request):
        await self.connection.setRemoteDescription(RTCSessionDescription(request["sdp"], "answer"))
        deadline = time.monotonic() + 10
        while self.connection.connectionState != "connected":
            if time.monotonic() > deadline:
                raise RuntimeError(f"connection is {self.connection.connectionState}")
            await asyncio.sleep(0.01)
        return {}

    async def stats(self, _request):
        report = await self.connection.getStats()
        packets = sum(row.packetsSent for row in report.values() if row.type == "outbound-rtp")
        return {"frames": self.picture.number, "packets": packets}

    async def close(self, _request):
        await self.connection.close()
        return {}


async def main():
    client = Client()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        try:
            response = {"ok": await getattr(client, request["do"])(request)}
        except Exception as error:  # The test reports it.
            response = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(response), flush=True)


asyncio.run(main())
