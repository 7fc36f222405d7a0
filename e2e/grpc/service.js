// The service that client.js calls and server.js serves: bytes as they are, no protobuf.
'use strict';

const asIs = (bytes) => bytes;
const method = (name, requestStream, responseStream) => ({
  path: `/perigee.Test/${name}`,
  requestStream,
  responseStream,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
});

module.exports = {
  definition: {
    Unary: method('Unary', false, false), // the same back
    Collect: method('Collect', true, false), // how many bytes came in all
    List: method('List', false, true), // the same three times
    Chat: method('Chat', true, true), // each message as it comes
    Hold: method('Hold', false, false), // no answer
    Cancelled: method('Cancelled', false, false), // how many of those were cancelled
    Refuse: method('Refuse', false, false), // NOT_FOUND, with metadata
  },
  options: {
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
  },
};
