"""What the scenarios of a router that a file configures share: certificates, programs that end with
their test, and a router with two servers behind it."""

import contextlib
import http.client
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

import answers
from perigee_node import BIN, free_ports, wait_until

HOST = 'hello.localhost'
EC = ('ec', '-pkeyopt', 'ec_paramgen_curve:P-256')
RSA = ('rsa:2048',)


def self_signed(folder, name, *hosts, key=EC):
    """folder/NAME.pem and NAME.key of a certificate that has signed itself."""
    chain, private = folder / f'{name}.pem', folder / f'{name}.key'
    names = ','.join(f'DNS:{host}' for host in hosts)
    subprocess.run(['openssl', 'req', '-x509', '-newkey', *key, '-nodes', '-days', '3', '-subj',
                    f'/CN={name}', '-addext', f'subjectAltName={names}', '-keyout', private,
                    '-out', chain], check=True, capture_output=True)
    private.chmod(0o644)  # for the router's user, which reads it anew
    return chain, private


def start(add_cleanup, folder, name, *command, environment=None, **options):
    """A program that is killed by the test's clean-up, its session too; what it says is in
    folder/NAME.log."""
    log = open(folder / f'{name}.log', 'wb')
    add_cleanup(log.close)
    # PERIGEE_ROOT: no node's state of this server is looked at.
    process = subprocess.Popen(
        [str(word) for word in command], stdout=log, stderr=log, start_new_session=True,
        env=os.environ | {'PERIGEE_ROOT': str(folder / 'none')} | (environment or {}), **options)

    def end():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    add_cleanup(end)
    return process


@contextlib.contextmanager
def server(named, address, port, handler=answers.Answers):
    """A server in this process; port 0 picks a free one."""
    served = answers.Server((address, port), handler)
    served.named = named
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        served.shutdown()
        served.server_close()
        thread.join()


class LoneRouterCase(unittest.TestCase):
    """`write` the router's file, then `start` it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir='/var/tmp', prefix='pg-lone-')
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.folder.chmod(0o755)
        self.file = self.folder / 'router.toml'
        self.http, self.https = free_ports(2)
        self.certificate, _ = self_signed(self.folder, 'cert', HOST)
        self.port = self.serve('one', '127.0.0.1', 0).server_address[1]
        self.serve('two', '127.0.0.2', self.port)

    def serve(self, named, address, port, handler=answers.Answers):
        """A server until the test's end."""
        context = server(named, address, port, handler)
        served = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return served

    def write(self, machines, more=''):
        self.file.write_text(f'''
http = ["127.0.0.1:{self.http}"]
https = ["127.0.0.1:{self.https}"]
access_log = "/dev/null"
{more}
[[app]]
name = "hello"
hosts = ["{HOST}"]
certificate = "cert.pem"
private_key = "cert.key"
machines = {machines!r}
[app.http_service]
internal_port = {self.port}
''')

    def start(self):
        router = start(self.addCleanup, self.folder, 'router', BIN / 'perigeed', 'router',
                       '--config', self.file)
        wait_until('the router answers', 20, self.answers, pause=0.05)
        return router

    def answers(self):
        try:
            return self.get() is not None
        except OSError:
            return False

    def get(self, path='/', tls=False, timeout=20):
        if tls:
            trusted = ssl.create_default_context(cafile=self.certificate)
            plain = socket.create_connection(('127.0.0.1', self.https), timeout=timeout)
            connection = http.client.HTTPConnection(HOST, timeout=timeout)
            connection.sock = trusted.wrap_socket(plain, server_hostname=HOST)
        else:
            connection = http.client.HTTPConnection('127.0.0.1', self.http, timeout=timeout)
        with contextlib.closing(connection):
            connection.request('GET', path, headers={'Host': HOST})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def text(self):
        return (self.folder / 'router.log').read_text()

    def says(self, what):
        return what in self.text()
