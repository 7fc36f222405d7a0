"""Images made to hurt have the same files in a machine as podman (or umoci) makes of them."""

import collections
import pathlib
import subprocess

import hurtful_images
import trees
from perigee_node import BIN
from scenario import Scenario
from static_program import compile_static

CONFIG = 'app = "{app}"\n\n[[vm]]\nmemory = 256\n'
SHOWN = 12  # differences of one property

# What init provides, as every container runtime does, and so does not come from the image.
INIT = {
    '/dev': 'a file system of the kernel',
    '/proc': 'a file system of the kernel',
    '/sys': 'a file system of the kernel',
    '/etc/hosts': 'the machine has a name and addresses',
    '/etc/hostname': 'the machine has a name',
    '/etc/resolv.conf': 'the host resolves names',
}
# The root is the runtime's, whatever an image says of it (docs/decisions/0038-image-trees.md).
ROOT = {'type': 'd', 'mode': '0755', 'uid': '0', 'gid': '0', 'attributes': []}


def is_inits(path):
    return any(path == one or path.startswith(f'{one}/') for one in INIT)


def times_of_unpacking(image, files):
    """Folders that no entry describes, and those they are in: who unpacks makes them, and that is
    their time. In a machine the first have 1970 and the second what their own entry says."""
    described = set().union(*(layer.directories for layer in image.layers))
    implied = {path for path, file in files.items() if file.type == 'd' and path not in described}
    return implied | {str(pathlib.PurePosixPath(path).parent) for path in implied}


class CorpusTest(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lister = compile_static(cls.folder, 'trees/list_tree.c', '-lcrypto')
        programs = [pathlib.Path('/bin/busybox'), cls.lister]
        cls.images = {image.name: image for image in hurtful_images.corpus(programs)}

    def run_in(self, app, *command):
        done = subprocess.run([BIN / 'perigee', 'machine', 'exec', '-a', app,
                               self.node.machine(app)['id'], '--', *command],
                              env=self.node.environment, capture_output=True, timeout=60,
                              check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b''))
        return done.stdout.decode()

    def listing_in_a_machine(self, image, archive):
        folder = self.folder / f'{image.name}-app'
        folder.mkdir()
        (folder / 'perigee.toml').write_text(CONFIG.format(app=image.name))
        self.node.deploy(folder, '--image', archive)
        root = self.run_in(image.name, '/bin/busybox', 'grep', ' / overlay ',
                           '/proc/mounts')
        disks = root.count('/layer')
        if image.disks is None:
            self.assertTrue(1 < disks < len(image.layers), root)
        else:
            self.assertEqual(disks, image.disks, root)
        listing = self.run_in(image.name, '/bin/list_tree', '/')
        self.node.cli('destroy', image.name, '--yes')
        return trees.read_listing(listing)

    def same_as_reference(self, name):
        image = self.images[name]
        layout = self.folder / name
        hurtful_images.write_layout(image, layout)
        wanted = trees.reference(image.reference, layout, self.lister)
        found = self.listing_in_a_machine(image, hurtful_images.archive_of(layout))
        self.assertEqual({field: found['/'].fields[field] for field in ROOT}, ROOT)
        for files in (wanted, found):
            for path in [one for one in files if is_inits(one) or one == '/']:
                del files[path]
        by_unpacking = times_of_unpacking(image, wanted) | {'/etc'}  # where init writes

        def ignored(path, field):
            return field == 'mtime' and path in by_unpacking

        by_property = collections.defaultdict(list)
        for path, what in trees.differences(wanted, found, ignored):
            by_property[path.split('/')[1]].append(f'{path}: {what}')
        for one in image.properties:
            self.assertIn(f'/{one.__name__}', wanted, 'the reference has nothing of it')
        for one, lines in by_property.items():
            with self.subTest(image=name, property=one):
                rest = [f'… and {len(lines) - SHOWN} more'] if len(lines) > SHOWN else []
                self.fail('\n'.join([f'not as {image.reference} makes it:', *lines[:SHOWN], *rest]))

    def scenario_files_of_every_kind_are_as_podman_has_them(self):
        self.same_as_reference('files')

    def scenario_files_in_gnu_s_format_are_as_tar_has_them(self):
        self.same_as_reference('gnu')

    def scenario_layers_on_disks_of_their_own_are_joined_as_podman_does(self):
        self.same_as_reference('layers')

    def scenario_more_layers_than_disks_are_merged_to_what_podman_has(self):
        self.same_as_reference('merged')

    def scenario_what_a_layer_makes_anew_is_as_umoci_has_it(self):
        self.same_as_reference('renewed')

    def scenario_layers_that_lean_on_lower_ones_are_as_umoci_has_them(self):
        self.same_as_reference('leaning')
