"""PostgreSQL keeps what it has acknowledged: through redeploy, suspend, kill -9 of everything."""

import os
import random
import signal
import threading
import time

import postgres
from perigee_node import wait_until
from scenario import Scenario

START_S = 240  # the first


class Writer:
    """Inserts numbers one after the other, each in a transaction of its own, and remembers those
    that the server has acknowledged. Connects again whenever it has to."""

    def __init__(self, address):
        self.address = address
        self.acknowledged = []
        self.refused = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(30)

    def _run(self):
        number = 0
        while not self._stop.is_set():
            try:
                session = postgres.Connection(self.address)
            except (OSError, AssertionError):
                time.sleep(0.1)
                continue
            try:
                while not self._stop.is_set():
                    number += 1  # one that was not answered is not tried again: it may be there
                    session.query(f'INSERT INTO kept VALUES ({number})')
                    self.acknowledged.append(number)
                    time.sleep(0.01)
            except OSError:
                pass
            except AssertionError as error:
                self.refused = str(error)
            finally:
                session.close()


class PostgresTest(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.context = postgres.folder(cls.folder / 'db', 'db')
        cls.node.cli('deploy', cwd=cls.context, timeout=START_S)
        cls.address = cls.node.machine('db')['private_ip']  # for the machine's life

    def query(self, text):
        def attempt():
            try:
                session = postgres.Connection(self.address)
            except (OSError, AssertionError):
                return None
            try:
                return [session.query(text)]
            except OSError:
                return None
            finally:
                session.close()
        return wait_until(f'PostgreSQL answers "{text}"', 60, attempt)[0]

    def act(self, action, state):
        machine = self.node.machine('db')['id']
        status, answer = self.node.api('POST', f'/v1/apps/db/machines/{machine}/{action}')
        self.assertEqual(status, 200, answer)
        wait_until(f'the machine is {state}', 60,
                   lambda: self.node.machine('db')['state'] == state)

    def goes_on(self, writer, after):
        have = len(writer.acknowledged)
        wait_until(f'PostgreSQL takes rows again after {after}', 60,
                   lambda: len(writer.acknowledged) > have + 2)

    def nothing_is_lost(self, writer, after):
        acknowledged = list(writer.acknowledged)
        rows = [int(row[0]) for row in self.query('SELECT number FROM kept')]
        self.assertEqual(set(acknowledged) - set(rows), set(), f'lost after {after}')
        self.assertEqual(len(rows), len(set(rows)), f'doubled after {after}')
        self.assertIsNone(writer.refused)

    def scenario_postgresql_keeps_its_data_through_redeploy_suspend_and_kill_9_of_everything(self):
        self.query('CREATE TABLE kept (number int)')
        machine = self.node.machine('db')['id']
        with Writer(self.address) as writer:
            self.goes_on(writer, 'the start')
            self.node.deploy(self.context)
            self.assertEqual(self.node.machine('db')['id'], machine)
            self.goes_on(writer, 'a redeploy')
            self.nothing_is_lost(writer, 'a redeploy')
            self.act('suspend', 'suspended')
            self.act('start', 'started')
            self.goes_on(writer, 'a suspend')
            self.nothing_is_lost(writer, 'a suspend')
            self.kill_everything(writer)
        self.assertEqual(len(self.node.vmm_pids()), 1)

    def kill_everything(self, writer):
        """Each at a random moment, with rows being written."""
        chance = random.Random(7)
        victims = {
            'worker': lambda: self.node.role_pid('worker'),
            'control': lambda: self.node.role_pid('control'),
            'monitor': lambda: self.node.monitor_pids()[0],
            'VMM': lambda: self.node.vmm_pids()[0],
            'supervisor': lambda: self.node.role_pid('perigeed'),
        }
        for name, pid_of in victims.items():
            time.sleep(chance.uniform(0, 0.5))
            os.kill(pid_of(), signal.SIGKILL)
            if name == 'supervisor':
                self.node.up()
            wait_until(f'one VM runs after the end of the {name}', 60,
                       lambda: len(self.node.vmm_pids()) == 1 and self.is_started())
            self.goes_on(writer, f'the end of the {name}')
            self.nothing_is_lost(writer, f'the end of the {name}')

    def is_started(self):
        try:
            return self.node.machine('db')['state'] == 'started'
        except (OSError, AssertionError):
            return False
