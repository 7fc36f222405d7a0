// Calls of every kind, as a user makes them; prints what came of them as JSON.
//
//   node client.js ADDRESS HOST CA-FILE|- CALLS LARGE-BYTES
'use strict';

const fs = require('fs');
const grpc = require('@grpc/grpc-js');
const { definition, options } = require('./service.js');

const [address, host, caFile, calls, largeBytes] = process.argv.slice(2);
const credentials = caFile === '-'
  ? grpc.credentials.createInsecure()
  : grpc.credentials.createSsl(fs.readFileSync(caFile));
const clientFor = (name) => new (grpc.makeGenericClientConstructor(definition, 'Test'))(
  address, credentials, {
    ...options,
    'grpc.default_authority': name,
    'grpc.ssl_target_name_override': host,
  });
const client = clientFor(host);
const within = (seconds) => ({ deadline: new Date(Date.now() + seconds * 1000) });
const kPatience = 120;

// {code, details, bytes, trailer} of a call with one answer.
const one = (name, request, callOptions = within(kPatience), by = client) =>
  new Promise((resolve) => {
    let trailer = '';
    const call = by[name](request, callOptions, (error, response) => {
      setImmediate(() => resolve({
        code: error ? error.code : 0,
        details: error ? error.details : '',
        why: error && error.metadata ? String(error.metadata.get('x-why')) : '',
        bytes: response,
        trailer,
      }));
    });
    call.on('status', (status) => { trailer = String(status.metadata.get('x-final')); });
  });

const collect = (messages) => new Promise((resolve, reject) => {
  const call = client.Collect(within(kPatience), (error, response) =>
    error ? reject(error) : resolve(String(response)));
  for (const message of messages) call.write(Buffer.from(message));
  call.end();
});

const list = (text) => new Promise((resolve, reject) => {
  const all = [];
  const call = client.List(Buffer.from(text), within(kPatience));
  call.on('data', (message) => all.push(String(message)));
  call.on('error', reject);
  call.on('end', () => resolve(all));
});

// Each message is sent when the one before has come back.
const chat = (rounds) => new Promise((resolve, reject) => {
  const all = [];
  const call = client.Chat(within(kPatience));
  call.on('error', reject);
  call.on('data', (message) => {
    all.push(String(message));
    if (all.length === rounds) call.end();
    else call.write(Buffer.from(String(all.length)));
  });
  call.on('end', () => resolve(all));
  call.write(Buffer.from('0'));
});

const cancel = () => new Promise((resolve) => {
  const call = client.Hold(Buffer.alloc(0), within(kPatience), (error) => resolve(error.code));
  setTimeout(() => call.cancel(), 500);
});

const cancelledAtServer = async () => {
  for (let i = 0; i < 100; ++i) {
    const answer = await one('Cancelled', Buffer.alloc(0));
    if (Number(String(answer.bytes)) > 0) return Number(String(answer.bytes));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return 0;
};

// So many at a time; how many came back as they were.
const many = async (count) => {
  let next = 0;
  let right = 0;
  const worker = async () => {
    while (next < count) {
      const text = `call ${next++}`;
      const answer = await one('Unary', Buffer.from(text));
      if (answer.code === 0 && String(answer.bytes) === text) ++right;
    }
  };
  await Promise.all(Array.from({ length: 20 }, worker));
  return right;
};

const main = async () => {
  const out = {};
  const unary = await one('Unary', Buffer.from('hello'));
  out.unary = { code: unary.code, text: String(unary.bytes), trailer: unary.trailer };
  out.collect = await collect(['a', 'bc', 'def']);
  out.list = await list('x');
  out.chat = await chat(5);
  const refused = await one('Refuse', Buffer.alloc(0));
  out.refused = { code: refused.code, details: refused.details, why: refused.why };
  out.cancel = await cancel();
  out.cancelledAtServer = await cancelledAtServer();
  const late = await one('Hold', Buffer.alloc(0), within(1));
  out.deadline = late.code;
  if (Number(calls) > 0) out.many = await many(Number(calls));
  if (Number(largeBytes) > 0) {
    const large = Buffer.alloc(Number(largeBytes), 'm');
    const answer = await one('Unary', large);
    out.large = { code: answer.code, same: answer.code === 0 && answer.bytes.equals(large) };
  }
  if (caFile === '-') {
    const nobody = await one('Unary', Buffer.alloc(0), within(kPatience), clientFor('nobody.localhost'));
    out.nobody = { code: nobody.code, details: nobody.details };
  }
  console.log(JSON.stringify(out));
  client.close();
  process.exit(0);
};

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
