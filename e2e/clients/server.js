// A web app as clients find them: a page with a script that asks for data and opens a WebSocket,
// which echoes, and tells on standard output what the script saw. `node server.js PORT`.
'use strict';
const http = require('http');
const { WebSocketServer } = require('ws');

const PAGE = `<!doctype html><title>a page</title>
<script>
(async () => {
  const said = [];
  said.push(await (await fetch('/data')).text());
  said.push(performance.getEntriesByName(new URL('/data', location).href)[0].nextHopProtocol);
  const socket = new WebSocket(location.href.replace(/^http/, 'ws'));
  socket.onopen = () => socket.send('hello over a socket');
  socket.onmessage = (event) => {
    said.push(event.data);
    socket.close();
    fetch('/said', { method: 'POST', body: said.join(', ') });
  };
})();
</script>`;

const server = http.createServer((request, response) => {
  if (request.url === '/data') return response.end('data');
  if (request.url === '/said') {
    request.on('data', (said) => console.log(`the page says: ${said}`));
    return request.on('end', () => response.end());
  }
  response.setHeader('Content-Type', 'text/html');
  response.end(PAGE);
});

new WebSocketServer({ server, maxPayload: 64 << 20 }).on('connection', (socket) => {
  socket.on('message', (data, binary) => {
    if (!binary && data.toString() === 'close 4001') return socket.close(4001, 'as asked');
    if (!binary && data.toString() === 'cut') return socket.terminate();
    socket.send(data, { binary });
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('listening'));
