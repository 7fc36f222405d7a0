"""What `./dev bench-router` sends, on the core that the proxy does not use: each returns how many
operations were done, and fails where one went wrong. TLS is 1.3 with AES-128-GCM and X25519 alone,
so that no proxy's own preference decides.
"""

import contextlib
import os
import pathlib
import re
import subprocess
import sys

from router_peers import HOST, LOAD_CORE, TCP_PEER, pin

CLIENT = pathlib.Path(__file__).resolve().parent / 'https_client.py'
CONNECTIONS = 64
H2_CONNECTIONS, H2_STREAMS = 8, 16
LONGEST_S = 300
OPENSSL_CONF = '''openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = default
[default]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_128_GCM_SHA256
Groups = X25519
'''


class Load:
    def __init__(self, site):
        self.site = site
        config = site.folder / 'openssl.cnf'
        config.write_text(OPENSSL_CONF)
        self.environment = os.environ | {'OPENSSL_CONF': str(config)}

    def run(self, *command):
        done = subprocess.run([str(word) for word in command], env=self.environment, text=True,
                              capture_output=True, check=False, preexec_fn=pin(LOAD_CORE),
                              timeout=LONGEST_S)
        if done.returncode != 0:
            sys.exit(f'{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}')
        return done.stdout

    def wrk(self, url, seconds):
        text = self.run('wrk', '-t1', f'-c{CONNECTIONS}', f'-d{seconds}s', '-H', f'Host: {HOST}',
                        url)
        if 'Non-2xx' in text or 'Socket errors' in text:
            sys.exit(f'{url}: not every answer is good:\n{text}')
        return int(re.search(r'(\d+) requests in', text)[1])

    def h2load(self, port, requests):
        text = self.run('h2load', '-t1', f'-c{H2_CONNECTIONS}', f'-m{H2_STREAMS}', f'-n{requests}',
                        f'--connect-to=127.0.0.1:{port}', f'https://{HOST}:{port}/')
        if f'{requests} succeeded' not in text or 'protocol: h2' not in text:
            sys.exit(f'h2load on port {port}: not every answer is good:\n{text}')
        return requests

    def handshakes(self, port, count, kind):
        self.run(sys.executable, CLIENT, 'handshakes', port, HOST, self.site.certificate, count,
                 kind)
        return count

    def download(self, port, path, size):
        """MiB."""
        self.run(sys.executable, CLIENT, 'download', port, HOST, self.site.certificate, path, size)
        return size / (1 << 20)

    def pingpong(self, port, seconds):
        return int(self.run(sys.executable, TCP_PEER, 'pingpong', port, CONNECTIONS, seconds))

    def bulk(self, port, size):
        """MiB."""
        self.run(sys.executable, TCP_PEER, 'bulk', port, size)
        return size / (1 << 20)

    @contextlib.contextmanager
    def idle_connections(self, port, count, tls):
        command = [sys.executable, CLIENT, 'hold', port, HOST,
                   self.site.certificate if tls else '-', count]
        with subprocess.Popen([str(word) for word in command], env=self.environment, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              preexec_fn=pin(LOAD_CORE)) as client:
            try:
                if client.stdout.readline() != 'held\n':
                    sys.exit(f'port {port} does not keep {count} connections')
                yield
            finally:
                client.stdin.close()
                client.wait(LONGEST_S)
