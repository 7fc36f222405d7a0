// What a WebSocket client sees of the echo: `node socket.js URL HOST CA`, JSON on standard output.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const { WebSocket } = require('ws');

const [url, host, ca] = process.argv.slice(2);
const FRAME = 1 << 20;
const FRAMES = 8;
const options = { headers: { Host: host }, servername: host,
                  ca: ca === '-' ? undefined : fs.readFileSync(ca) };

const open = (more = {}) => new Promise((resolve, reject) => {
  const socket = new WebSocket(url, { ...options, ...more });
  socket.once('open', () => resolve(socket));
  socket.once('error', reject);
});
const next = (socket, event) => new Promise((resolve) => socket.once(event, (...all) => resolve(all)));

async function echoes(socket, data) {
  const answer = next(socket, 'message');
  socket.send(data);
  const [got, binary] = await answer;
  return Buffer.compare(got, Buffer.from(data)) === 0 && binary === (typeof data !== 'string');
}

async function closedBy(text) {
  const socket = await open();
  const end = next(socket, 'close');
  socket.send(text);
  const [code, reason] = await end;
  return [code, reason.toString()];
}

async function main() {
  const seen = {};
  const socket = await open({ perMessageDeflate: false });
  seen.text = await echoes(socket, 'hellö');
  seen.frames = 0;
  for (let i = 0; i < FRAMES; ++i) {
    if (await echoes(socket, crypto.randomBytes(FRAME))) ++seen.frames;
  }
  socket.ping('are you there');
  seen.pong = (await next(socket, 'pong'))[0].toString();
  const end = next(socket, 'close');
  socket.close(1000, 'done');
  seen.closed = (await end)[0];
  const deflated = await open();
  seen.deflated = await echoes(deflated, 'x'.repeat(100000));
  deflated.terminate();
  seen.closedByServer = await closedBy('close 4001');
  seen.cut = await closedBy('cut');
  console.log(JSON.stringify(seen));
}
main().catch((error) => { console.error(error); process.exit(1); });
