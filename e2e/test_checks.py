"""Health checks with a real VM: they hold a deploy back, take a machine out of routing and back in;
and what its guest and its host say of it to Prometheus."""

import http.client
import json
import subprocess
import time
import urllib.request

import images
import packages
import prometheus_text
from scenario import Scenario
from perigee_node import wait_until

# An app that is sick for its first seconds; whose page sets it sick or well, and makes work.
APP = r'''
B=/bin/busybox; $B mkdir -p /www/cgi-bin; echo page > /www/index.html; echo > /sick
cat > /www/cgi-bin/up <<'END'
#!/bin/sh
if test -e /sick; then printf 'Status: 500 Sick\r\n\r\nthe database is away\n'
else printf '\r\nfine\n'; fi
END
cat > /www/cgi-bin/do <<'END'
#!/bin/sh
B=/bin/busybox
case "$QUERY_STRING" in
sick) echo > /sick;;
well) $B rm -f /sick;;
burn) i=0; while test $i -lt 300000; do i=$((i+1)); done;;
fill) $B dd if=/dev/zero of=/dev/shm/filled bs=1M count=40;;
esac >/dev/null 2>&1
printf '\r\ndone\n'
END
$B chmod +x /www/cgi-bin/*
($B sleep 6; $B rm -f /sick) &
exec $B httpd -f -p 8080 -h /www
'''.replace('cat >', '$B cat >')
CHECKS = '''
[[http_service.checks]]
interval = "1s"
timeout = "10s"
grace_period = "30s"
path = "/cgi-bin/up"

[checks.port]
type = "tcp"
interval = "2s"
timeout = "10s"
'''
FILLED = 40 * 1024 * 1024


class ChecksTest(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = images.scratch_folder(cls.folder / 'checked', 'checked',
                                       ['/bin/busybox', 'sh', '-c', 'exec /bin/sh /app.sh'])
        (folder / 'app.sh').write_text(APP)
        dockerfile = folder / 'Dockerfile'
        dockerfile.write_text(dockerfile.read_text().replace('\nCMD', '\nCOPY app.sh /app.sh\nCMD'))
        config = folder / 'perigee.toml'
        config.write_text(config.read_text() + CHECKS)
        cls.said = cls.node.deploy(folder).stdout

    def guest(self, path, timeout=60):
        """A page of the app straight from its machine, whether it is routed or not."""
        address = self.node.machine('checked')['private_ip']
        connection = http.client.HTTPConnection(address, 8080, timeout=timeout)
        try:
            connection.request('GET', path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def checks(self):
        return {one['name']: one for one in self.node.machine('checked')['checks']}

    def scenario_a_deploy_waits_for_its_checks_and_a_failing_one_stops_the_requests(self):
        self.assertIn('passes its checks', self.said)
        self.page_is('checked', 'page')
        self.assertEqual({one['status'] for one in self.checks().values()}, {'passing'})
        self.assertIn('2/2 passing', self.node.cli('status', '-a', 'checked').stdout)
        service = 'servicecheck-00-http-8080'
        events = [one['status'] for one in self.node.machine('checked')['events']
                  if one['type'] == 'check']
        self.assertIn(f'{service}: passing', events)

        self.guest('/cgi-bin/do?sick')
        wait_until('the check is critical', 30,
                   lambda: self.checks()[service]['status'] == 'critical')
        wait_until('no request goes there', 10, lambda: self.node.get('checked')[0] == 503)
        text = self.node.get('checked')[1]
        self.assertIn('HTTP 500', text)
        self.assertIn('the database is away', text)
        listed = json.loads(self.node.cli('checks', 'list', '-a', 'checked', '--json').stdout)
        self.assertEqual({one['name']: one['status'] for one in listed},
                         {service: 'critical', 'port': 'passing'})

        self.guest('/cgi-bin/do?well')
        self.page_is('checked', 'page')

    def scrape(self):
        """name → [(labels, value)] of the node's page."""
        time.sleep(2.1)  # scrapes that come closer share their samples
        url = f'http://127.0.0.1:{self.node.metrics_port}/metrics'
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=30) as answer:
            self.assertIn('text/plain; version=0.0.4', answer.headers['Content-Type'])
            text = answer.read().decode()
        self.prometheus_agrees(text)
        return prometheus_text.parse(text)

    def prometheus_agrees(self, text):
        """Prometheus' own reader and its rules for names, which fly.io's do not keep."""
        done = subprocess.run([packages.promtool_program(), 'check', 'metrics'], input=text,
                              capture_output=True, text=True, check=False)
        told = (done.stdout + done.stderr).splitlines()
        self.assertEqual([line for line in told if not line.startswith('fly_')], [])
        self.assertIn(done.returncode, (0, 3), 'neither good nor only complained of')

    def scenario_metrics_show_what_a_machine_uses(self):
        machine = self.node.machine('checked')['id']

        def value(metrics, name, **labels):
            return sum(value for have, value in metrics[name]
                       if have['instance'] == machine and labels.items() <= have.items())

        before = self.scrape()
        self.guest('/cgi-bin/do?burn')
        self.guest('/cgi-bin/do?fill')
        for _ in range(20):
            self.guest('/index.html')
        after = self.scrape()

        def grown(name, **labels):
            return value(after, name, **labels) - value(before, name, **labels)

        self.assertEqual(value(after, 'perigee_machine_up'), 1)
        self.assertEqual(value(after, 'fly_instance_up'), 1)
        self.assertEqual(value(after, 'perigee_machine_check_passing', check='port'), 1)
        busy = grown('perigee_machine_cpu_seconds_total', mode='user')
        self.assertGreater(busy, 0.1)
        self.assertAlmostEqual(busy * 100, grown('fly_instance_cpu', mode='user'), delta=2)
        self.assertGreater(grown('perigee_machine_vmm_cpu_seconds_total'), busy * 0.3)
        filled = grown('perigee_machine_memory_bytes', use='shmem')
        self.assertAlmostEqual(filled, FILLED, delta=FILLED / 10)
        self.assertLess(grown('fly_instance_memory_mem_available'), -FILLED / 2)
        sent = grown('perigee_machine_network_transmit_bytes_total', device='eth0')
        self.assertGreater(sent, 20 * 100)
        self.assertGreaterEqual(grown('perigee_machine_tap_receive_bytes_total'), 20 * 100)
        self.assertGreater(value(after, 'perigee_machine_filesystem_size_bytes', mount='/'), 1e6)
        self.assertLessEqual({'control', 'worker', 'router'}, {
            labels['role'] for labels, _ in after['perigee_process_resident_bytes']})
        status = self.node.cli('machine', 'status', machine, '-a', 'checked').stdout
        self.assertRegex(status, r'CPU +[0-9.]+ s since its boot')
        self.assertRegex(status, r'Memory +[0-9.]+ MiB of [0-9.]+ MiB used')

        self.assertEqual(
            self.node.api('POST', f'/v1/apps/checked/machines/{machine}/stop')[0], 200)
        wait_until('it is stopped', 20,
                   lambda: self.node.machine('checked')['state'] == 'stopped')
        stopped = self.scrape()
        self.assertEqual(value(stopped, 'perigee_machine_up'), 0)
        self.assertNotIn('perigee_machine_memory_bytes', stopped)
        self.node.api('POST', f'/v1/apps/checked/machines/{machine}/start')
        self.page_is('checked', 'page')
