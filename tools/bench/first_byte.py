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
ROUND_S = 0.020  # of asking many addresses
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


def answers(address, port):
    """Whether one attempt brings a byte."""
    sock = connected(address, port)
    if sock is None:
        return False
    with contextlib.closing(sock), contextlib.suppress(OSError):
        sock.settimeout(ANSWER_S)
        sock.sendall(b'GET / HTTP/1.0\r\n\r\n')
        return bool(sock.recv(1))
    return False


def wait_for_first_byte(address, port, seconds):
    """time.monotonic() of the first byte."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answers(address, port):
            return time.monotonic()
    raise SystemExit(f'{address}:{port}: no answer within {seconds} s')


def wait_for_all(addresses, port, seconds):
    """time.monotonic() of the last of their first bytes."""
    end = time.monotonic() + seconds
    waiting = set(addresses)
    while waiting:
        if time.monotonic() > end:
            raise SystemExit(f'{sorted(waiting)}: no answer on port {port} within {seconds} s')
        began = time.monotonic()
        waiting -= {address for address in sorted(waiting) if answers(address, port)}
        time.sleep(max(0.0, began + ROUND_S - time.monotonic()))
    return time.monotonic()
