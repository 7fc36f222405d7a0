"""When an address sends its first byte of HTTP. The same impatient client for every subject: an
attempt that gets no answer is dropped after a few milliseconds and made anew, so that none waits
for TCP's one-second retransmission."""

import contextlib
import errno
import select
import socket
import time

ATTEMPT_S = 0.010
PAUSE_S = 0.001
ANSWER_S = 3


def connected(address, port):
    """A connected socket, or None."""
    sock = socket.socket()
    sock.setblocking(False)
    error = sock.connect_ex((address, port))
    if error == errno.EINPROGRESS and select.select([], [sock], [], ATTEMPT_S)[1]:
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error == 0:
        return sock
    sock.close()
    if error != errno.EINPROGRESS:
        time.sleep(PAUSE_S)
    return None


def wait_for_first_byte(address, port, seconds):
    """time.monotonic() of the first byte."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sock = connected(address, port)
        if sock is None:
            continue
        with contextlib.closing(sock), contextlib.suppress(OSError):
            sock.settimeout(ANSWER_S)
            sock.sendall(b'GET / HTTP/1.0\r\n\r\n')
            if sock.recv(1):
                return time.monotonic()
    raise SystemExit(f'{address}:{port}: no answer within {seconds} s')
