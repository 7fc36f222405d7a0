"""What a machine reaches: the internet by IPv4 and IPv6, its resolver, its app's other machines;
and what an app's egress policy makes of that, at once."""

import json
import re
import time
import urllib.request

import internet
import shell_app
from scenario import Scenario
from perigee_node import wait_until

APPLY_S = 10


class EgressTest(Scenario):
    worker_config = f'nameservers = ["{internet.SERVER4}"]\n'

    @classmethod
    def setUpClass(cls):
        cls.internet = internet.Internet()
        cls.addClassCleanup(cls.internet.down)
        cls.internet.up()
        super().setUpClass()
        cls.node.deploy(shell_app.folder(cls.folder / 'shell', 'shell'), '--count', '2')
        cls.node.deploy(shell_app.folder(cls.folder / 'other', 'other',
                                         config='net_mbit = 8\ndisk_iops = 50\n'))
        cls.first, cls.second = sorted(one['private_ip'] for one in cls.node.machines('shell'))
        cls.other = cls.node.machine('other')['private_ip']

    def reached(self, to, port, words=''):
        connected, told = shell_app.connects(self.first, to, port)
        if connected:
            self.assertIn(words, told)
        return connected

    def address6(self, address):
        told = shell_app.run(address, 'ip -6 addr show dev eth0 scope global')
        return next(word.split('/')[0] for word in told.split() if word.startswith('fd'))

    def addresses_of(self, name):
        told = shell_app.run(self.first, f'nslookup -type=aaaa {name}')
        return set(re.findall(r'^Address: (fd[0-9a-f:]+)$', told, re.MULTILINE))

    def scenario_a_machine_reaches_the_internet_by_both_protocols_as_its_host(self):
        self.assertTrue(self.reached(internet.SERVER4, 80, f'you are {internet.HOST4}\n'))
        self.assertTrue(self.reached(internet.SERVER6, 443, f'you are {internet.HOST6}\n'))

    def scenario_a_machine_resolves_names_and_sends_no_mail(self):
        told = shell_app.run(self.first, 'cat /etc/resolv.conf; nslookup perigee.example.com')
        self.assertIn(f'nameserver {internet.SERVER4}', told)
        self.assertIn(f'Address: {internet.SERVER4}', told)
        for server in (internet.SERVER4, internet.SERVER6):
            self.assertFalse(self.reached(server, 25), f'mail to {server}')

    def scenario_machines_reach_their_own_app_and_no_other(self):
        self.assertTrue(self.reached(self.second, shell_app.PORT))
        self.assertTrue(self.reached(self.address6(self.second), shell_app.PORT))
        other6 = self.address6(self.other)
        self.assertFalse(self.reached(self.other, shell_app.PORT))
        self.assertFalse(self.reached(other6, shell_app.PORT))
        self.assertEqual(self.node.get('other')[0], 200)  # it is there, for whom it is meant

    def scenario_machines_find_their_own_app_by_name_and_no_other(self):
        ids = [one['id'] for one in self.node.machines('shell')]
        wanted = {self.address6(self.first), self.address6(self.second)}
        self.assertEqual(self.addresses_of('shell.internal'), wanted)
        self.assertEqual(self.addresses_of('loc.shell.internal'), wanted)
        one = [self.addresses_of(f'{machine}.vm.shell.internal') for machine in ids]
        self.assertEqual(set.union(*one), wanted)
        self.assertEqual([len(each) for each in one], [1, 1])
        for name in ('other.internal', 'nowhere.shell.internal'):
            self.assertEqual(self.addresses_of(name), set(), name)
        connected, _ = shell_app.connects(self.first, 'shell.internal', shell_app.PORT)
        self.assertTrue(connected)

    def scenario_bandwidth_and_disk_operations_are_bounded_as_configured(self):
        for address in (self.first, self.other):
            shell_app.run(address, 'head -c 6000000 /dev/zero >/www/bytes')
        fast, slow = self.download_s(self.first), self.download_s(self.other)
        self.assertGreater(slow, 3, '6 MB at 8 Mbit/s, of which a second at once')
        self.assertGreater(slow, 2 * fast)
        script = 'dd if=/dev/zero of=/direct bs=4k count=150 oflag=direct 2>&1 | tail -1'
        fast, slow = self.took_s(self.first, script), self.took_s(self.other, script)
        self.assertGreater(slow, 2, '150 writes at 50 a second')
        self.assertGreater(slow, 2 * fast)

    @staticmethod
    def download_s(address):
        start = time.monotonic()
        with urllib.request.urlopen(f'http://{address}:{shell_app.PORT}/bytes', timeout=30) as page:
            assert len(page.read()) == 6000000
        return time.monotonic() - start

    @staticmethod
    def took_s(address, script):
        start = time.monotonic()
        told = shell_app.run(address, script, 40)
        assert '150+0 records out' in told, told
        return time.monotonic() - start

    def scenario_a_policy_holds_at_once_and_without_a_restart(self):
        started = [one['updated_at'] for one in self.node.machines('shell')]
        self.set_policy('closed')
        self.becomes(False, internet.SERVER4, 80)
        self.assertFalse(self.reached(internet.SERVER6, 80))
        self.assertNotIn('Name:', shell_app.run(self.first, 'nslookup perigee.example.com'))
        self.assertTrue(self.reached(self.second, shell_app.PORT), 'its own app')
        self.set_policy('list', '--allow', f'{internet.SERVER4}:443', '--allow',
                        f'[{internet.SERVER6}]:80')
        self.becomes(True, internet.SERVER4, 443)
        self.assertFalse(self.reached(internet.SERVER4, 80))
        self.assertTrue(self.reached(internet.SERVER6, 80))
        self.assertFalse(self.reached(internet.SERVER6, 443))
        self.assertIn('list', self.node.cli('egress', 'show', '-a', 'shell').stdout)
        self.set_policy('internet')
        self.becomes(True, internet.SERVER4, 80)
        self.assertEqual([one['updated_at'] for one in self.node.machines('shell')], started)

    def scenario_a_deploy_sets_the_policy_of_its_file_and_leaves_it_alone_without(self):
        def deploy(lines):
            folder = shell_app.folder(self.folder / 'filed', 'filed', config=lines)
            return self.node.deploy(folder).stdout

        said = deploy(f'[egress]\nallow = ["{internet.SERVER4}:443"]\n')
        self.assertIn('egress policy: list', said)
        address = self.node.machine('filed')['private_ip']
        self.assertTrue(shell_app.connects(address, internet.SERVER4, 443)[0])
        self.assertFalse(shell_app.connects(address, internet.SERVER4, 80)[0])
        self.assertNotIn('egress', deploy(''))
        policy = self.node.api('GET', '/v1/apps/filed/egress')[1]
        self.assertEqual(policy, {'policy': 'list', 'allow': [f'{internet.SERVER4}/32:443']})
        address = self.node.machine('filed')['private_ip']
        self.assertFalse(shell_app.connects(address, internet.SERVER4, 80)[0])
        shown = json.loads(self.node.cli('config', 'show', '-a', 'filed').stdout)
        self.assertEqual(shown['egress'], policy)
        self.assertEqual(shown['release'], 2)
        self.assertEqual(shown['machine']['services'][0]['internal_port'], shell_app.PORT)

    def set_policy(self, *words):
        self.node.cli('egress', 'set', *words, '-a', 'shell')

    def becomes(self, wanted, to, port):
        wait_until(f'{to}:{port} is {"open" if wanted else "closed"}', APPLY_S,
                   lambda: self.reached(to, port) == wanted)

    def scenario_a_wrong_policy_is_refused_with_the_reason(self):
        status, answer = self.node.api('PUT', '/v1/apps/shell/egress',
                                       {'policy': 'list', 'allow': ['example.com:443']})
        self.assertEqual(status, 400)
        self.assertIn('not a network', str(answer))
        self.assertEqual(self.node.api('GET', '/v1/apps/shell/egress')[1]['policy'], 'internet')
