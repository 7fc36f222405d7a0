"""A hostile machine: what it sends and probes, and that nobody else notices.

Every "nothing arrived" here has its control: the same probe, sent the same way to where it is
allowed, does arrive.
"""

import contextlib
import socket
import subprocess
import threading
import time

import internet
import shell_app
from scenario import Scenario
from static_program import compile_static

MAGIC = b'PERIGEE-PROBE'
PORT = 9999
FUZZ_FRAMES = 20000
FUZZ_SEED = 20261126
METADATA = ('169.254.169.254', '169.254.170.2', '100.100.100.200', '192.0.0.192')


class Ear:
    """Listens on all addresses of the host, TCP and UDP, and on interfaces as a packet socket."""

    def __init__(self, interfaces):
        self.heard = []
        self.stack = contextlib.ExitStack()
        tcp = self._open(socket.AF_INET6, socket.SOCK_STREAM)
        tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        tcp.bind(('::', PORT))
        tcp.listen(64)
        udp = self._open(socket.AF_INET6, socket.SOCK_DGRAM)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        udp.bind(('::', PORT))
        self._follow(lambda: self._note('tcp', tcp.accept()[1][0]))
        self._follow(lambda: self._note('udp', udp.recvfrom(2048)[1][0]))
        for name in interfaces:
            packets = self._open(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            packets.bind((name, 3))
            self._follow(lambda packets=packets, name=name: self._sniff(packets, name))

    def _open(self, *kind):
        one = self.stack.enter_context(socket.socket(*kind))
        one.settimeout(0.2)
        return one

    def _follow(self, step):
        def run():
            while not self.closed:
                try:
                    step()
                except TimeoutError:
                    continue
                except OSError:
                    return
        self.closed = False
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.stack.callback(thread.join, 5)

    def _note(self, kind, peer):
        self.heard.append((kind, peer))

    def _sniff(self, packets, name):
        frame, where = packets.recvfrom(4096)
        if MAGIC in frame:
            self.heard.append((name, frame[:42].hex()))

    def take(self):
        """What was heard since the last time; waits for what is on its way."""
        time.sleep(0.5)
        heard, self.heard = self.heard, []
        return heard

    def close(self):
        self.closed = True
        self.stack.close()


class HostileTest(Scenario):
    @classmethod
    def setUpClass(cls):
        cls.internet = internet.Internet()
        cls.addClassCleanup(cls.internet.down)
        cls.internet.up()
        super().setUpClass()
        frames = compile_static(cls.folder, 'hostile/frames.c')
        cls.node.deploy(shell_app.folder(cls.folder / 'hostile', 'hostile', [frames]))
        cls.node.deploy(shell_app.folder(cls.folder / 'victim', 'victim'))
        cls.hostile = cls.node.machine('hostile')
        cls.victim = cls.node.machine('victim')
        cls.address = cls.hostile['private_ip']
        network = cls.address.rsplit('.', 2)[0]
        cls.gateway = f'{network}.0.1'
        cls.ear = Ear([cls.internet.link, f'pg-{cls.victim["id"][:12]}'])
        cls.addClassCleanup(cls.ear.close)

    def run_hostile(self, script, timeout=30):
        return shell_app.run(self.address, script, timeout)

    def host_addresses(self):
        told = subprocess.run(['ip', '-o', 'addr'], capture_output=True, text=True, check=True)
        found = {line.split()[3].split('/')[0] for line in told.stdout.splitlines()}
        return sorted(one for one in found if not one.startswith('fe80'))

    def scenario_the_host_the_node_and_metadata_are_out_of_reach(self):
        ports = (PORT, self.node.api_port, self.node.http_port, self.node.https_port, 22, 53)
        targets = [*self.host_addresses(), *METADATA, self.victim['private_ip']]
        self.assertIn(self.gateway, targets)
        script = ''.join(
            f'(echo | timeout 3 nc -w 2 {to} {port} >/dev/null 2>&1 && echo REACHED {to} {port})'
            ' &\n'
            for to in targets if not to.startswith('127.') and to != '::1' for port in ports)
        # Loopback of the host by way of the gateway, past the guest's own.
        detour = ('ip addr del 127.0.0.1/8 dev lo; ip route del local 127.0.0.1 table local; '
                  f'ip route add 127.0.0.1 via {self.gateway} dev eth0 onlink; '
                  f'echo | timeout 3 nc -w 2 127.0.0.1 {PORT} && echo REACHED loopback; '
                  'ip route del 127.0.0.1; ip addr add 127.0.0.1/8 dev lo\n')
        told = self.run_hostile(script + 'wait\n' + detour)
        # The node's resolver alone, which is there for every machine (docs/names.md).
        reached = [line for line in told.splitlines() if 'REACHED' in line]
        self.assertEqual(reached, [f'REACHED {self.gateway} 53'])
        self.assertEqual(self.ear.take(), [])
        self.assertEqual(self.run_hostile(f'ping -c 1 -W 2 {self.gateway} | grep -c "1 packets '
                                          'received"').strip(), '0')
        # The control: the ear hears, and the machine's probes arrive where they may.
        with socket.create_connection(('127.0.0.1', PORT), 5):
            pass
        self.assertEqual([kind for kind, _ in self.ear.take()], ['tcp'])
        self.assertTrue(shell_app.connects(self.address, internet.SERVER4, 80)[0])

    def scenario_spoofed_addresses_go_nowhere(self):
        victim = self.victim['private_ip']
        other = '02:11:22:33:44:55'
        open_port = f'udp - {self.address} {internet.SERVER4} 53'
        self.assertIn('sent 1', self.run_hostile(f'frames {open_port}'))
        heard = self.ear.take()
        self.assertEqual([where for where, _ in heard], [self.internet.link], 'the control')
        neighbours = self.neighbours()
        for words in (f'udp {other} {self.address} {internet.SERVER4} 53',
                      f'udp - {victim} {internet.SERVER4} 53',
                      f'udp {other} {victim} {internet.SERVER4} 53',
                      f'udp - {self.gateway} {internet.SERVER4} 53',
                      f'udp - 198.51.100.7 {internet.SERVER4} 53',
                      f'udp - 127.0.0.1 {self.gateway} {PORT}',
                      f'udp - {self.address} {self.gateway} {PORT}',
                      f'udp - {self.address} {victim} {PORT}',
                      f'udp - {internet.HOST6} {internet.SERVER6} 53',
                      f'udp - fd00::1 {internet.SERVER6} 53',
                      f'udp - fe80::1 ff02::1 {PORT}',
                      f'arp - {victim} {self.gateway}', f'arp - {self.gateway} {victim}',
                      f'arp {other} {self.address} {self.gateway}',
                      f'arp - 203.0.113.10 {self.gateway}'):
            self.assertIn('sent', self.run_hostile(f'frames {words}'), words)
        self.assertEqual(self.ear.take(), [])
        self.assertEqual(self.neighbours(), neighbours, 'what the host knows of its neighbours')
        self.assertEqual(self.node.get('victim')[0], 200)
        self.assertEqual(self.node.get('hostile')[0], 200)

    @staticmethod
    def neighbours():
        told = subprocess.run(['ip', 'neigh'], capture_output=True, text=True, check=True).stdout
        return sorted(line for line in told.splitlines() if ' dev pg' in line)

    def scenario_malformed_frames_of_every_kind_harm_nobody(self):
        targets = (self.gateway, self.victim['private_ip'], internet.SERVER4, '255.255.255.255',
                   '224.0.0.1', '127.0.0.1')
        told = self.run_hostile(f'frames fuzz {FUZZ_FRAMES} {FUZZ_SEED} {" ".join(targets)}', 60)
        sent = int(told.split('sent ')[1].split()[0])
        self.assertGreater(sent, FUZZ_FRAMES / 2)
        reached = {where for where, _ in self.ear.take()}
        # Whole packets to the internet pass: that is the control. Nobody else hears anything.
        self.assertEqual(reached, {self.internet.link})
        self.host_is_usable()

    def host_is_usable(self):
        self.assertEqual(self.node.get('victim')[0], 200)
        self.assertIn('victim', self.node.cli('status', '-a', 'victim').stdout)
        self.assertEqual(self.node.machine('victim')['state'], 'started')
