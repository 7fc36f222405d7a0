"""A lab of the bench's own: its cities, a thread or a command in one of them, and nginx on a node's
host, which ends TLS and hands on to the machine there: what Perigee's router is compared with."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent.parent / 'e2e'))

import netns  # noqa: E402
import packages  # noqa: E402

NGINX_PORT = 8443
LAST_MILE_MS = 10
LISTEN_S = 5
ANSWER_S = 120
NGINX = '''daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {listen} ssl;
    ssl_protocols TLSv1.3;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location / {{
      proxy_pass http://{machine};
      proxy_set_header Host $host;
    }}
  }}
}}
'''


def nginx_host(city):
    """The name of the nginx there."""
    return f'nginx-{city}.lab.test'


class BenchLab:
    """Up when made; gone after `close`."""

    def __init__(self, program, cities):
        self.program = program
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='pgl-', dir='/var/tmp'))
        self.directory.rmdir()
        self.environment = dict(os.environ, PERIGEE_LAB=str(self.directory), NO_COLOR='1')
        self.proxies = []
        began = time.monotonic()
        made = json.loads(self.cli('up', '--cities', ','.join(cities), '--json'))
        self.up_s = time.monotonic() - began
        self.identity = made['id']
        status = json.loads(self.cli('status', '--json'))
        self.cities = {one['city']: one for one in status['cities']}
        self.rtt_ms = {city: {city: 0.0} for city in cities}
        for path in status['network']['paths']:
            self.rtt_ms[path['from']][path['to']] = path['rtt_ms']

    def cli(self, *words, cwd='/', timeout=400):
        done = subprocess.run([self.program, 'lab', *map(str, words)], env=self.environment,
                              cwd=cwd, text=True, capture_output=True, timeout=timeout,
                              check=False)
        if done.returncode != 0:
            raise SystemExit(f'bench-lab: perigee lab {" ".join(map(str, words))}: exit '
                             f'{done.returncode}\n{done.stdout}{done.stderr}')
        return done.stdout

    def first(self):
        """The city whose node has control, and the origin."""
        return next(iter(self.cities))

    def perigee(self, *words, cwd='/'):
        """A command as on control's server."""
        return self.cli('exec', self.first(), '--', 'perigee', *words, cwd=cwd)

    def root(self, city):
        return pathlib.Path(self.cities[city]['root'])

    def user_command(self, city, *words):
        """A command line that runs among the city's users."""
        return ['ip', 'netns', 'exec', self.cities[city]['user_namespace'], *map(str, words)]

    def visit(self, city, function, *arguments, users=True):
        """A thread that runs `function` among the city's users or on its node; started. Threads
        that this one starts are there too."""
        name = self.cities[city]['user_namespace' if users else 'namespace']

        def there():
            netns.enter(name)
            function(*arguments)

        thread = threading.Thread(target=there, daemon=True)
        thread.start()
        return thread

    def authorities(self):
        """A file with the certificates that both kinds of edges are known by."""
        path = self.directory / 'authorities.pem'
        if not path.exists():  # a client of another city may be reading it
            path.write_text((self.root(self.first()) / 'var/lib/perigee/ca.pem').read_text() +
                            (self.directory / 'nginx.crt').read_text())
        return path

    def start_proxy(self, city, machine_address, machine_port):
        """nginx on the city's node, before the machine there."""
        self.wait_for_answer(city, machine_address, machine_port)
        key, certificate = self.directory / 'nginx.key', self.directory / 'nginx.crt'
        if not key.exists():
            subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                            'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
                            '/CN=lab', '-addext', 'subjectAltName=DNS:*.lab.test', '-keyout', key,
                            '-out', certificate], check=True, capture_output=True)
        folder = self.directory / f'nginx-{city}'
        folder.mkdir(exist_ok=True)
        packages.fetch(packages.NGINX)
        root = packages.unpack(packages.NGINX, packages.ROOT / 'build/cache/nginx')
        configuration = folder / 'nginx.conf'
        configuration.write_text(NGINX.format(
            folder=folder, listen=f'{self.cities[city]["node"]}:{NGINX_PORT}', key=key,
            certificate=certificate, machine=f'{machine_address}:{machine_port}'))
        libraries = ':'.join(str(root / part) for part in ('lib/x86_64-linux-gnu',
                                                           'usr/lib/x86_64-linux-gnu'))
        self.proxies.append(subprocess.Popen(
            ['ip', 'netns', 'exec', self.cities[city]['namespace'], root / 'usr/sbin/nginx',
             '-c', configuration, '-p', folder],
            env=dict(os.environ, LD_LIBRARY_PATH=libraries), stderr=subprocess.PIPE))
        end = time.monotonic() + LISTEN_S
        while not (folder / 'pid').exists() or not (folder / 'pid').read_text():
            if self.proxies[-1].poll() is not None or time.monotonic() > end:
                raise SystemExit(f'bench-lab: nginx in {city} does not run: '
                                 f'{self.proxies[-1].stderr.read().decode()}')
            time.sleep(0.02)

    def wait_for_answer(self, city, address, port):
        """Until the machine there answers its node."""
        end = time.monotonic() + ANSWER_S
        answered = []

        def ask():
            while not answered and time.monotonic() < end:
                try:
                    with urllib.request.urlopen(f'http://{address}:{port}/', timeout=5) as page:
                        answered.append(page.read())
                except OSError:
                    time.sleep(0.2)

        self.visit(city, ask, users=False).join()
        if not answered:
            raise SystemExit(f'bench-lab: the machine in {city} does not answer')

    def stop_proxies(self):
        for proxy in self.proxies:
            proxy.terminate()
        for proxy in self.proxies:
            proxy.wait(10)
        self.proxies = []

    def memory_mib(self):
        """The proportional memory of all that runs in the lab."""
        mark = f'PERIGEE_LAB_PART={self.identity}'.encode()
        total = 0
        for entry in pathlib.Path('/proc').iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and \
                        mark in (entry / 'environ').read_bytes().split(b'\0'):
                    rollup = (entry / 'smaps_rollup').read_text()
                    total += int(rollup.split('\nPss:')[1].split()[0])
        return total // 1024

    def close(self):
        self.stop_proxies()
        subprocess.run([self.program, 'lab', 'down'], env=self.environment, capture_output=True,
                       timeout=100, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)
