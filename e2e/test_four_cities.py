"""What a fleet promises, in a lab of four cities: that explanations are true, and that a machine
reaches what it may and nothing else, in whichever city that is."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import socket
import ssl
import tempfile
import unittest
import urllib.parse

import shell_app
from lab import PLACES, Lab
from perigee_node import wait_until

REQUESTS = 1000
AT_ONCE = 24
CITIES = ('fra', 'syd', 'nrt')  # where the app runs; iad has an edge alone
BOOT_S = 120
HELD = 2  # of ten requests this one is held for a second, so that limits are reached
LIMITS = '[http_service.concurrency]\ntype = "requests"\nsoft_limit = 2\nhard_limit = 6\n'


class FourCitiesTest(unittest.TestCase):
    lab = None

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.destroy)
        cls.state = cls.lab.bring_up(PLACES)['iad'] / 'var/lib/perigee'
        cls.token = (cls.state / 'token').read_text().strip()
        folder = tempfile.TemporaryDirectory(prefix='pg-', dir='/var/tmp')
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        for app, limits in (('spread', LIMITS), ('other', '')):
            place = shell_app.folder(cls.folder / app, app, config=limits)
            cls.perigee('deploy', '--region', 'fra', cwd=place)
        cls.perigee('regions', 'set', *CITIES, '-a', 'spread')
        cls.perigee('regions', 'set', 'syd', '-a', 'other')
        wait_until('all machines run', BOOT_S, cls.all_run)
        cls.machines = {one['id']: one for one in cls.api('/v1/apps/spread/machines')}
        cls.other = cls.api('/v1/apps/other/machines')[0]
        for each in cls.machines.values():
            cls.run_in(each, f'echo {each["id"]} > /www/who')

    @classmethod
    def perigee(cls, *words, cwd='/'):
        return cls.lab.cli('exec', 'iad', '--', 'perigee', *words, cwd=cwd).stdout

    @classmethod
    def api(cls, path):
        def ask():
            connection = http.client.HTTPConnection('127.0.0.1', 4280, timeout=30)
            try:
                connection.request('GET', path, headers={'Authorization': f'Bearer {cls.token}'})
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            finally:
                connection.close()
        status, text = cls.lab.visit('iad', ask)
        assert status == 200, f'{path}: {status} {text}'
        return json.loads(text)

    @classmethod
    def all_run(cls):
        spread = cls.api('/v1/apps/spread/machines')
        other = cls.api('/v1/apps/other/machines')
        return (sorted(one['region'] for one in spread) == sorted(CITIES) and
                [one['region'] for one in other] == ['syd'] and
                all(one['state'] == 'started' and one.get('private_ip6') for one in spread + other))

    @classmethod
    def run_in(cls, machine, script):
        return cls.lab.visit(machine['region'],
                             lambda: shell_app.run(machine['private_ip'], script, 30))

    # ---- TLS ----

    def begin(self, city, context, session):
        """A TLS connection from a user of the city to its router, with one request: the session
        that it leaves, and whether it went on with the one given."""
        def there():
            plain = socket.create_connection((self.lab.address(city), 443), timeout=60)
            with context.wrap_socket(plain, server_hostname='spread.lab.test',
                                     session=session) as tls:
                tls.sendall(b'GET /who HTTP/1.1\r\nHost: spread.lab.test\r\n\r\n')
                self.assertIn(b' 200 ', tls.recv(4096))
                return tls.session, tls.session_reused
        return self.lab.visit(city, there, user=True)

    def scenario_a_tls_session_goes_on_at_every_router(self):
        context = ssl.create_default_context(cafile=self.state / 'ca.pem')
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        session, reused = self.begin('fra', context, None)
        self.assertFalse(reused)
        for city in ('syd', 'iad', 'fra'):
            session, reused = self.begin(city, context, session)
            self.assertTrue(reused, city)
        # TLS 1.2 is given no ticket (docs/decisions/0032-session-tickets.md).
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        session, _ = self.begin('fra', context, None)
        self.assertFalse(session.has_ticket)

    # ---- explanations ----

    def headers_of(self, number):
        """What the request wishes for: of ten, six nothing."""
        machine = sorted(self.machines)[number % len(self.machines)]
        wishes = {1: {'Perigee-Prefer-Region': 'syd'}, 3: {'Perigee-Force-Region': 'nrt,fra'},
                  5: {'Perigee-Prefer-Machine': machine}, 7: {'Fly-Force-Instance-Id': machine}}
        return {'Host': 'spread.lab.test', **wishes.get(number % 10, {})}

    def ask(self, number):
        """(request id, status, the machine that answered, the wishes)."""
        city = list(PLACES)[number % len(PLACES)]
        headers = self.headers_of(number)

        def there():
            connection = http.client.HTTPConnection(self.lab.address(city), 80, timeout=60)
            try:
                if number % 10 == HELD:
                    connection.request('POST', '/cgi-bin/run', 'sleep 1; cat /www/who', headers)
                else:
                    connection.request('GET', '/who', headers=headers)
                answer = connection.getresponse()
                return (answer.getheader('Perigee-Request-Id'), answer.status,
                        answer.read().decode().strip(), headers)
            finally:
                connection.close()
        return self.lab.visit(city, there, user=True)

    def explained(self, request):
        return self.api(f'/v1/apps/spread/explain?request={urllib.parse.quote(request)}')

    def scenario_explain_agrees_with_where_a_thousand_requests_went(self):
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(self.ask, range(REQUESTS)))
            explained = list(pool.map(lambda answer: self.explained(answer[0]), answers))
        self.assertEqual(len({answer[0] for answer in answers}), REQUESTS)
        served = set()
        busy = 0
        for (request, status, machine, headers), told in zip(answers, explained):
            self.assertEqual(told['request_id'], request)
            chosen = [each['machine'] for each in told['candidates'] if each['chosen']]
            if status == 200:
                self.assertEqual((told['chosen'], chosen), (machine, [machine]), told)
                served.add((told['router_region'], machine))
                self.wished(headers, machine)
            else:
                self.assertEqual(status, 503, machine)
                self.assertNotIn('chosen', told, machine)
            busy += any('limit' in each['why'] for each in told['candidates'])
        self.assertEqual({machine for _, machine in served}, set(self.machines))
        self.assertEqual({edge for edge, _ in served}, set(PLACES))
        print(f'     {sum(answer[1] == 200 for answer in answers)} served, {busy} at a limit',
              flush=True)
        self.assertGreater(busy, REQUESTS // 100, 'limits were hardly reached')
        good = sum(answer[1] == 200 for answer in answers)
        self.assertGreater(good, REQUESTS * 0.7, 'most are served')

    def wished(self, headers, machine):
        region = self.machines[machine]['region']
        if 'Perigee-Force-Region' in headers:
            self.assertIn(region, ('nrt', 'fra'))
        if 'Fly-Force-Instance-Id' in headers:
            self.assertEqual(machine, headers['Fly-Force-Instance-Id'])

    # ---- what goes between cities ----

    def scenario_an_image_goes_from_city_to_city_unread(self):
        noise = self.folder / 'noise'
        noise.write_bytes(os.urandom(1_000_000))
        place = shell_app.folder(self.folder / 'carried', 'carried', programs=[noise])
        path = self.lab.directory / 'image.pcap'
        self.lab.cli('capture', path)
        self.addCleanup(self.perigee, 'destroy', 'carried', '--yes')
        self.perigee('deploy', '--region', 'nrt', cwd=place)
        self.lab.cli('capture')
        seen = path.read_bytes()
        layer = max((one for one in self.state.glob('blobs/**/*') if one.is_file()),
                    key=lambda one: one.stat().st_mtime if one.stat().st_size > 900_000 else 0)
        image = layer.read_bytes()
        self.assertGreater(len(seen), len(image), 'it went to nrt')
        for at in range(0, len(image) - 48, len(image) // 50):
            self.assertNotIn(image[at:at + 48], seen)

    # ---- what a machine reaches ----

    def in_city(self, city):
        return next(one for one in self.machines.values() if one['region'] == city)

    def connects(self, machine, to, port):
        told = self.run_in(machine, f'echo | nc -w 3 {to} {port} && echo CONNECTED || echo REFUSED')
        self.assertTrue('CONNECTED' in told or 'REFUSED' in told, told)
        return 'CONNECTED' in told

    def answers_there(self, to, port, city):
        """Whether the city's own server reaches it: else no refusal would mean anything."""
        def there():
            try:
                with socket.create_connection((to, port), 3):
                    return True
            except OSError:
                return False
        return self.lab.visit(city, there)

    def scenario_a_machine_reaches_its_own_app_in_another_city_and_nothing_internal(self):
        machine = self.in_city('fra')
        sibling = self.in_city('syd')['private_ip6']
        self.assertTrue(self.connects(machine, sibling, shell_app.PORT))
        stranger = self.other['private_ip6']
        self.assertTrue(self.answers_there(stranger, shell_app.PORT, 'syd'))
        self.assertFalse(self.connects(machine, stranger, shell_app.PORT), 'another app')
        self.assertFalse(self.connects(self.other, sibling, shell_app.PORT), 'another app')

        meshes = {node['name']: node['mesh_address'] for node in self.api('/v1/nodes')['nodes']}
        self.assertEqual(set(meshes), set(PLACES))
        reached = []
        for city, mesh in meshes.items():
            wan = self.lab.address(city)
            open_to_nodes = [(mesh, 4281), (mesh, 4282), (wan, 4281)]
            for to, port in open_to_nodes:
                self.assertTrue(self.answers_there(to, port, 'fra'), f'{city} {to} {port}')
            for to, port in [*open_to_nodes, (mesh, 80), (mesh, 4280), (wan, 4280), (wan, 4282)]:
                if self.connects(machine, to, port):
                    reached.append((city, to, port))
        self.assertEqual(reached, [])
        for city in meshes:
            told = self.run_in(machine, 'echo hello | timeout 2 nc -u -w 1 '
                               f'{self.lab.address(city)} 51820 | wc -c')
            self.assertEqual(told.split()[-1:], ['0'], f'WireGuard of {city}: {told}')
