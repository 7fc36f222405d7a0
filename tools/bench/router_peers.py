"""The proxies of `./dev bench-router`, each with one worker thread on one core and the same task:
an HTTP and an HTTPS port, one host, one upstream kept alive, an access log in a file, TLS 1.2 and
1.3 with the same certificate and session tickets (Perigee gives a client one, OpenSSL's default is
two, which the peers have no setting for).
"""

import dataclasses
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
TCP_PEER = REPOSITORY / 'tools/bench/tcp_peer.py'
sys.path.append(str(REPOSITORY / 'e2e'))

import packages  # noqa: E402
from lone_router import self_signed  # noqa: E402

HOST = 'bench.localhost'
CIPHERS = 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384'
PROXY_CORE, LOAD_CORE = 0, 1
UP_S = 10
SCHED_NS = 0  # of /proc/…/schedstat: time on the processor


def pin(*cores):
    return lambda: os.sched_setaffinity(0, cores)


def free_port():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


@dataclasses.dataclass
class Site:
    """What all proxies share."""
    folder: pathlib.Path
    upstream: int  # ports of the servers behind them
    tcp_upstream: int
    libraries: str

    @property
    def certificate(self):
        return self.folder / 'cert.pem'

    @property
    def key(self):
        return self.folder / 'cert.key'

    def make_certificate(self):
        self_signed(self.folder, 'cert', HOST)
        both = self.certificate.read_text() + self.key.read_text()
        (self.folder / 'both.pem').write_text(both)
        (self.folder / 'both.pem').chmod(0o644)  # the proxies give up root


class Proxy:
    """One that runs; `name` is its column."""
    name = ''
    http2 = False
    tcp_proxy = True
    cores = (PROXY_CORE,)

    def __init__(self, site):
        self.site = site
        self.http, self.https, self.tcp = free_port(), free_port(), free_port()
        self.config = site.folder / f'{self.name}.conf'
        self.log = site.folder / f'{self.name}.access'
        self.log.touch()
        self.log.chmod(0o666)
        self.process = None

    def start(self):
        self.config.write_text(self.settings())
        with open(self.site.folder / f'{self.name}.err', 'wb') as err:
            self.process = subprocess.Popen(
                [str(word) for word in self.command()], stdout=err, stderr=err,
                preexec_fn=pin(*self.cores),
                env=os.environ | {'LD_LIBRARY_PATH': self.site.libraries, 'PERIGEE_ROOT': '/none'})
        end = time.monotonic() + UP_S
        while not all(answers(port) for port in (self.http, self.https)):
            if time.monotonic() > end or self.process.poll() is not None:
                said = (self.site.folder / f'{self.name}.err').read_text()
                raise SystemExit(f'{self.name} does not listen:\n{said}')
            time.sleep(0.05)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def processes(self):
        """It and its children."""
        own = str(self.process.pid)
        found = subprocess.run(['pgrep', '-P', own], capture_output=True, text=True, check=False)
        return [own, *found.stdout.split()]

    def cpu_us(self):
        """Microseconds that all of its threads have run."""
        total = 0
        for pid in self.processes():
            for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
                total += int((task / 'schedstat').read_text().split()[SCHED_NS])
        return total / 1000

    def memory(self):
        """Bytes, proportional."""
        total = 0
        for pid in self.processes():
            for line in pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
                if line.startswith('Pss:'):
                    total += int(line.split()[1]) * 1024
        return total


def answers(port):
    with socket.socket() as one:
        return one.connect_ex(('127.0.0.1', port)) == 0


class Perigee(Proxy):
    name = 'perigee'
    http2 = True
    threads = 1

    def command(self):
        return [REPOSITORY / 'build/release/bin/perigeed', 'router', '--config', self.config]

    def settings(self):
        return f'''http = ["127.0.0.1:{self.http}"]
https = ["127.0.0.1:{self.https}"]
tcp = ["127.0.0.1:{self.tcp}"]
access_log = "{self.log}"
threads = {self.threads}
[[app]]
name = "bench"
hosts = ["{HOST}", "127.0.0.1"]  # wrk takes the URL's for SNI
certificate = "{self.site.certificate}"
private_key = "{self.site.key}"
machines = ["127.0.0.1"]
[app.http_service]
internal_port = {self.site.upstream}
[app.http_service.concurrency]
type = "requests"
soft_limit = 100000
[[app.services]]
internal_port = {self.site.tcp_upstream}
concurrency = {{ type = "connections", soft_limit = 100000 }}
[[app.services.ports]]
port = {self.tcp}
'''


class OneThread(Perigee):
    """Free to run wherever two threads are."""
    name = 'one_thread'
    cores = (PROXY_CORE, LOAD_CORE)


class TwoThreads(OneThread):
    name = 'two_threads'
    threads = 2


class Haproxy(Proxy):
    name = 'haproxy'
    http2 = True

    def command(self):
        return [self.site.folder / 'peers/usr/sbin/haproxy', '-db', '-f', self.config]

    # Its own log goes to a file as to a terminal; a syslog beside it would cost another process.
    def settings(self):
        tls = f'ssl crt {self.site.folder}/both.pem alpn h2,http/1.1 ssl-min-ver TLSv1.2'
        return f'''global
  nbthread 1
  maxconn 6000
  log stdout format raw local0
  ssl-default-bind-ciphers {CIPHERS}
  tune.ssl.default-dh-param 2048
defaults
  mode http
  log global
  option httplog
  option http-keep-alive
  http-reuse always
  timeout client 120s
  timeout server 60s
  timeout connect 5s
frontend web
  bind 127.0.0.1:{self.http}
  bind 127.0.0.1:{self.https} {tls}
  option forwardfor
  use_backend app if {{ hdr(host),field(1,:) -i {HOST} }}
backend app
  server one 127.0.0.1:{self.site.upstream}
listen tcp
  mode tcp
  option tcplog
  option splice-auto
  bind 127.0.0.1:{self.tcp}
  server one 127.0.0.1:{self.site.tcp_upstream}
'''


class Nginx(Proxy):
    name = 'nginx'
    http2 = True

    def command(self):
        return [self.site.folder / 'nginx/usr/sbin/nginx', '-p', self.site.folder, '-c',
                self.config, '-e', 'stderr']

    def settings(self):
        modules = self.site.folder / 'nginx/usr/lib/nginx/modules'
        return f'''load_module {modules}/ngx_stream_module.so;
{nginx_basics(self.site.folder / 'nginx-proxy')}
stream {{
  log_format plain '$remote_addr [$time_local] $protocol $status $bytes_sent $bytes_received';
  access_log {self.log} plain;
  server {{
    listen 127.0.0.1:{self.tcp} backlog=4096;
    proxy_pass 127.0.0.1:{self.site.tcp_upstream};
  }}
}}
http {{
  {nginx_paths(self.site.folder / 'nginx-proxy')}
  access_log {self.log};
  keepalive_requests 1000000000;
  keepalive_timeout 120;
  upstream app {{
    server 127.0.0.1:{self.site.upstream};
    keepalive 128;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{self.http} backlog=4096;
    listen 127.0.0.1:{self.https} ssl http2 backlog=4096;
    http2_max_concurrent_streams 256;
    server_name {HOST};
    ssl_certificate {self.site.certificate};
    ssl_certificate_key {self.site.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers {CIPHERS};
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}
}}
'''


class H2o(Proxy):
    name = 'h2o'
    http2 = True
    tcp_proxy = False

    def command(self):
        return [self.site.folder / 'peers/usr/bin/h2o', '-m', 'worker', '-c', self.config]

    def settings(self):
        return f'''user: nobody
num-threads: 1
max-connections: 9000
tcp-fastopen: 0
http1-request-timeout: 120
listen:
  host: 127.0.0.1
  port: {self.http}
listen:
  host: 127.0.0.1
  port: {self.https}
  ssl:
    certificate-file: {self.site.certificate}
    key-file: {self.site.key}
    minimum-version: TLSv1.2
    cipher-suite: {CIPHERS}
access-log: {self.log}
hosts:
  "{HOST}":
    paths:
      "/":
        proxy.reverse.url: "http://127.0.0.1:{self.site.upstream}/"
        proxy.preserve-host: ON
        proxy.timeout.keepalive: 60000
'''


def nginx_basics(folder):
    folder.mkdir(exist_ok=True)
    return f'''user nobody nogroup;
worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid {folder}/pid;
error_log stderr;
events {{ worker_connections 18000; }}'''


def nginx_paths(folder):
    kinds = ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi')
    return ' '.join(f'{kind}_temp_path {folder}/{kind};' for kind in kinds)


class TcpUpstream:
    """The server behind all for what is no HTTP, on the load's core."""
    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen([sys.executable, TCP_PEER, 'serve', str(self.port)],
                                        preexec_fn=pin(LOAD_CORE))

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Upstream:
    """The server behind all: nginx on the load's core, a small answer and a large one."""
    LARGE = 64 * 1024 * 1024

    def __init__(self, folder):
        self.port = free_port()
        self.folder = folder
        www = folder / 'www'
        www.mkdir()
        with open(www / 'large', 'wb') as large:
            large.truncate(self.LARGE)
        config = folder / 'upstream.conf'
        own = folder / 'nginx-upstream'
        config.write_text(f'''{nginx_basics(own)}
http {{
  {nginx_paths(own)}
  access_log off;
  sendfile on;
  keepalive_requests 1000000000;
  keepalive_timeout 600;
  server {{
    listen 127.0.0.1:{self.port} backlog=4096;
    root {www};
    location = / {{ return 200 "Hello, world\\n"; }}
  }}
}}
''')
        with open(folder / 'upstream.err', 'wb') as err:
            self.process = subprocess.Popen(
                [folder / 'nginx/usr/sbin/nginx', '-p', folder, '-c', config, '-e', 'stderr'],
                stdout=err, stderr=err, preexec_fn=pin(LOAD_CORE))

    def stop(self):
        self.process.terminate()
        self.process.wait()


def unpack(folder):
    """nginx's and the peers' files below `folder`; the library path that they need."""
    nginx = [*packages.NGINX, 'libnginx-mod-stream']
    packages.fetch(nginx + packages.PEERS)
    packages.unpack(nginx, folder / 'nginx')
    packages.unpack(packages.PEERS, folder / 'peers')
    library = 'usr/lib/x86_64-linux-gnu'
    return f'{folder}/peers/{library}:{folder}/nginx/{library}'
