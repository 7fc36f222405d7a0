"""A certificate authority to test with: Debian's pebble, which speaks ACME and rejects one good
nonce in ten, and a DNS server that sends every name to 127.0.0.1.
"""

import contextlib
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import urllib.request

import packages
from perigee_node import free_ports, wait_until

REJECTED_NONCES = 10  # of a hundred


def make_ca(folder):
    """The authority that pebble's own TLS is of: ca.pem, and pebble's certificate and key."""
    run = lambda *words: subprocess.run(['openssl', *words], cwd=folder, check=True,  # noqa: E731
                                        capture_output=True)
    ec = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes')
    run('req', '-x509', *ec, '-days', '2', '-subj', '/CN=API authority', '-keyout', 'ca.key',
        '-out', 'ca.pem')
    run('req', *ec, '-subj', '/CN=localhost', '-keyout', 'pebble.key', '-out', 'pebble.csr')
    (folder / 'san').write_text('subjectAltName=IP:127.0.0.1,DNS:localhost\n')
    run('x509', '-req', '-in', 'pebble.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial',
        '-days', '2', '-extfile', 'san', '-out', 'pebble.pem')


class Pebble:
    """Runs while it is entered. Asks hosts at the ports of a router."""

    def __init__(self, http_port, https_port):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='pg-pebble-', dir='/var/tmp'))
        self.ports = (http_port, https_port)
        self.api, self.management, self.dns, self.dns_management = free_ports(4)
        self.ca = self.folder / 'ca.pem'
        self.stack = contextlib.ExitStack()

    @property
    def directory(self):
        return f'https://127.0.0.1:{self.api}/dir'

    def __enter__(self):
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        make_ca(self.folder)
        (self.folder / 'pebble.json').write_text(json.dumps({'pebble': {
            'listenAddress': f'127.0.0.1:{self.api}',
            'managementListenAddress': f'127.0.0.1:{self.management}',
            'certificate': str(self.folder / 'pebble.pem'),
            'privateKey': str(self.folder / 'pebble.key'),
            'httpPort': self.ports[0], 'tlsPort': self.ports[1],
            'ocspResponderURL': '', 'externalAccountBindingRequired': False}}))
        try:
            self.start('pebble-challtestsrv', '-defaultIPv4', '127.0.0.1', '-defaultIPv6', '',
                       '-dns01', f'127.0.0.1:{self.dns}', '-http01', '', '-https01', '',
                       '-tlsalpn01', '', '-management', f'127.0.0.1:{self.dns_management}')
            self.start('pebble', '-config', str(self.folder / 'pebble.json'), '-strict',
                       '-dnsserver', f'127.0.0.1:{self.dns}')
            wait_until('pebble answers', 20, self.answers)
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()

    def start(self, program, *words):
        log = self.stack.enter_context(open(self.folder / f'{program}.log', 'wb'))
        process = subprocess.Popen(
            [packages.pebble_programs() / program, *words], stdout=log, stderr=log,
            env=os.environ | {'PEBBLE_VA_NOSLEEP': '1', 'PEBBLE_AUTHZREUSE': '0',
                              'PEBBLE_WFE_NONCEREJECT': str(REJECTED_NONCES)})
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)

    def get(self, port, path):
        context = ssl.create_default_context(cafile=self.ca)
        with urllib.request.urlopen(f'https://127.0.0.1:{port}{path}', context=context,
                                    timeout=5) as answer:
            return answer.read().decode()

    def answers(self):
        with contextlib.suppress(OSError):
            return 'newOrder' in self.get(self.api, '/dir')

    def root(self):
        """PEM of the authority whose certificates it gives."""
        return self.get(self.management, '/roots/0')

    def log(self):
        return (self.folder / 'pebble.log').read_text(errors='replace')
