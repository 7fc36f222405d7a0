"""Into a running machine: commands, consoles, signals, against real VMs."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import images
from perigee_node import BIN, wait_until
from scenario import Scenario

# Counts lines for ever, answers SIGUSR1, and has a page.
APP = ('mkdir -p /www; echo page > /www/index.html; cd /; '
       'trap "echo got USR1" USR1; httpd -p 8080 -h /www; '
       'i=0; while true; do echo "count $i"; i=$((i+1)); sleep 0.1; done')
BUSYBOX = ['cat', 'echo', 'head', 'httpd', 'id', 'ls', 'mkdir', 'ps', 'seq', 'sleep', 'stty', 'tr',
           'tty', 'wc', 'yes']


def app_folder(folder, app):
    links = '; '.join(f'/bin/busybox ln -sf busybox /bin/{name}' for name in BUSYBOX)
    return images.scratch_folder(folder, app, ['/bin/busybox', 'sh', '-c', f'{links}; {APP}'])


class ExecTest(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.deploy(app_folder(cls.folder / 'in', 'in'))
        cls.machine = cls.node.machine('in')['id']
        cls.path = f'/v1/apps/in/machines/{cls.machine}'

    # ---- helpers ----

    def run_in(self, *command, options=(), data=b'', timeout=60):
        """`perigee machine exec`: the finished process, bytes in and out."""
        words = [BIN / 'perigee', 'machine', 'exec', '-a', 'in', self.machine, *options, '--',
                 *command]
        return subprocess.run(words, env=self.node.environment, input=data, capture_output=True,
                              timeout=timeout, check=False)

    def processes_in(self):
        """The command lines of the machine's processes."""
        return self.run_in('ps', '-o', 'args').stdout.decode()

    def lines(self):
        """The app's numbers so far, as the log has them."""
        text = self.node.cli('logs', '-a', 'in', '--no-tail', '--lines', '10000').stdout
        return [int(number) for number in re.findall(r'count (\d+)$', text, re.MULTILINE)]

    @contextlib.contextmanager
    def console(self, *words):
        """`perigee console` on a pseudo terminal: its process and the master's descriptor."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 30, 100, 0, 0))
        before = termios.tcgetattr(slave)
        process = subprocess.Popen(
            [BIN / 'perigee', 'console', '-a', 'in', *words], stdin=slave, stdout=slave,
            stderr=slave, env=self.node.environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        try:
            yield process, master
            self.assertEqual(termios.tcgetattr(slave), before, 'the terminal was left raw')
        finally:
            process.kill()
            process.wait()
            os.close(master)
            os.close(slave)

    def read_until(self, master, words, seconds=30):
        text = b''
        end = time.monotonic() + seconds
        while words not in text:
            left = end - time.monotonic()
            ready = select.select([master], [], [], max(left, 0))[0]
            self.assertTrue(ready, f'{words!r} did not come; got {text[-2000:]!r}')
            text += os.read(master, 4096)
        return text

    # ---- scenarios ----

    def scenario_what_runs_in_a_machine_is_shown(self):
        status, found = self.node.api('GET', f'{self.path}/ps?sort_by=pid')
        self.assertEqual(status, 200, found)
        self.assertEqual(found[0]['pid'], 1)
        by_command = {one['command']: one for one in found}
        server = by_command['httpd -p 8080 -h /www']
        self.assertEqual([one['proto'] for one in server['listen_sockets']], ['tcp'])
        self.assertTrue(server['listen_sockets'][0]['address'].endswith(':8080'), server)
        self.assertEqual(server['directory'], '/www')
        self.assertGreater(server['rss'], 0)
        self.assertLess(abs(time.time() - server['stime'] - server['rtime']), 10, server)
        app = found[1]
        self.assertTrue(app['command'].startswith('/bin/busybox sh -c'), app)
        self.assertEqual((app['listen_sockets'], app['directory']), ([], '/'))
        self.assertEqual([one for one in found if 'kthreadd' in one['command']], [])
        told = self.node.cli('machine', 'ps', '-a', 'in', self.machine).stdout
        self.assertRegex(told, r':8080 +httpd -p 8080 -h /www')
        told = self.node.cli('machine', 'ps', '-a', 'in', self.machine, '--json').stdout
        self.assertIn(server['pid'], [one['pid'] for one in json.loads(told)])

    def scenario_an_app_that_wants_a_terminal_has_one(self):
        script = ('test -t 0 && test -t 1 && test -t 2 && echo "on $(/bin/busybox tty)"; '
                  'echo to stderr >&2; exec /bin/busybox sleep 1000')
        image = self.node.machine('in')['config']['image']
        for tty in (True, False):
            config = {'image': image, 'init': {'exec': ['/bin/busybox', 'sh', '-c', script],
                                               'tty': tty}}
            status, made = self.node.api('POST', '/v1/apps/in/machines', {'config': config})
            self.assertEqual(status, 200, made)
            self.assertEqual(made['config']['init'].get('tty', False), tty)
            logs = ('logs', '-a', 'in', '--machine', made['id'], '--no-tail', '--json')
            wait_until('the app writes', 30, lambda: 'to stderr' in self.node.cli(*logs).stdout)
            text = self.node.cli(*logs).stdout
            self.assertEqual('on /dev/pts/0' in text, tty, text)
            self.assertEqual(self.node.api('DELETE', f'/v1/apps/in/machines/{made["id"]}'
                                           '?force=true')[0], 200)
        status, answer = self.node.api('POST', '/v1/apps/in/machines',
                                       {'config': {'image': image, 'init': {'tty': 'yes'}}})
        self.assertEqual(status, 400)
        self.assertIn('init: tty', answer['error'])
        wait_until('they are gone', 30, lambda: len(self.node.machines('in')) == 1)

    def scenario_a_command_gets_input_and_gives_output_and_its_exit_code(self):
        done = self.run_in('sh', '-c', 'tr a-z A-Z; echo oops >&2; exit 7', data=b'over there\n')
        self.assertEqual((done.stdout, done.stderr, done.returncode),
                         (b'OVER THERE\n', b'oops\n', 7))
        binary = bytes(range(256)) * 2000  # any bytes, the channel's own marks among them
        binary += bytes.fromhex('f59c1ed342b7086fa15de93077c48b12') * 3
        done = self.run_in('cat', data=binary)
        self.assertEqual((done.stdout == binary, done.returncode), (True, 0))
        done = self.run_in('nosuch')
        self.assertIn(b'command "nosuch": not found', done.stderr)
        self.assertNotEqual(done.returncode, 0)

    def scenario_a_command_over_the_api(self):
        status, value = self.node.api('POST', f'{self.path}/exec', {
            'cmd': "sh -c 'cat; echo err >&2; exit 3'", 'stdin': 'in', 'timeout': 30})
        self.assertEqual((status, value), (200, {'exit_code': 3, 'exit_signal': 0,
                                                 'stdout': 'in', 'stderr': 'err\n'}))
        status, value = self.node.api('POST', f'{self.path}/exec', {
            'command': ['sh', '-c', 'kill -9 $$']})
        self.assertEqual((value['exit_code'], value['exit_signal']), (137, 9))
        status, value = self.node.api('POST', f'{self.path}/exec', {
            'command': ['sleep', '4321'], 'timeout': 1})
        self.assertEqual(status, 408, value)
        wait_until('the command is killed', 20, lambda: 'sleep 4321' not in self.processes_in())

    def scenario_a_console_is_a_terminal(self):
        with self.console() as (process, master):
            os.write(master, b'tty; stty size; echo $TERM-$((1+1))-it\n')
            text = self.read_until(master, b'-2-it\r\n')
            self.assertIn(b'/dev/pts/', text)
            self.assertIn(b'30 100', text)
            fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack('HHHH', 50, 132, 0, 0))
            os.kill(process.pid, signal.SIGWINCH)
            time.sleep(0.5)
            os.write(master, b"stty size; sh -c 'echo go-$((3+4)); exec sleep 1000'\n")
            self.assertIn(b'50 132', self.read_until(master, b'go-7'))
            os.write(master, b'\x03')  # ends the sleep, not the shell
            os.write(master, b'echo still $((1+1)) here; exit 5\n')
            self.read_until(master, b'still 2 here\r\n')
            self.assertEqual(process.wait(20), 5)

    def scenario_a_console_works_in_a_pipe(self):
        done = subprocess.run([BIN / 'perigee', 'ssh', 'console', '-a', 'in', '-C', 'sh -s'],
                              env=self.node.environment, input=b'id -u; exit 6\n',
                              capture_output=True, timeout=60, check=False)
        self.assertEqual((done.stdout, done.returncode), (b'0\n', 6))

    def scenario_several_at_once(self):
        done = {}

        def one(number):
            done[number] = self.run_in('sh', '-c', f'sleep 1; seq {number} {number + 2}')

        threads = [threading.Thread(target=one, args=(i * 10,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number, result in done.items():
            self.assertEqual(result.stdout.decode().split(), [str(number + i) for i in range(3)])

    def scenario_a_slow_reader_holds_up_neither_app_nor_others(self):
        slow = subprocess.Popen(
            [BIN / 'perigee', 'machine', 'exec', '-a', 'in', self.machine, '--', 'sh', '-c',
             'yes 0123456789abcde | head -c 4000000'],
            env=self.node.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            time.sleep(1)
            before = self.lines()[-1]
            self.assertEqual(self.run_in('echo', 'quick').stdout, b'quick\n')
            wait_until('the app logs on', 20, lambda: self.lines()[-1] > before + 5)
            self.assertIsNone(slow.poll(), 'nobody read, and yet it has ended')
            size = len(slow.stdout.read())
            self.assertEqual((size, slow.wait(20)), (4000000, 0))
        finally:
            slow.kill()
            slow.stdout.close()
            slow.wait()
        numbers = self.lines()
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))

    def scenario_signals_reach_the_app_and_become_events(self):
        self.node.cli('machine', 'kill', '-a', 'in', self.machine, '--signal', 'SIGUSR1')
        wait_until('the app says so', 20, lambda: 'got USR1' in self.node.cli(
            'logs', '-a', 'in', '--no-tail').stdout)

        def events():
            return [(event['type'], event['status']) for event in self.node.machine('in')['events']]

        wait_until('it is an event', 20, lambda: ('signal', 'SIGUSR1') in events())
        status, value = self.node.api('POST', f'{self.path}/signal', {'signal': 'SIGNOT'})
        self.assertEqual(status, 400, value)

    def scenario_the_kernel_s_console_can_be_read(self):
        self.run_in('sh', '-c', 'echo a kernel line > /dev/kmsg; echo seen > /dev/console')
        wait_until('it is in the console log', 20, lambda: 'seen' in self.node.cli(
            'machine', 'console-log', '-a', 'in', self.machine).stdout)

    def scenario_a_client_or_daemon_killed_in_mid_exec_leaves_nothing_behind(self):
        for role in (None, 'control', 'worker'):
            client = subprocess.Popen(
                [BIN / 'perigee', 'machine', 'exec', '-a', 'in', self.machine, '--', 'sh', '-c',
                 'sleep 5432; echo never'],
                env=self.node.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE)
            try:
                wait_until('it runs', 30, lambda: 'sleep 5432' in self.processes_in())
                os.kill(client.pid if role is None else self.node.role_pid(role), signal.SIGKILL)
                out, error = client.communicate(timeout=30)
                self.assertEqual(out, b'')
                if role:
                    self.assertIn(b'the session was cut', error)
            finally:
                client.kill()
                client.wait()
            wait_until('the command is gone', 30, self.sleep_is_gone)
        self.page_is('in', 'page')

    def sleep_is_gone(self):
        done = self.run_in('ps', '-o', 'args')
        return done.returncode == 0 and b'sleep 5432' not in done.stdout

    def scenario_zz_a_stopped_machine_says_what_it_is(self):
        self.node.api('POST', f'{self.path}/stop')
        self.assertEqual(self.node.api('GET', f'{self.path}/wait?state=stopped&timeout=20')[0], 200)
        status, value = self.node.api('POST', f'{self.path}/exec', {'cmd': 'ls'})
        self.assertEqual((status, 'is stopped' in value['error']), (409, True), json.dumps(value))
        done = self.run_in('ls')
        self.assertIn(b'is stopped', done.stderr)
        self.assertNotEqual(done.returncode, 0)
