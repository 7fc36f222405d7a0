"""etcd for a test: members on free loopback ports, each a process that ends with the test."""

import base64
import json
import shutil
import signal
import subprocess
import tempfile
import urllib.request

import packages
from perigee_node import free_ports, wait_until


class Etcd:
    def __init__(self, members=3):
        self.folder = tempfile.mkdtemp(prefix='pg-etcd-', dir='/var/tmp')
        ports = free_ports(2 * members)
        self.urls = [f'http://127.0.0.1:{port}' for port in ports[:members]]
        self.peers = [f'http://127.0.0.1:{port}' for port in ports[members:]]
        self.processes = [None] * members
        for number in range(members):
            self.start(number)
        wait_until('etcd has a leader', 30, lambda: self.leader() is not None)

    def start(self, number):
        cluster = ','.join(f'm{n}={peer}' for n, peer in enumerate(self.peers))
        # --pdeathsig: a test that is killed leaves nothing running.
        command = ['setpriv', '--pdeathsig', 'KILL', packages.etcd_program(),
                   '--name', f'm{number}', '--data-dir', f'{self.folder}/m{number}',
                   '--listen-client-urls', self.urls[number],
                   '--advertise-client-urls', self.urls[number],
                   '--listen-peer-urls', self.peers[number],
                   '--initial-advertise-peer-urls', self.peers[number],
                   '--initial-cluster', cluster, '--max-txn-ops', '4200', '--logger', 'zap']
        with open(f'{self.folder}/m{number}.log', 'ab') as log:
            self.processes[number] = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self, number):
        self.processes[number].send_signal(signal.SIGKILL)
        self.processes[number].wait()

    def call(self, number, path, body):
        request = urllib.request.Request(self.urls[number] + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=2) as answer:
            return json.load(answer)

    def leader(self):
        """The number of the member that leads; None where none does."""
        ids, leads = [], None
        for number in range(len(self.urls)):
            try:
                status = self.call(number, '/v3/maintenance/status', {})
            except OSError:
                ids.append(None)
                continue
            ids.append(status['header']['member_id'])
            leads = status.get('leader', leads)
        return ids.index(leads) if leads in ids else None

    def value(self, key):
        """The JSON value of a key, asked of whichever member answers; None: absent."""
        encoded = base64.b64encode(key.encode()).decode()
        for number in range(len(self.urls)):
            try:
                entries = self.call(number, '/v3/kv/range', {'key': encoded}).get('kvs', [])
            except OSError:
                continue
            return json.loads(base64.b64decode(entries[0]['value'])) if entries else None
        raise AssertionError('no member of etcd answers')

    def destroy(self):
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
