// Drives headless Chromium for a test: one JSON request a line on stdin, one JSON response a line on stdout.
//
//   {"do":"open","page":"a","options":{…}}    a new page with its camera and microphone, or with the test signal
//   {"do":"offer","page":"a"}                 → {"sdp":…}, complete, also after a renegotiation
//   {"do":"answer","page":"a","sdp":…}        waits until the connection is up
//   {"do":"addVideo","page":"a"}              a second video track; an offer must follow
//   {"do":"removeVideo","page":"a"}           stops sending the track added last; an offer must follow
//   {"do":"stats","page":"a"}                 what the page has sent, and its bitrates since it was opened
//   {"do":"close","page":"a"}                 closes the peer connection
//
// Options of a page: source "fake" (the browser's own devices) or "signal"; codec, a MIME type as "video/VP8";
// maxBitrate in bit/s; simulcast true; width, height, frameRate.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const page = await readFile(new URL('page.html', import.meta.url));
const server = createServer((_request, response) => {
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end(page);
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
// Pages of 127.0.0.1 are a secure context, without which there is no getUserMedia.
const origin = `http://127.0.0.1:${server.address().port}/`;
const profile = await mkdtemp(join(tmpdir(), 'chromium-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  args: [
    '--no-sandbox',
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
    '--allow-loopback-in-peer-connection',
    '--autoplay-policy=no-user-gesture-required',
    '--disable-features=WebRtcHideLocalIpsWithMdns',
    '--disable-renderer-backgrounding',
    '--disable-background-timer-throttling',
    '--disable-backgrounding-occluded-windows',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});

const pages = new Map();

async function handle(request) {
  if (request.do === 'open') {
    const opened = await context.newPage();
    await opened.goto(origin);
    await opened.evaluate((options) => window.open_(options), request.options ?? {});
    pages.set(request.page, opened);
    return { version: context.browser()?.version() ?? 'unknown' };
  }
  const opened = pages.get(request.page);
  if (!opened) throw new Error(`no page ${request.page}`);
  const result = await opened.evaluate((asked) => window.handle_(asked), request);
  if (request.do === 'close') {
    await opened.close();
    pages.delete(request.page);
  }
  return result;
}

for await (const line of createInterface({ input: process.stdin })) {
  let response;
  try {
    response = { ok: await handle(JSON.parse(line)) };
  } catch (error) {
    response = { error: String(error?.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(response)}\n`);
}
await context.close();
server.close();
await rm(profile, { recursive: true, force: true });
