#!/usr/bin/env python3
"""A server as apps are, for routers that a file configures: answers.py NAME ADDRESS PORT

GET and POST are answered with its name, after the seconds that /after/SECONDS names; an Upgrade to
websocket is taken, and what comes then is sent back as it is.
"""

import http.server
import re
import sys
import time

PIECE = 4096


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        if self.headers.get('Upgrade', '').lower() == 'websocket':
            return self.echo()
        self.rfile.read(int(self.headers.get('Content-Length', 0)))
        pause = re.fullmatch(r'/after/([0-9.]+)', self.path)
        if pause:
            time.sleep(float(pause[1]))
        body = self.server.named.encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        return self.wfile.write(body)

    do_POST = do_GET

    def echo(self):
        self.send_response(101)
        self.send_header('Connection', 'Upgrade')
        self.send_header('Upgrade', 'websocket')
        self.send_header('Sec-WebSocket-Accept', 'accepted')
        self.end_headers()
        self.close_connection = True
        while piece := self.connection.recv(PIECE):
            self.connection.sendall(piece)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *request):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client may go
            super().handle_error(*request)


def main():
    name, address, port = sys.argv[1:]
    with Server((address, int(port)), Answers) as server:
        server.named = name
        print(f'listening on {port}', flush=True)
        server.serve_forever()


if __name__ == '__main__':
    main()
