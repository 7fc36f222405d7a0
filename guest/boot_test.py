#!/usr/bin/env python3
"""boot_test.py IMAGE [NAME...]: boots microVMs (QEMU, TCG) with IMAGE/{vmlinux,initrd.cpio} and
checks perigee-init over the control channel: what it runs and how, output, exit, failures, a host
that goes away and comes back, and the network. Needs root only for the network test (a tap), which
is reported as skipped without. Exits with 77 when QEMU or mkfs.erofs is missing."""
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request

import guest_vm
import xts
from guest_vm import (EXEC_CLOSE, EXEC_CREDIT, EXEC_EXITED, EXEC_INPUT_CREDIT, EXEC_OUTPUT,
                      EXEC_RESIZE, EXEC_SIGNAL, EXEC_STARTED, EXITED, EXITED_STATE, FAILED, HELLO,
                      HOST_MAGIC, INQUIRE, LISTENING, OUTPUT, PING, PONG, RUNNING, SHUTDOWN,
                      SIGNAL, STARTED, STATS, TIME, WAITING, Channel, Vm, configure, exec_frame,
                      exec_input, frame, output_of, parse_stats)

TAP = 'pgboot0'


class Skip(Exception):
    pass


class Bench:
    """The files that all tests share, and a VM per call."""

    def __init__(self, image, folder):
        self.image, self.folder, self.count = image, folder, 0
        self.khz = guest_vm.tsc_khz()
        self.layer = os.path.join(folder, 'busybox.erofs')
        guest_vm.make_layer(self.layer, guest_vm.busybox_layer)

    def boot(self, layers=None, initrd='initrd.cpio', **options):
        self.count += 1
        folder = os.path.join(self.folder, 'vm%d' % self.count)
        os.mkdir(folder)
        upper = os.path.join(folder, 'upper.ext4')
        guest_vm.make_upper(upper)
        return Vm(folder, os.path.join(self.image, 'vmlinux'),
                  os.path.join(self.image, initrd), layers or [self.layer], upper, self.khz,
                  **options)

    def run(self, vm, *argv, **fields):
        """Configures and runs to the end: all messages from Hello to Exited."""
        vm.channel.send(configure(argv=list(argv), **{'layers': 1, **fields}))
        messages = vm.channel.until(STARTED)
        print('    started %.0f ms after the fork' % ((time.monotonic() - vm.forked) * 1000))
        messages += vm.channel.until(EXITED)
        assert vm.wait() == 0, 'QEMU failed'
        return messages

    def fails(self, *argv, volumes=(), initrd='initrd.cpio', **fields):
        """The sentence of a machine that can't start its app."""
        with self.boot(volumes=volumes, initrd=initrd) as vm:
            vm.channel.send(configure(argv=list(argv), **{'layers': 1, **fields}))
            message = vm.channel.until(FAILED)[-1]['message']
            assert vm.wait() == 0, 'QEMU failed'
            assert message in vm.console_text(), 'the console does not say it'
            return message


def expect(text, *parts):
    for part in parts:
        assert part in text, '%r is not in:\n%s' % (part, text)


def test_runs_the_app_as_configured(bench):
    script = ('id; pwd; hostname; echo "GREETING=$GREETING HOME=$HOME"; cat /etc/resolv.conf;'
              'cat /etc/hosts; ulimit -n; ls -d /run/kept /tmp /dev/shm; echo to stderr >&2;'
              'exit 3')
    with bench.boot() as vm:
        messages = bench.run(vm, 'sh', '-c', script, env=['GREETING=hi there'], user='web',
                             workdir='/srv/new', hostname='m1', nameservers=['10.0.0.53'],
                             hosts=['10.0.0.2 m1.internal'])
    hello = messages[0]
    assert (hello['kind'], hello['version'], hello['state']) == (HELLO, 1, WAITING), hello
    assert messages[1]['kind'] == STARTED
    text = output_of(messages, 1).decode()
    expect(text, 'uid=1000(web) gid=1001(web) groups=4(adm),5(log)', '/srv/new\n', 'm1\n',
           'GREETING=hi there HOME=/home/web', 'nameserver 10.0.0.53', '10.0.0.2 m1.internal',
           '10240', '/run/kept\n', '/tmp\n')
    assert output_of(messages, 2) == b'to stderr\n'
    assert (messages[-1]['code'], messages[-1]['signal'], messages[-1]['oom']) == (3, 0, 0)


def test_layers_are_joined_lowest_first(bench):
    def upper_layer(folder):
        os.makedirs(os.path.join(folder, 'etc'))
        for name, text in (('layer', 'higher'), ('only-above', 'new')):
            with open(os.path.join(folder, 'etc', name), 'w') as file:
                file.write(text + '\n')

    layers = [bench.layer]
    for index in range(3):
        layers.append(os.path.join(bench.folder, 'above%d.erofs' % index))
        guest_vm.make_layer(layers[-1], upper_layer if index == 2 else lambda _: None)
    with bench.boot(layers=layers) as vm:
        script = 'cat /etc/layer /etc/only-above; echo w > /etc/layer && cat /etc/layer'
        messages = bench.run(vm, 'sh', '-c', script, layers=4, upper_disk=4)
    assert output_of(messages) == b'higher\nnew\nw\n', output_of(messages)


def test_reports_what_it_can_not_start(bench):
    expect(bench.fails('nosuch', '-x'), 'command "nosuch": not found', '/usr/local/sbin')
    expect(bench.fails('/bin/broken'), 'command "/bin/broken"', 'interpreter')
    expect(bench.fails('true', user='nobody'), 'user "nobody": not in the image')
    expect(bench.fails('true', layers=2), '/dev/vdb (image layer 2)')
    expect(bench.fails('true', addresses=['10.9.0.2/32']), 'no eth0')


def test_an_encrypted_volume_keeps_what_is_written_and_shows_the_host_none_of_it(bench):
    key, path = os.urandom(xts.KEY_BYTES), os.path.join(bench.folder, 'volume.ext4')
    guest_vm.make_upper(path, '-b', str(xts.SECTOR))
    xts.encrypt_file(path, key)
    volume = dict(volume=(2, '/data'), volume_key=(2, key))
    initrd = 'initrd-encryption.cpio'
    with bench.boot(volumes=[path], initrd=initrd) as vm:
        bench.run(vm, 'sh', '-c', 'echo planted-text >/data/file', **volume)
    with bench.boot(volumes=[path], initrd=initrd) as vm:
        messages = bench.run(vm, 'sh', '-c', 'cat /data/file; mount | grep /data', **volume)
    expect(output_of(messages).decode(), 'planted-text\n', '/dev/dm-0 on /data type ext4')
    with open(path, 'rb') as file:
        disk = file.read()
    assert b'planted-text' not in disk
    assert b'planted-text' in xts.Xts(key).decrypt(0, disk), 'it was not searched for rightly'
    wrong = dict(volume, volume_key=(2, os.urandom(xts.KEY_BYTES)))
    expect(bench.fails('true', volumes=[path], initrd=initrd, **wrong), 'volume /data',
           'its key is not the one')


def test_signals_reach_the_app(bench):
    with bench.boot() as vm:
        vm.channel.send(configure(argv=['sh', '-c', 'trap "echo got it; exit 9" TERM; echo ready;'
                                        'while true; do sleep 1; done'], layers=1))
        vm.channel.until(OUTPUT)
        vm.channel.send(frame(SIGNAL, struct.pack('<I', 15)))
        messages = vm.channel.until(EXITED)
        expect(output_of(messages).decode(), 'got it')
        assert (messages[-1]['code'], messages[-1]['signal']) == (9, 0)
        assert vm.wait() == 0
    with bench.boot() as vm:
        vm.channel.send(configure(argv=['sleep', '1000'], layers=1))
        vm.channel.until(STARTED)
        vm.channel.send(frame(SIGNAL, struct.pack('<I', 9)))
        exited = vm.channel.until(EXITED)[-1]
        assert (exited['code'], exited['signal'], exited['oom']) == (137, 9, 0), exited
        assert vm.wait() == 0


def test_clock_ping_orphans_and_shutdown(bench):
    script = ('(sleep 0.1 & sleep 0.1 &); echo up; sleep 1; echo "zombies:" `grep -l "State:.Z" '
              '/proc/[0-9]*/status | wc -l`; date +now:%s; sleep 1000')
    with bench.boot() as vm:
        vm.channel.send(configure(argv=['sh', '-c', script], layers=1))
        vm.channel.until(OUTPUT)
        vm.channel.send(frame(TIME, struct.pack('<Q', 2_000_000_000 * 10**9)))
        vm.channel.send(frame(PING, struct.pack('<Q', 42)))
        messages = vm.channel.until(PONG)
        assert messages[-1]['data'] == struct.pack('<Q', 42)
        while b'now:' not in output_of(messages):
            messages += vm.channel.until(OUTPUT)
        expect(output_of(messages).decode(), 'zombies: 0\n', 'now:20000000')
        vm.channel.send(frame(SHUTDOWN))
        exited = vm.channel.until(EXITED)[-1]
        assert (exited['code'], exited['signal']) == (137, 9), exited
        assert vm.wait() == 0


def test_reports_what_it_listens_on_and_counts(bench):
    script = 'httpd -p 127.0.0.1:3000; echo up; sleep 1000'
    with bench.boot() as vm:
        vm.channel.send(configure(argv=['sh', '-c', script], layers=1))
        vm.channel.until(OUTPUT)
        vm.channel.send(frame(INQUIRE, b'\1'))
        data = vm.channel.until(LISTENING)[-1]['data']
        assert data == struct.pack('<HB4sHB', 1, 4, bytes([127, 0, 0, 1]), 3000, 5) + b'httpd', data
        vm.channel.send(frame(INQUIRE, b'\2'))
        stats = parse_stats(vm.channel.until(STATS)[-1]['data'])
        assert 60 << 20 < stats['memory'][0] < 256 << 20, stats['memory']
        assert [name for name, _ in stats['cpus']] == ['0'] and sum(stats['cpus'][0][1]) > 0, stats
        assert {name for name, _ in stats['disks']} == {'vda', 'vdb'}, stats['disks']
        assert [name for name, _ in stats['filesystems']][0] == '/', stats['filesystems']
        vm.channel.send(frame(SHUTDOWN))
        vm.channel.until(EXITED)
        assert vm.wait() == 0


def numbered_lines(count):
    return ['sh', '-c', 'i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); done' % count]


def test_a_new_host_loses_no_line(bench):
    """Ten hosts in turn, each cut at some byte, without acknowledging all they read."""
    count, seen = 3000, {}
    with bench.boot() as vm:
        vm.channel.send(configure(argv=numbered_lines(count), layers=1))
        vm.channel.until(STARTED)
        channel, ended, hosts = vm.channel, None, 1
        while ended is None:
            limit = 5 + hosts * 3 if hosts < 10 else 10**9
            for _ in range(limit):
                message = channel.next()
                assert message is not None, 'the VM ended early'
                if message['kind'] == OUTPUT:
                    seen[message['sequence']] = message['bytes']
                    if message['sequence'] % 3 == 0:
                        channel.ack(message['sequence'])
                if message['kind'] == EXITED:
                    ended = message
                    channel.ack(message['sequence'])
                    break
            if ended is None:
                channel.send(frame(PING, b'12345678')[:7])  # cut inside a frame
                channel.close()
                time.sleep(0.05 if hosts % 2 else 0)
                channel, hosts = Channel(vm.path, channel.received), hosts + 1
        assert vm.wait() == 0
        channel.close()
    text = b''.join(seen[key] for key in sorted(seen)).decode()
    assert sorted(seen) == list(range(1, ended['sequence'])), 'a sequence number is missing'
    assert text == ''.join('line %d\n' % i for i in range(count)), 'lines were lost or doubled'
    assert hosts == 10


def test_exit_waits_for_the_next_host(bench):
    with bench.boot() as vm:
        vm.channel.send(configure(argv=['sh', '-c', 'sleep 1; echo last words; exit 4'], layers=1))
        vm.channel.until(STARTED)
        vm.channel.close()
        before = vm.cpu_seconds()
        time.sleep(2.5)
        assert vm.process.poll() is None, 'the VM ended before anyone heard of it'
        assert vm.cpu_seconds() - before < 0.8, 'init spins while no host is connected'
        second = Channel(vm.path)
        messages = second.until(EXITED)
        assert messages[0]['state'] == EXITED_STATE, messages[0]
        assert output_of(messages) == b'last words\n' and messages[-1]['code'] == 4
        assert vm.wait() == 0
        second.close()


def test_output_is_bounded_by_back_pressure_then_dropped(bench):
    with bench.boot() as vm:
        script = 'yes 0123456789abcdef | head -c 1500000; echo; echo end; sleep 1000'
        vm.channel.send(configure(argv=['sh', '-c', script], layers=1))
        vm.channel.until(STARTED)
        time.sleep(1)
        messages = []  # a host that is there but slow loses nothing
        while not output_of(messages).endswith(b'end\n'):
            messages += vm.channel.until(OUTPUT)
        assert len(output_of(messages)) == 1500000 + 1 + 4
        vm.channel.close()
        time.sleep(0.3)
        again = Channel(vm.path, vm.channel.received)
        hello = again.until(HELLO)[-1]
        assert (hello['state'], hello['dropped']) == (RUNNING, 0), hello
        again.send(frame(SHUTDOWN))
        again.until(EXITED)
        assert vm.wait() == 0
        again.close()


def test_a_machine_without_a_host_drops_old_output_and_says_so(bench):
    with bench.boot() as vm:
        script = 'sleep 1; yes 0123456789abcdef | head -c 3000000; echo; echo end; sleep 1000'
        vm.channel.send(configure(argv=['sh', '-c', script], layers=1))
        vm.channel.until(STARTED)
        vm.channel.close()
        time.sleep(9)
        again = Channel(vm.path)
        messages = again.until(HELLO)
        dropped = messages[0]['dropped']
        while not output_of(messages).endswith(b'end\n'):
            messages += again.until(OUTPUT)
        total = len(output_of(messages)) + dropped
        assert dropped > 0 and total == 3000000 + 1 + 4, (dropped, total)
        again.send(frame(SHUTDOWN))
        again.until(EXITED)
        assert vm.wait() == 0
        again.close()


def test_out_of_memory_is_reported(bench):
    with bench.boot(memory=96) as vm:
        messages = bench.run(vm, 'sh', '-c', 'exec tail /dev/zero')
    exited = messages[-1]
    assert (exited['code'], exited['signal'], exited['oom']) == (137, 9, 1), exited


def test_power_off_ends_qemu_too(bench):
    with bench.boot(exit_by='poweroff') as vm:
        assert bench.run(vm, 'true')[-1]['code'] == 0


class Execs:
    """Sessions on one channel; gives credit for all output, unless told not to."""

    def __init__(self, channel):
        self.channel, self.app, self.slow = channel, b'', set()
        self.output, self.ended, self.started, self.taken = {}, {}, {}, {}

    def start(self, session, *argv, **options):
        self.output[session], self.taken[session] = {1: b'', 2: b''}, 0
        self.channel.send(exec_frame(session, *argv, **options))

    def step(self):
        message = self.channel.next()
        kind, session = message['kind'], message.get('session')
        if kind == OUTPUT:
            self.app += message['bytes']
            self.channel.ack(message['sequence'])
        elif kind == EXEC_STARTED:
            self.started[session] = message['message'] or message['pid']
        elif kind == EXEC_OUTPUT:
            self.output[session][message['stream']] += message['bytes']
            if session not in self.slow:
                self.channel.send(frame(EXEC_CREDIT,
                                        struct.pack('<II', session, len(message['bytes']))))
        elif kind == EXEC_INPUT_CREDIT:
            self.taken[session] += message['credit']
        elif kind == EXEC_EXITED:
            self.ended[session] = (message['code'], message['signal'])

    def until(self, condition):
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, (self.ended, self.started)
            self.step()

    def end_of(self, session):
        self.until(lambda: session in self.ended)
        return self.output[session][1], self.output[session][2], self.ended[session]


def app_and_execs(vm):
    """An app that counts, as user web in /srv, with GREETING set; sessions beside it."""
    script = 'i=0; while true; do echo tick $i; i=$((i+1)); sleep 0.05; done'
    vm.channel.send(configure(argv=['sh', '-c', script], layers=1, user='web', workdir='/srv',
                              env=['GREETING=hi']))
    vm.channel.until(STARTED)
    return Execs(vm.channel)


def test_exec_runs_beside_the_app(bench):
    with bench.boot() as vm:
        execs = app_and_execs(vm)
        execs.start(1, 'sh', '-c', 'cat; id -un; pwd; echo $GREETING $MORE; echo oops >&2; exit 7',
                    env=['MORE=there'])
        data = b'\0any bytes ' + HOST_MAGIC + b' \xf4\xf5\n'
        vm.channel.send(exec_input(1, data) + exec_input(1, b'', end=True))
        out, err, end = execs.end_of(1)
        assert out == data + b'web\n/srv\nhi there\n', out
        assert (err, end, execs.taken[1]) == (b'oops\n', (7, 0), len(data))
        execs.start(2, 'id', '-un', user='root', directory='/')
        assert execs.end_of(2) == (b'root\n', b'', (0, 0))
        execs.start(3, 'nosuch')
        execs.until(lambda: 3 in execs.started)
        expect(execs.started[3], 'command "nosuch": not found')
        execs.start(4, 'sleep', '1000')
        execs.until(lambda: 4 in execs.started)
        vm.channel.send(frame(EXEC_SIGNAL, struct.pack('<II', 4, 15)))
        assert execs.end_of(4) == (b'', b'', (143, 15))
        execs.start(5, 'sh', '-c', 'sleep 1000 & echo started')  # a job that goes on
        assert execs.end_of(5) == (b'started\n', b'', (0, 0))
        vm.channel.send(frame(SHUTDOWN))


def test_exec_with_a_terminal(bench):
    with bench.boot() as vm:
        execs = app_and_execs(vm)
        execs.start(1, 'sh', window=(24, 80))
        vm.channel.send(exec_input(1, b'tty; stty size; echo $TERM\n'))
        execs.until(lambda: b'xterm\r\n' in execs.output[1][1])
        expect(execs.output[1][1].decode(), '/dev/pts/', '24 80')
        vm.channel.send(frame(EXEC_RESIZE, struct.pack('<IHHB', 1, 50, 132, 0)))
        vm.channel.send(exec_input(1, b'stty size; sleep 1000\n'))
        execs.until(lambda: b'50 132' in execs.output[1][1])
        vm.channel.send(exec_input(1, b'\x03'))  # ^C ends the sleep, not the shell
        vm.channel.send(exec_input(1, b'echo st""ill here\nexit 4\n'))
        out, _, end = execs.end_of(1)
        expect(out.decode(), 'still here\r\n')
        assert end == (4, 0), end
        vm.channel.send(frame(SHUTDOWN))


def test_a_slow_session_holds_up_neither_the_app_nor_others(bench):
    with bench.boot() as vm:
        execs = app_and_execs(vm)
        execs.slow.add(1)
        execs.start(1, 'sh', '-c', 'yes 0123456789abcde | head -c 300000')
        execs.until(lambda: len(execs.output[1][1]) == 65536)  # the window
        before = len(execs.app)
        execs.start(2, 'sh', '-c', 'echo quick')
        assert execs.end_of(2) == (b'quick\n', b'', (0, 0))
        execs.until(lambda: len(execs.app) > before + 100)
        assert len(execs.output[1][1]) == 65536 and 1 not in execs.ended
        execs.slow.remove(1)
        vm.channel.send(frame(EXEC_CREDIT, struct.pack('<II', 1, 65536)))
        out, _, end = execs.end_of(1)
        assert (len(out), end) == (300000, (0, 0))
        vm.channel.send(frame(SHUTDOWN))


def test_sessions_are_killed_with_their_client_or_host(bench):
    with bench.boot() as vm:
        execs = app_and_execs(vm)
        # A shell with a job in a group of its own.
        execs.start(1, 'sh', '-c', 'set -m; sleep 777 & sleep 777', window=(24, 80))
        execs.until(lambda: 1 in execs.started)
        time.sleep(0.3)
        vm.channel.send(frame(EXEC_CLOSE, struct.pack('<I', 1)))
        execs.start(2, 'sh', '-c', 'sleep 0.3; ps | grep -c "[s]leep 777"')
        assert execs.end_of(2)[0] == b'0\n', execs.output
        execs.start(3, 'sleep', '888')
        execs.until(lambda: 3 in execs.started)
        vm.channel.close()
        second = Channel(vm.path, vm.channel.received)
        execs = Execs(second)
        execs.start(1, 'sh', '-c', 'sleep 0.3; ps | grep -c "[s]leep 888"')
        assert execs.end_of(1)[0] == b'0\n', execs.output
        second.send(frame(SHUTDOWN))
        second.until(EXITED)
        second.close()


def test_an_app_with_a_terminal(bench):
    with bench.boot() as vm:
        messages = bench.run(vm, 'sh', '-c', 'tty; echo err >&2', tty=1)
    expect(output_of(messages).decode(), '/dev/pts/', 'err\n')
    assert b'\r' not in output_of(messages)


def ip(*words):
    subprocess.run(['ip', *words], check=True, capture_output=True)


def test_network(bench):
    if os.geteuid() != 0 or not os.path.exists('/dev/net/tun'):
        raise Skip('a tap needs root and /dev/net/tun')
    ip('tuntap', 'add', 'dev', TAP, 'mode', 'tap')
    try:
        # The gateway lies outside the guest's /32, the host has a static neighbour for it.
        ip('link', 'set', TAP, 'address', '02:00:00:00:00:07')
        ip('addr', 'add', '10.213.7.1/32', 'dev', TAP)
        ip('link', 'set', TAP, 'up')
        ip('route', 'add', '10.213.7.2/32', 'dev', TAP)
        ip('neigh', 'replace', '10.213.7.2', 'lladdr', '02:00:00:00:00:02', 'nud', 'permanent',
           'dev', TAP)
        with bench.boot(tap=TAP) as vm:
            vm.channel.send(configure(
                argv=['sh', '-c', 'ip addr show eth0; ip -6 addr show eth0; ip route; ip neigh;'
                      'exec httpd -f -p 8080 -h /www'],
                layers=1, addresses=['10.213.7.2/32', 'fd00:213::2/128'],
                gateways=['10.213.7.1', 'fd00:213::1'],
                gateway_mac='02:00:00:00:00:07', mtu=1420))
            messages = vm.channel.until(STARTED)
            page = fetch('http://10.213.7.2:8080/')
            assert page == b'a page from the guest\n', page
            print('    first page %.0f ms after the fork' % ((time.monotonic() - vm.forked) * 1000))
            vm.channel.send(frame(SHUTDOWN))
            text = output_of(messages + vm.channel.until(EXITED)).decode()
            expect(text, 'mtu 1420', 'inet 10.213.7.2/32', 'inet6 fd00:213::2/128',
                   'default via 10.213.7.1 dev eth0',
                   '10.213.7.1 dev eth0 lladdr 02:00:00:00:00:07', 'PERMANENT')
            assert vm.wait() == 0
    finally:
        ip('link', 'del', TAP)


def fetch(url):
    deadline = time.monotonic() + 10
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            return opener.open(url, timeout=2).read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for tool in ('qemu-system-x86_64', 'mkfs.erofs', 'mke2fs', 'busybox', 'clang-19'):
        if shutil.which(tool) is None:
            print('skipped: %s is not installed' % tool)
            sys.exit(77)
    tests = {name: function for name, function in globals().items()
             if name.startswith('test_') and (len(sys.argv) == 2 or name in sys.argv[2:])}
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(sys.argv[1], folder)
        for name, function in tests.items():
            start = time.monotonic()
            try:
                function(bench)
                verdict = 'ok'
            except Skip as reason:
                verdict = 'skipped: %s' % reason
            except Exception:  # one failure must not hide the other tests' results
                verdict = 'FAILED\n' + traceback.format_exc()
                failed += 1
            print('%s %s (%.1f s)' % (name, verdict, time.monotonic() - start), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
