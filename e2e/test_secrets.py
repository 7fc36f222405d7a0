"""Secrets reach the app in its VM, and nothing else ever shows them: a planted one is looked for in
files, processes, API answers, feeds and core dumps, and so is a certificate's private key."""

import base64
import hashlib
import json
import os
import pathlib
import secrets
import signal
import subprocess
import sys

import images
from scenario import Scenario
from perigee_node import wait_until
from sealed import open_sealed
from search import Search, abort, cores_are_files, needles_of

# The page shows what the app was given, as a hash: the value must not be seen on the way.
APP = ['/bin/busybox', 'sh', '-c',
       'mkdir -p /www; printf %s "$PLANTED" | sha256sum > /www/index.html; '
       'printf %s "$LEVEL" > /www/level; exec /bin/busybox httpd -f -p 8080 -h /www']
PUBLIC = ['/v1/apps', '/v1/apps/{a}', '/v1/apps/{a}/machines', '/v1/apps/{a}/machines/{m}',
          '/v1/apps/{a}/machines/{m}/events', '/v1/apps/{a}/machines/{m}/metadata',
          '/v1/apps/{a}/machines/{m}/versions', '/v1/apps/{a}/releases',
          '/v1/apps/{a}/releases/{v}', '/v1/apps/{a}/releases/{v}/events',
          '/v1/apps/{a}/logs?tail=1000', '/v1/apps/{a}/secrets', '/v1/apps/{a}/secrets/PLANTED',
          '/v1/keys', '/v1/nodes', '/healthz', '/metrics']


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


class SecretsTest(Scenario):
    def set_secret(self, app, value, *words):
        return self.node.cli('secrets', 'set', 'PLANTED=-', '-a', app, *words, input=value + '\n')

    def deploy(self, app, config=''):
        self.node.deploy(images.scratch_folder(self.folder / app, app, APP, config=config))

    def ring(self):
        return self.node.root / 'etc/perigee/keys.json'

    def feed(self, target):
        return Search({b'-': ''}).socket(self.node.run / 'control.sock', target).decode()

    def certificate_key(self, app):
        """The private key of the app's certificate, as PEM, opened with the node's ring."""
        for line in self.feed('/internal/v1/feed/routes').splitlines():
            if f'"/routes/{app}"' in line:
                certificate = json.loads(line)['value']['certificates'][0]
                return open_sealed(self.ring(), 'certificate-key', certificate['hosts'][0],
                                   certificate['private_key'])
        raise AssertionError(f'no route of {app} in the feed')

    def key_needles(self, app):
        pem = self.certificate_key(app)
        self.assertIn(b'BEGIN PRIVATE KEY', pem)
        lines = [line for line in pem.split(b'\n') if line and not line.startswith(b'-')]
        der = base64.b64decode(b''.join(lines))
        at = der.rindex(b'\x02\x01\x01\x04\x20') + 5  # ECPrivateKey: version 1, 32 octets
        found = needles_of('the private key', der[at:at + 32])
        found.update({line: 'a line of the PEM' for line in lines})
        return found

    def search_all(self, search, app, more=()):
        """Everything that can be looked at while the node runs."""
        node = self.node
        machine = node.machine(app)
        names = {'a': app, 'm': machine['id'], 'v': machine['release']}
        good = search.api(node, [path.format(**names) for path in PUBLIC] + list(more))
        self.assertGreaterEqual(len(good), 12, good)
        for name, target in (('control', '/internal/v1/feed/routes'),
                             ('control', '/internal/v1/feed/node/e2e'),
                             ('control', '/internal/v1/keys/certificate-key'),
                             ('router', '/internal/v1/status'),
                             ('worker', f'/internal/v1/machines/{machine["id"]}/logs')):
            answer = search.socket(node.run / f'{name}.sock', target)
            self.assertIn(b'200', answer.split(b'\r\n')[0], f'{name}{target}')
        search.processes(node.processes())
        search.folder(node.root)

    def search_cores(self, search):
        """Ends each process of the node as a crash would; cores, if any, are searched."""
        self.addCleanup(self.node.up)
        wait_until('one VM is left', 20, lambda: len(self.node.vmm_pids()) == 1
                   and len(self.node.monitor_pids()) == 1)
        pids = {'monitor': self.node.monitor_pids()[0], 'the VMM': self.node.vmm_pids()[0]}
        for role in ('perigeed', 'router', 'worker', 'control'):  # it would start them again
            pids[role] = self.node.role_pid(role)
        written = []
        for name, pid in pids.items():
            # A VMM is the first process of its PID namespace: no signal but SIGKILL reaches it.
            core = abort(pid, may_ignore=name == 'the VMM')
            if core is not None:
                written.append(name)
                search.file(core)
                core.unlink()
        self.assertLessEqual(set(written), {'the VMM'})  # without its guest's memory

    def cores_can_be_searched(self, token):
        """A process like ours, but without their protection, does leave its secret in a core."""
        folder = self.folder / 'crash'
        folder.mkdir()
        crash = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],
                                 cwd=folder, env=dict(os.environ, OPEN=token))
        environment = pathlib.Path(f'/proc/{crash.pid}/environ')
        wait_until('its environment is there', 10, environment.read_bytes)  # exec is under way
        search = Search(needles_of('the control', token.encode()))
        search.processes([crash.pid])
        self.assertEqual([place for _, place in search.hits], [str(environment)])
        core = abort(crash.pid)
        crash.wait()
        self.assertIsNotNone(core)
        search.file(core)
        self.assertEqual(search.hits[-1][1], str(core))

    def leaks(self, search):
        return [hit for hit in search.hits if not hit[0].startswith('the control')]

    def scenario_a_planted_secret_reaches_the_app_and_is_seen_nowhere(self):
        token = secrets.token_hex(16)
        values = [f'pl4nted &"\\/= {token}', f'an0ther {token}']
        open_token = secrets.token_hex(16)  # no secret: the search must find it
        self.assertEqual(self.node.api('POST', '/v1/apps', {'app_name': 'planted'})[0], 201)
        said = [self.set_secret('planted', values[0])]
        self.deploy('planted', f'[env]\nLEVEL = "{open_token}"\nPLANTED = "env loses"\n')
        self.page_is('planted', sha256(values[0]))
        said.append(self.set_secret('planted', values[1]))
        self.page_is('planted', sha256(values[1]))
        self.page_is('planted', open_token, path='/level')
        said.append(self.node.cli('secrets', 'list', '-a', 'planted'))
        self.assertIn('PLANTED', said[-1].stdout)

        search = Search({**needles_of('the secret', token.encode()), **self.key_needles('planted'),
                         **needles_of('the control', open_token.encode())})
        for done in said:
            search.look('the command line', (done.stdout + done.stderr).encode())
        self.search_all(search, 'planted')
        found = {place for name, place in search.hits if name.startswith('the control')}
        for place in ('store.db', 'machine.json', 'spec.json', '/releases', 'feed/node/e2e'):
            self.assertTrue(any(place in one for one in found), f'{place}: not searched? {found}')
        self.assertEqual(self.leaks(search), [])

        if not cores_are_files():
            self.skipTest('all but cores: core_pattern leads them away from where they are made')
        self.cores_can_be_searched(open_token)
        self.search_cores(search)
        self.assertEqual(self.leaks(search), [])

    def log_in(self, registry, user, password):
        return self.node.cli('registry', 'login', registry, '--username', user, '--password-stdin',
                             input=password + '\n')

    def scenario_a_private_image_deploys_after_a_log_in_whose_password_is_seen_nowhere(self):
        token, user = secrets.token_hex(16), f'puller-{secrets.token_hex(8)}'
        registry = images.Registry(login=(user, f'p4ss-{token}'))
        self.addCleanup(registry.close)
        name = f'127.0.0.1:{registry.port}'
        folder = images.scratch_folder(self.folder / 'private', 'private', APP)
        archive = images.build_archive(folder, self.folder / 'private.tar', 'private:e2e')
        deploy = [folder, '--image', registry.push(archive, 'team/private:e2e')]

        said = [self.node.deploy(*deploy, check=False)]
        self.assertNotEqual(said[-1].returncode, 0)
        self.assertIn(f'perigee registry login {name}', said[-1].stdout + said[-1].stderr)
        self.log_in(name, user, 'wrong')
        said.append(self.node.deploy(*deploy, check=False))
        self.assertNotEqual(said[-1].returncode, 0)
        self.assertIn('does not take the log-in', said[-1].stdout + said[-1].stderr)
        said.append(self.log_in(name, user, f'p4ss-{token}'))
        said.append(self.node.deploy(*deploy))
        self.page_is('private', sha256(''))
        said.append(self.node.cli('registry', 'list'))
        self.assertIn(name, said[-1].stdout)

        search = Search({**needles_of('the password', token.encode()),
                         **needles_of('the control', user.encode())})
        for done in said:
            search.look('the command line', (done.stdout + done.stderr).encode())
        self.search_all(search, 'private', more=['/v1/registries', f'/v1/registries/{name}'])
        found = {place for what, place in search.hits if what.startswith('the control')}
        for place in ('store.db', 'registries.json', '/v1/registries', 'feed/node/e2e'):
            self.assertTrue(any(place in one for one in found), f'{place}: not searched? {found}')
        self.assertEqual(self.leaks(search), [])

        self.node.cli('registry', 'logout', name)
        self.assertEqual(self.node.api('GET', f'/v1/registries/{name}')[0], 404)

    def scenario_secrets_and_certificates_outlive_a_rotation_of_the_key(self):
        value = secrets.token_hex(16)
        self.deploy('rotated')
        self.page_is('rotated', sha256(''))
        self.set_secret('rotated', value, '--stage')
        self.page_is('rotated', sha256(''))
        self.node.cli('secrets', 'deploy', '-a', 'rotated')
        self.page_is('rotated', sha256(value))
        before = json.loads(self.ring().read_text())
        self.node.cli('secrets', 'rotate-key')
        after = json.loads(self.ring().read_text())
        self.assertEqual(list(after['keys']), [after['primary']])
        self.assertNotIn(after['primary'], before['keys'])
        # What holds the new ones: the worker, for a boot, and a router that starts from its disk.
        machine = self.node.machine('rotated')['id']
        self.assertEqual(self.node.api('POST', f'/v1/apps/rotated/machines/{machine}/restart')[0],
                         200)
        os.kill(self.node.role_pid('router'), signal.SIGKILL)
        wait_until('the machine runs again', 30,
                   lambda: self.node.machine('rotated')['state'] == 'started')
        self.page_is('rotated', sha256(value), https=True)
        said = self.node.cli('secrets', 'unset', 'PLANTED', '-a', 'rotated')
        self.page_is('rotated', sha256(''))
        self.assertNotIn(value, said.stdout + said.stderr)
