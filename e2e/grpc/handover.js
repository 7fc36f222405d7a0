// Calls, streams and requests of HTTP/2 one after the other for some seconds, as clients make them
// that go on elsewhere when they are told to; counts what went wrong, as JSON.
//
//   node handover.js ADDRESS CALLS-HOST PAGES-HOST CA-FILE SECONDS
'use strict';

const fs = require('fs');
const http2 = require('http2');
const grpc = require('@grpc/grpc-js');
const { definition, options } = require('./service.js');

const [address, callsHost, pagesHost, caFile, seconds] = process.argv.slice(2);
const ca = fs.readFileSync(caFile);
const end = Date.now() + Number(seconds) * 1000;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const kStreamRounds = 20;
const kPauseMs = 50;

const client = new (grpc.makeGenericClientConstructor(definition, 'Test'))(
  address, grpc.credentials.createSsl(ca), {
    ...options,
    'grpc.default_authority': callsHost,
    'grpc.ssl_target_name_override': callsHost,
  });
const deadline = () => ({ deadline: new Date(Date.now() + 30000) });

const unary = (text) => new Promise((resolve, reject) => {
  client.Unary(Buffer.from(text), deadline(), (error, answer) => {
    if (error) reject(error);
    else if (String(answer) !== text) reject(new Error(`'${answer}' for '${text}'`));
    else resolve();
  });
});

// Open for a second; each message comes back before the next is sent.
const stream = () => new Promise((resolve, reject) => {
  const call = client.Chat(deadline());
  let rounds = 0;
  call.on('error', reject);
  call.on('end', () => rounds === kStreamRounds
    ? resolve() : reject(new Error(`ended after ${rounds} messages`)));
  call.on('data', (message) => {
    if (String(message) !== String(rounds)) reject(new Error(`'${message}' in round ${rounds}`));
    ++rounds;
    if (rounds === kStreamRounds) call.end();
    else setTimeout(() => call.write(Buffer.from(String(rounds))), kPauseMs);
  });
  call.write(Buffer.from('0'));
});

let session = null;
const connected = () => {
  if (session === null || session.closed || session.destroyed) {
    const made = http2.connect(`https://${address}`, { ca, servername: pagesHost });
    made.on('error', () => {}); // its requests tell
    made.on('goaway', () => { if (session === made) session = null; });
    session = made;
  }
  return session;
};
const page = () => new Promise((resolve, reject) => {
  const request = connected().request({ ':path': '/after/0.02', ':authority': pagesHost });
  let status = 0;
  let length = 0;
  request.on('response', (headers) => { status = headers[':status']; });
  request.on('data', (piece) => { length += piece.length; });
  request.on('error', reject);
  request.on('end', () => status === 200 && length > 0
    ? resolve() : reject(new Error(`status ${status}, ${length} bytes`)));
  request.end();
});

const repeat = async (what) => {
  const counted = { done: 0, failed: [] };
  const begun = Date.now();
  while (Date.now() < end) {
    try {
      await what(`call ${counted.done}`);
      ++counted.done;
    } catch (error) {
      counted.failed.push(`after ${Date.now() - begun} ms: ${error}`);
    }
    await pause(10);
  }
  return counted;
};

// Never ended by its client: {ms} until it is cut.
const endless = () => new Promise((resolve) => {
  const begun = Date.now();
  const call = client.Chat();
  call.on('data', () => {});
  call.on('error', () => resolve({ ms: Date.now() - begun }));
  call.write(Buffer.from('x'));
});

const main = async () => {
  const held = endless();
  const [unaries, streams, pages] = await Promise.all([repeat(unary), repeat(stream), repeat(page)]);
  console.log(JSON.stringify({ unaries, streams, pages, held: await held }));
  process.exit(0);
};

main();
