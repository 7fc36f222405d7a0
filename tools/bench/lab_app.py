"""The app of the lab's bench: static busybox with a page, its assets, one MiB, and a request that
is held for a while; the same image in every city, and behind the origin it is compared with."""

import http.client
import json
import pathlib
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent.parent / 'e2e'))

import shell_app  # noqa: E402

NAME = 'bench'
HOST = f'{NAME}.lab.test'
PORT = shell_app.PORT
SOFT_LIMIT = 4
HARD_LIMIT = 8
ASSETS = 20
ASSET_BYTES = 30 * 1024
PAGE_BYTES = 10 * 1024
LARGE_BYTES = 1_000_000
HOLD_S = 2
HOLD_PATH = '/cgi-bin/hold'
LARGE_PATH = '/large'
BOOT_S = 240
API_PORT = 4280

SERVER = f'''
/bin/busybox --install -s /bin
mkdir -p /www/cgi-bin /tmp
text() {{ head -c "$1" /dev/zero | tr '\\0' p; }}
text {PAGE_BYTES} > /www/index.html
text {LARGE_BYTES} > /www{LARGE_PATH}
i=0
while [ $i -lt {ASSETS} ]; do text {ASSET_BYTES} > /www/asset-$i; i=$((i + 1)); done
cat > /www{HOLD_PATH} <<'END'
#!/bin/sh
sleep {HOLD_S}
printf 'Content-Type: text/plain\\r\\n\\r\\nheld\\n'
END
chmod +x /www{HOLD_PATH}
exec /bin/busybox httpd -f -p {PORT} -h /www
'''
SERVICE = f'''
[http_service.concurrency]
type = "requests"
soft_limit = {SOFT_LIMIT}
hard_limit = {HARD_LIMIT}
balancing = "balanced"
'''


class App:
    """The app in a lab; its machines as control has them."""

    def __init__(self, lab, folder):
        self.lab = lab
        self.folder = shell_app.folder(folder, NAME, config=SERVICE, server=SERVER, memory=128)

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
