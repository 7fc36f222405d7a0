"""An internet in a network namespace, behind a veth: servers with public addresses, for machines to
reach through the host. Used as a program it is those servers: internet.py ADDRESS….

TCP servers say who they think has connected; the name server answers every question with its
own address.
"""

import os
import pathlib
import selectors
import socket
import subprocess
import sys

from perigee_node import wait_until

HOST4, SERVER4 = '203.0.113.1', '203.0.113.10'
HOST6, SERVER6 = '2001:db8:77::1', '2001:db8:77::10'
TCP_PORTS = (25, 80, 443)
DNS_PORT = 53


class Internet:
    def __init__(self):
        self.namespace = f'pgnet{os.getpid()}'
        self.link = f'pgi{os.getpid()}'[:15]
        self.servers = None

    def up(self):
        peer = f'{self.link}p'[:15]
        self._ip('netns', 'add', self.namespace)
        self._ip('link', 'add', self.link, 'type', 'veth', 'peer', 'name', peer, 'netns',
                 self.namespace)
        for address in (f'{HOST4}/24', f'{HOST6}/64'):
            self._ip('address', 'add', address, 'dev', self.link, *nodad(address))
        self._ip('link', 'set', self.link, 'up')
        for address in (f'{SERVER4}/24', f'{SERVER6}/64'):
            self._inside('address', 'add', address, 'dev', peer, *nodad(address))
        self._inside('link', 'set', peer, 'up')
        self._inside('link', 'set', 'lo', 'up')
        command = ['ip', 'netns', 'exec', self.namespace, sys.executable, __file__, SERVER4,
                   SERVER6]
        self.servers = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        wait_until('the servers listen', 10, lambda: self.servers.stdout.readline() == 'ready\n')

    def down(self):
        if self.servers:
            self.servers.kill()
            self.servers.wait(10)
            self.servers.stdout.close()
        for words in (('link', 'delete', self.link), ('netns', 'delete', self.namespace)):
            subprocess.run(['ip', *words], capture_output=True, check=False)

    def _ip(self, *words):
        done = subprocess.run(['ip', *words], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f'ip {" ".join(words)}: {done.stderr}')

    def _inside(self, *words):
        self._ip('-n', self.namespace, *words)


def nodad(address):
    return ('nodad',) if ':' in address else ()


def listen(kind, address, port):
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    server = socket.socket(family, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    if kind == socket.SOCK_STREAM:
        server.listen(64)
    return server


def answer_name(question, address):
    """A DNS answer (RFC 1035): the question again, and an A record of `address`."""
    end = question.index(b'\0', 12) + 5
    record = b'\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04' + socket.inet_aton(address)
    is_a = question[end - 4:end - 2] == b'\0\x01'
    counts = b'\0\x01\0\x01\0\0\0\0' if is_a else b'\0\x01\0\0\0\0\0\0'
    return question[:2] + b'\x81\x80' + counts + question[12:end] + (record if is_a else b'')


def serve(addresses):
    ready = selectors.DefaultSelector()
    for address in addresses:
        for port in TCP_PORTS:
            ready.register(listen(socket.SOCK_STREAM, address, port), selectors.EVENT_READ)
        ready.register(listen(socket.SOCK_DGRAM, address, DNS_PORT), selectors.EVENT_READ)
    print('ready', flush=True)
    while True:
        for key, _ in ready.select():
            if key.fileobj.type == socket.SOCK_DGRAM:
                question, peer = key.fileobj.recvfrom(4096)
                key.fileobj.sendto(answer_name(question, SERVER4), peer)
                continue
            connection, peer = key.fileobj.accept()
            with connection:
                connection.sendall(f'you are {peer[0]}\n'.encode())


if __name__ == '__main__':
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    serve(sys.argv[1:])
