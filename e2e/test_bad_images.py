"""Images that are broken, lie or attack: the deploy fails at once, naming image, layer and cause;
the old release serves on, and nothing of the image stays behind but what was whole and as it said.
"""

import contextlib
import hashlib
import http.server
import json
import pathlib
import threading
import time

import hurtful_images
from hurtful_images import Image, Layer
from perigee_node import wait_until
from scenario import Scenario

CONFIG = 'app = "app"\n\n[[vm]]\nmemory = 256\n'
AT_ONCE_S = 30
BOMB_BYTES = (1 << 30) + (1 << 20)


class Bomb:
    """A layer of zeros: an empty archive, and no end of it."""

    def __bytes__(self):
        return bytes(BOMB_BYTES)


def layer_with(write):
    layer = Layer()
    write(layer)
    return layer


class Registry:
    """Gives a layout's manifest and blobs as app:latest, and instead of what it has in `answers`,
    by the end of the path, those (status, headers, body)."""

    def __init__(self, layout):
        self.answers = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, headers, body = outer.answer(layout, self.path)
                self.send_response(status)
                for name, value in {'Content-Length': len(body), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.reference = f'127.0.0.1:{self.server.server_port}/app:latest'
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def answer(self, layout, path):
        for end, answer in self.answers.items():
            if path.endswith(end):
                return answer
        name = path.rpartition('/')[2].removeprefix('sha256:')
        if name == 'latest':
            index = json.loads((layout / 'index.json').read_text())
            name = index['manifests'][0]['digest'].removeprefix('sha256:')
        blob = layout / 'blobs/sha256' / name
        return (200, {}, blob.read_bytes()) if blob.exists() else (404, {}, b'{}')

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class BadImagesTest(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.base = hurtful_images.base([pathlib.Path('/bin/busybox')])
        cls.app = cls.folder / 'app'
        cls.app.mkdir()
        (cls.app / 'perigee.toml').write_text(CONFIG)
        layout, _ = cls.layout('good')
        cls.node.deploy(cls.app, '--image', hurtful_images.archive_of(layout))
        cls.before = cls.node.machine('app')['instance_id']

    @classmethod
    def layout(cls, name, *above, ways=('gzip',), **config):
        """An image of busybox with layers `above`: where its layout is, and the digests of the
        layers."""
        layout = cls.folder / name
        image = Image(name, '', [cls.base, *above], (), None, ways)
        manifest = hurtful_images.write_layout(image, layout, **config)
        return layout, [layer['digest'] for layer in manifest['layers']]

    def disks(self):
        """What the node keeps of images in a form that a machine can have."""
        return sorted(path.name for path in (self.node.state / 'disks').iterdir())

    def refused(self, image, *words):
        """Deploys `image`, which must fail at once with `words`, and change nothing."""
        disks = self.disks()
        start = time.monotonic()
        done = self.node.deploy(self.app, '--image', image, check=False)
        said = done.stdout + done.stderr
        self.assertNotEqual(done.returncode, 0, said)
        for word in words:
            self.assertIn(word, said)
        self.assertLess(time.monotonic() - start, AT_ONCE_S)
        wait_until('only the old machine is there, and runs', 20, self.old_machine_alone)
        self.assertEqual(self.disks(), disks)
        self.blobs_are_whole()

    def old_machine_alone(self):
        return [(one['state'], one['instance_id']) for one in self.node.machines('app')
                if one['state'] != 'destroyed'] == [('started', self.before)]

    def blobs_are_whole(self):
        for blob in (self.node.state / 'blobs').rglob('*'):
            if blob.is_file():
                self.assertEqual(hashlib.sha256(blob.read_bytes()).hexdigest(), blob.name)

    def scenario_layers_that_attack_or_break_are_named(self):
        above = {
            'leaves-the-image': (lambda one: one.file('../evil', 'x'), '"../evil"'),
            'links-out': (lambda one: one.hard_link('shadow', '/etc/../../shadow'), 'shadow'),
            'nested': (lambda one: one.file('busy/box/' * 600, 'x'), 'longer than'),
        }
        for name, (write, word) in above.items():
            with self.subTest(name):
                layout, digests = self.layout(name, layer_with(write))
                self.refused(hurtful_images.archive_of(layout), digests[1], word)

    def scenario_a_layer_that_is_not_what_the_configuration_says_is_named(self):
        other = 'sha256:' + 'a' * 64
        layout, digests = self.layout('lies', rootfs={'type': 'layers', 'diff_ids': [other]})
        self.refused(hurtful_images.archive_of(layout), digests[0], other)

    def scenario_a_bomb_ends_at_its_limit(self):
        layout, digests = self.layout('bomb', Bomb(), ways=('gzip', 'zstd'))
        self.refused(hurtful_images.archive_of(layout), digests[1], 'unpacks to more than')

    def scenario_images_that_can_not_run_here_say_why(self):
        layout, _ = self.layout('elsewhere', architecture='s390x')
        self.refused(hurtful_images.archive_of(layout), 'linux/s390x')

    def scenario_archives_that_are_cut_off_or_changed_are_refused(self):
        layout, digests = self.layout('changed')
        blob = layout / 'blobs/sha256' / digests[0].removeprefix('sha256:')
        data = bytearray(blob.read_bytes())
        data[len(data) // 2] ^= 1
        blob.write_bytes(data)
        archive = hurtful_images.archive_of(layout)
        self.refused(archive, 'changed.tar', digests[0].removeprefix('sha256:'))
        archive.write_bytes(archive.read_bytes()[:-len(data) // 2])
        self.refused(archive, 'changed.tar')

    def scenario_zz_registries_that_refuse_fail_or_lie_are_told_from_each_other(self):
        mine = layer_with(lambda one: one.file('pulled', 'x' * 1000))
        layout, (_, digest) = self.layout('pulled', mine)
        registry = Registry(layout)
        self.addCleanup(registry.close)
        blob = (layout / 'blobs/sha256' / digest.removeprefix('sha256:')).read_bytes()
        around = {'Location': f'/v2/app/blobs/{digest}'}
        cases = (('latest', (404, {}, b'{}'), 'has no such image'),
                 ('latest', (401, {}, b'{}'), 'perigee registry login'),
                 ('latest', (429, {}, b'{}'), 'too much was asked'),
                 ('latest', (500, {}, b'{}'), 'HTTP status 500'),
                 ('latest', (200, {}, b'{"schemaVersion":'), 'manifest'),
                 ('latest', (302, {'Location': '/v2/app/manifests/latest'}, b''), 'redirects'),
                 (digest, (404, {}, b'{}'), digest),
                 (digest, (302, around, b''), digest),
                 (digest, (200, {}, blob[:-1]), digest),
                 (digest, (200, {}, blob[:-1] + b'x'), digest))
        for end, answer, words in cases:
            with self.subTest(end=end, status=answer[0]):
                registry.answers = {end: answer}
                self.refused(registry.reference, f'image {registry.reference}: ', words)
        registry.answers = {}  # what is there of it is of use
        self.node.deploy(self.app, '--image', registry.reference)
