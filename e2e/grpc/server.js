// A gRPC server as apps are: it listens on 0.0.0.0 without TLS, on the port given.
'use strict';

const grpc = require('@grpc/grpc-js');
const { definition, options } = require('./service.js');

let cancelled = 0;
const trailers = () => {
  const metadata = new grpc.Metadata();
  metadata.set('x-final', 'end');
  return metadata;
};

const server = new grpc.Server(options);
server.addService(definition, {
  Unary: (call, done) => done(null, call.request, trailers()),
  Collect: (call, done) => {
    let bytes = 0;
    call.on('data', (message) => { bytes += message.length; });
    call.on('end', () => done(null, Buffer.from(String(bytes))));
  },
  List: (call) => {
    for (let i = 0; i < 3; ++i) call.write(call.request);
    call.end();
  },
  Chat: (call) => {
    call.on('data', (message) => call.write(message));
    call.on('end', () => call.end());
  },
  Hold: (call) => call.on('cancelled', () => { ++cancelled; }),
  Cancelled: (call, done) => done(null, Buffer.from(String(cancelled))),
  Refuse: (call, done) => {
    const metadata = new grpc.Metadata();
    metadata.set('x-why', 'missing');
    done({ code: grpc.status.NOT_FOUND, details: 'nothing there: ä', metadata });
  },
});
const port = process.argv[2];
server.bindAsync(`0.0.0.0:${port}`, grpc.ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  console.log(`listening on ${port}`);
});
