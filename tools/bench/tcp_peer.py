#!/usr/bin/env python3
"""Both ends of a TCP proxy on this machine:

  tcp_peer.py serve PORT                    the server behind it. A connection's first byte says
                          what it wants: `p` to hear each message again, `b` eight bytes of a size,
                          then that many bytes
  tcp_peer.py pingpong PORT CONNECTIONS SECONDS   messages of 64 bytes, one at a time on each
                          connection; prints how many came back
  tcp_peer.py bulk PORT BYTES               takes so many bytes on one connection

Ends with a message and 1 where something is not as it should be.
"""

import contextlib
import selectors
import socket
import struct
import sys
import threading
import time

MESSAGE = b'x' * 64
PIECE = bytes(1 << 20)
ANSWER_S = 20


def answer(one):
    with one, contextlib.suppress(ConnectionError):  # a client ends when its time is up
        wish = one.recv(1)
        if wish == b'b':
            left = struct.unpack('>Q', one.recv(8, socket.MSG_WAITALL))[0]
            while left > 0:
                left -= one.send(PIECE[:left])
        while wish == b'p' and (message := one.recv(65536)):
            one.sendall(message)


def serve(port):
    with socket.create_server(('127.0.0.1', port), backlog=1024) as server:
        while True:
            one, _ = server.accept()
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=answer, args=(one,), daemon=True).start()


def connect(port, wish):
    one = socket.create_connection(('127.0.0.1', port), timeout=ANSWER_S)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    one.sendall(wish)
    return one


def pingpong(port, connections, seconds):
    waiting = selectors.DefaultSelector()
    for _ in range(connections):
        one = connect(port, b'p')
        one.sendall(MESSAGE)
        waiting.register(one, selectors.EVENT_READ)
    done, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in waiting.select(ANSWER_S):
            if key.fileobj.recv(65536) != MESSAGE:
                sys.exit(f'port {port}: not what was sent came back')
            key.fileobj.sendall(MESSAGE)
            done += 1
    print(done)


def bulk(port, size):
    got, buffer = 0, bytearray(1 << 20)
    with connect(port, b'b' + struct.pack('>Q', size)) as one:
        while count := one.recv_into(buffer):
            got += count
    if got != size:
        sys.exit(f'port {port}: {got} bytes of {size}')


def main():
    what, *numbers = sys.argv[1:]
    {'serve': serve, 'pingpong': pingpong, 'bulk': bulk}[what](*[int(each) for each in numbers])


if __name__ == '__main__':
    main()
