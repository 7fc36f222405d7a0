"""The app of the lab's bench: nginx with a page, its assets, one MB, and a file that it gives out
so slowly that a request is held for a while, at no cost; the same image in every city, and behind
the origin it is compared with."""

import http.client
import json
import pathlib
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent.parent / 'e2e'))

import images  # noqa: E402

NAME = 'bench'
HOST = f'{NAME}.lab.test'
PORT = images.PORT
SOFT_LIMIT = 4
HARD_LIMIT = 8
ASSETS = 20
ASSET_BYTES = 30 * 1024
PAGE_BYTES = 10 * 1024
LARGE_BYTES = 1_000_000
HELD_RATE = 1000  # bytes a second: nginx waits a second after the first so many, and so on
HOLD_S = 2
HOLD_PATH = '/held'
LARGE_PATH = '/large'
BOOT_S = 240
API_PORT = 4280
MEMORY_MIB = 128

NGINX_CONF = f'''user www-data;
worker_processes 1;
error_log stderr;
pid /run/nginx.pid;
events {{ worker_connections 256; }}
http {{
  access_log off;
  server {{
    listen {PORT};
    root /www;
    location = {HOLD_PATH} {{ limit_rate {HELD_RATE}; }}
  }}
}}
'''
SERVICE = f'''
[http_service.concurrency]
type = "requests"
soft_limit = {SOFT_LIMIT}
hard_limit = {HARD_LIMIT}
balancing = "balanced"
'''


def build_context(folder):
    """A Dockerfile with all that it names, and perigee.toml."""
    images.nginx_folder(folder, 'p' * PAGE_BYTES, NAME)
    www = folder / 'www'
    www.mkdir()
    for name, size in {LARGE_PATH: LARGE_BYTES, HOLD_PATH: (HOLD_S + 1) * HELD_RATE,
                       **{f'/asset-{i}': ASSET_BYTES for i in range(ASSETS)}}.items():
        (www / name[1:]).write_text('p' * size)
    (folder / 'nginx.conf').write_text(NGINX_CONF)
    lines = (folder / 'Dockerfile').read_text().splitlines()
    lines[-1:-1] = ['COPY www /www', 'COPY nginx.conf /etc/nginx/nginx.conf']
    (folder / 'Dockerfile').write_text('\n'.join(lines) + '\n')
    (folder / 'perigee.toml').write_text(images.PERIGEE_TOML.format(
        app=NAME, port=PORT, memory=MEMORY_MIB, service='') + SERVICE)
    return folder


class App:
    """The app in a lab; its machines as control has them."""

    def __init__(self, lab, folder):
        self.lab = lab
        self.folder = build_context(folder)

    def deploy(self, city):
        """One machine, there."""
        self.lab.perigee('deploy', '--region', city, cwd=self.folder)
        self.lab.perigee('scale', 'count', '1', '-a', NAME)
        self.wait_for([city])

    def deploy_everywhere(self):
        """A machine in each city of the lab."""
        self.lab.perigee('regions', 'set', 'all', '-a', NAME)
        self.lab.perigee('scale', 'count', 'auto', '-a', NAME)
        self.wait_for(self.lab.cities)

    def machines(self):
        return json.loads(self.lab.perigee('machine', 'list', '-a', NAME, '--json'))

    def wait_for(self, cities):
        """{city: machine}, as soon as exactly those have one that is started."""
        end = time.monotonic() + BOOT_S
        while time.monotonic() < end:
            started = [one for one in self.machines() if one['state'] == 'started']
            if sorted(one['region'] for one in started) == sorted(cities):
                return {one['region']: one for one in started}
            time.sleep(0.5)
        raise SystemExit(f'bench-lab: no machine in each of {" ".join(cities)} after {BOOT_S} s')

    def call(self, method, machine, action):
        """An order to control's API, answered."""
        token = (self.lab.root(self.lab.first()) / 'var/lib/perigee/token').read_text().strip()
        answers = []

        def there():
            connection = http.client.HTTPConnection('127.0.0.1', API_PORT, timeout=30)
            connection.request(method, f'/v1/apps/{NAME}/machines/{machine}/{action}',
                               headers={'Authorization': f'Bearer {token}'})
            answers.append(connection.getresponse())
            answers[0].read()
            connection.close()

        self.lab.visit(self.lab.first(), there, users=False).join()
        if not answers or answers[0].status // 100 != 2:
            raise SystemExit(f'bench-lab: {action} of {machine}: '
                             f'{answers[0].status if answers else "no answer"}')
