#!/usr/bin/env python3
"""What wrk and h2load can't do, as one client of a proxy on this machine:

  https_client.py handshakes PORT HOST CA COUNT full|resumed   connections, one after the other
  https_client.py download PORT HOST CA PATH BYTES             one body
  https_client.py hold PORT HOST CA|- COUNT                    connections that wait after a
                          request, until standard input ends; prints "held" when all do

Ends with a message and 1 where an answer is not a good one. OpenSSL's own configuration file
(OPENSSL_CONF) says which ciphers are offered.
"""

import resource
import socket
import ssl
import sys

ANSWER_S = 20


def request(host, path='/', more=''):
    return f'GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n'.encode()


def open_connection(port, host, context, session=None):
    plain = socket.create_connection(('127.0.0.1', port), timeout=ANSWER_S)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname=host, session=session) if context else plain


def handshake(port, host, context, session):
    """One connection with one request; the session to go on with, and whether this was one."""
    with open_connection(port, host, context, session) as tls:
        tls.sendall(request(host, more='Connection: close\r\n'))
        answer = b''
        while chunk := tls.recv(4096):
            answer += chunk
        if b' 200 ' not in answer.splitlines()[0]:
            sys.exit(f'port {port} answers {answer[:200]!r}')
        return tls.session, tls.session_reused


def handshakes(port, host, context, count, kind):
    resumed = kind == 'resumed'
    session = handshake(port, host, context, None)[0] if resumed else None
    for _ in range(int(count)):
        following, reused = handshake(port, host, context, session)
        if reused != resumed:
            sys.exit(f'port {port}: session resumed: {reused}, wanted: {resumed}')
        session = following if resumed else None


def download(port, host, context, path, size):
    got = 0
    with open_connection(port, host, context) as tls:
        tls.sendall(request(host, path, 'Connection: close\r\n'))
        while chunk := tls.recv(1 << 20):
            got += len(chunk)
    if got < int(size):
        sys.exit(f'port {port}: {got} bytes of {size}')


def hold(port, host, context, count):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = []
    for _ in range(int(count)):
        held.append(open_connection(port, host, context))
        held[-1].sendall(request(host))
        if b' 200 ' not in held[-1].recv(4096):
            sys.exit(f'port {port}: no good answer on connection {len(held)}')
    print('held', flush=True)
    sys.stdin.read()


def main():
    what, port, host, trusted, *rest = sys.argv[1:]
    context = None
    if trusted != '-':
        context = ssl.create_default_context(cafile=trusted)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    {'handshakes': handshakes, 'download': download, 'hold': hold}[what](
        int(port), host, context, *rest)


if __name__ == '__main__':
    main()
