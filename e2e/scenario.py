"""What the scenarios share: a node per class, a folder for what a scenario makes."""

import pathlib
import tempfile
import unittest

import perigee_node
from perigee_node import Node, wait_until

PAGE_S = 20


class Scenario(unittest.TestCase):
    """Scenarios that share one running node."""

    node = None
    settings = ''  # lines that perigeed.toml begins with
    router_config = ''  # more lines of its [router]
    worker_config = ''  # and of its [worker]
    node_config = ''  # more of perigeed.toml

    @classmethod
    def setUpClass(cls):
        if not (perigee_node.BIN / 'perigee').exists():
            raise AssertionError('build/release/bin/perigee is not built: ./dev build release')
        folder = tempfile.TemporaryDirectory(prefix='pg-', dir='/var/tmp')
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.node = Node(cls.settings, router_config=cls.router_config,
                        worker_config=cls.worker_config, more_config=cls.node_config)
        cls.addClassCleanup(cls.node.destroy)
        cls.node.up()

    def page_is(self, app, words, https=False, path='/'):
        """Waits until the app's page holds `words`."""
        last = []

        def look():
            try:
                last[:] = self.node.get(app, path, https=https)
            except OSError as error:
                last[:] = [0, str(error)]
            return last[0] == 200 and words in last[1]

        try:
            wait_until(f'{app} serves "{words}"', PAGE_S, look)
        except AssertionError as error:
            raise AssertionError(f'{error}; last answer: {last}') from None

    def nothing_left(self):
        self.assertEqual(self.node.leftovers(), [])
