"""Images made to hurt: everything that a layer may hold and a runtime may get wrong.

A property is a function that writes into the layers of its image, all below a folder of its own
name: what differs later names its property by its path. Properties share images, for a VM's boot
is what costs; those of several layers are in two, once with a disk for each layer and once with
the layers merged.

An image says which tool makes the tree that it is compared with: podman wherever it can; umoci
where podman's storage refuses the archive or is known to be wrong, GNU tar for what neither reads.
"""

import dataclasses
import gzip
import hashlib
import itertools
import json
import pathlib
import struct
import subprocess
import tarfile

from tar_layer import GNU, MTIME, Layer, pax_record

OCI = 'application/vnd.oci.image'
LONG = 'n' * 255
# All that a name may hold.
EVERY_BYTE = bytes({*range(1, 256)} - {ord('/')}).decode('utf-8', 'surrogateescape')
SPARSE_SIZE = (2 << 20) + 77
CAP_NET_BIND_SERVICE = struct.pack('<5I', 0x02000001, 1 << 10, 0, 0, 0)


def posix_acl(*entries):
    """The value of system.posix_acl_…: (tag, permissions, id) each."""
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)


NOBODY = 0xffffffff
ACL = posix_acl((1, 6, NOBODY), (2, 4, 1000), (4, 4, NOBODY), (16, 4, NOBODY), (32, 4, NOBODY))


def xattr(name, value):
    return (f'SCHILY.xattr.{name}', value)


# ---- properties of one layer ----


def kinds(at, layer):
    layer.directory(at)
    layer.file(f'{at}/regular', 'data')
    layer.file(f'{at}/empty')
    layer.file(f'{at}/block', b'b' * 4096)
    layer.file(f'{at}/block-and-a-byte', b'c' * 4097)
    layer.file(f'{at}/mebibytes', bytes(range(256)) * 8192)
    layer.entry(f'{at}/v7', b'\0', b'of type NUL', magic=b'')
    layer.entry(f'{at}/v7-directory/', b'\0', magic=b'')
    layer.directory(f'{at}/empty-directory')
    layer.entry(f'{at}/fifo', b'6', mode=0o620)


def devices(at, layer):
    layer.directory(at)
    layer.entry(f'{at}/null', b'3', mode=0o666, device=(1, 3))
    layer.entry(f'{at}/wide-minor', b'3', mode=0o600, device=(4, 70000))
    layer.entry(f'{at}/wide-major', b'4', mode=0o660, gid=6, device=(259, 7))


def modes(at, layer):
    layer.directory(at)
    for mode in (0, 0o001, 0o644, 0o755, 0o1777, 0o2755, 0o4755, 0o6711, 0o7777):
        layer.file(f'{at}/file-{mode:04o}', 'm', mode=mode)
        layer.directory(f'{at}/directory-{mode:04o}', mode=mode)
    layer.file(f'{at}/setuid-of-another', 's', mode=0o4711, uid=33, gid=34)
    layer.file(f'{at}/with-type-bits', 't', mode=0o100640)


def owners(at, layer):
    layer.directory(at, uid=12, gid=34)
    for owner in (1, 65534, 65535, 65536, 2097151, 2097152, 4294967294):
        layer.file(f'{at}/base256-{owner}', uid=owner, gid=owner)
        layer.file(f'{at}/pax-{owner}', pax=[('uid', owner), ('gid', owner)])
    layer.symlink(f'{at}/link', 'nowhere', uid=70000, gid=80000)
    layer.entry(f'{at}/fifo', b'6', uid=70000, gid=80000)


def times(at, layer):
    layer.directory(at, mtime=1)
    for name, mtime in (('1970', 0), ('2038', 2**31), ('2106', 2**32), ('2242', 2**33)):
        layer.file(f'{at}/header-{name}', mtime=mtime)
    for name, mtime in (('nanosecond', '1.000000001'), ('tenth', '1700000000.1'),
                        ('finer', '1700000000.1234567899'), ('whole', '1700000001')):
        layer.file(f'{at}/pax-{name}', pax=[('mtime', mtime)])
    layer.directory(f'{at}/directory', pax=[('mtime', '1500000000.5')])
    layer.file(f'{at}/directory/written-after-its-folder')
    layer.symlink(f'{at}/link', 'x', pax=[('mtime', '1400000000.25')])
    layer.entry(f'{at}/fifo', b'6', mtime=1300000000)


def attributes(at, layer):
    layer.directory(at, pax=[xattr('user.of-a-directory', 'd')])
    layer.file(f'{at}/capability', 'c', mode=0o755,
               pax=[xattr('security.capability', CAP_NET_BIND_SERVICE)])
    layer.file(f'{at}/user', 'u', pax=[xattr('user.note', 'hello'),
                                       xattr('user.any', bytes(range(256)))])
    layer.file(f'{at}/large', pax=[xattr('user.large', 'v' * 3000)])
    layer.file(f'{at}/many', pax=[xattr(f'user.{i:02}', str(i)) for i in range(40)])
    layer.file(f'{at}/trusted', pax=[xattr('trusted.note', 't')])
    layer.file(f'{at}/equals', pax=[xattr('user.a', 'b=c\nd')])
    layer.file(f'{at}/acl', 'a', mode=0o644, pax=[xattr('system.posix_acl_access', ACL)])
    layer.file(f'{at}/none-after-some')


def names(at, layer):
    layer.directory(at)
    for name in ('caf\udcff', 'cafe\u0301', 'caf\u00e9', 'with blank', 'new\nline', 'tab\t', '\x01',
                 'back\\slash', '-rf', '...', '..x', '.who', '.wh', '*', LONG, ' ', '\udc80' * 100,
                 EVERY_BYTE):
        layer.file(f'{at}/{name}', name)
    layer.file(f'{at}//doubled///slashes', 's')
    layer.file(f'./{at}/./dotted/.', 's')
    layer.file(f'/{at}/absolute', 's')
    layer.file(f'{at}/up/../down', 's')


def long_names(at, layer):
    layer.directory(at)
    for way in ('gnu', 'pax', 'prefix'):
        folder = f'{at}/{way}'
        layer.directory(folder)
        name = 'p' * 60 + '/' + 'q' * 70
        layer.directory(f'{folder}/{"p" * 60}', long_names=way)
        layer.file(f'{folder}/{name}', way, long_names=way)
    for way in ('gnu', 'pax'):
        deep = f'{at}/{way}/' + '/'.join(['d' * 99] * 12)
        layer.file(f'{deep}/{LONG}', way, long_names=way)
        layer.symlink(f'{at}/{way}/link', 't' * 3000, long_names=way)
        layer.hard_link(f'{at}/{way}/hard', f'{deep}/{LONG}', long_names=way)
    layer.symlink(f'{at}/not-utf8', '\udcfe\udcff', long_names='pax')


def hard_links(at, layer):
    layer.directory(at)
    same = {'mode': 0o4755, 'uid': 3}
    layer.file(f'{at}/a', 'shared', **same)
    layer.hard_link(f'{at}/b', f'{at}/a', **same)
    layer.hard_link(f'{at}/c', f'./{at}/b', **same)
    layer.hard_link(f'{at}/d', f'/{at}/a', **same)
    layer.directory(f'{at}/sub')
    layer.hard_link(f'{at}/sub/e', f'{at}/c', **same)
    layer.file(f'{at}/same-content', 'shared', **same)
    layer.entry(f'{at}/fifo', b'6')
    layer.hard_link(f'{at}/fifo-too', f'{at}/fifo')
    layer.symlink(f'{at}/link', 'a')
    layer.hard_link(f'{at}/link-too', f'{at}/link', mode=0o777)
    layer.entry(f'{at}/null', b'3', device=(1, 3))
    layer.hard_link(f'{at}/null-too', f'{at}/null')


def symbolic_links(at, layer):
    layer.directory(at)
    layer.symlink(f'{at}/dangling', 'no/such/thing')
    layer.symlink(f'{at}/absolute', '/etc/hosts')
    layer.symlink(f'{at}/out', '../../../../etc/passwd')
    layer.symlink(f'{at}/itself', 'itself')
    layer.symlink(f'{at}/doubled', 'a//b/')
    layer.symlink(f'{at}/longest', 'l' * 4000)
    layer.directory(f'{at}/usr')
    layer.symlink(f'{at}/bin', 'usr')
    layer.file(f'{at}/bin/through-the-link', 't')
    layer.symlink(f'{at}/root', f'/{at}/usr')
    layer.file(f'{at}/root/through-an-absolute-link', 't')
    layer.symlink(f'{at}/climbs', f'../../../{at}/usr')
    layer.file(f'{at}/climbs/through-one-that-climbs', 't')


def sparse_maps():
    """(name, pieces) of sparse files, with a hole at their end that GNU tar's mark of it follows.
    Its pieces are whole blocks but the last."""
    end = (SPARSE_SIZE, b'')
    yield 'few', [(4096, b'one.' * 128), (1 << 20, b'two' * 1000), end]
    yield 'many', [*((i * 8192 + 512, b'%03d.' % i * 128) for i in range(60)), end]
    yield 'begins', [(0, b'at once'), end]
    yield 'only-a-hole', [end]


def sparse_files(at, layer):
    layer.directory(at)
    for name, pieces in sparse_maps():
        for version in ('0.0', '0.1', '1.0'):
            layer.sparse_pax(f'{at}/{version}-{name}', pieces, SPARSE_SIZE, version)
    layer.file(f'{at}/follows', 'the tar goes on')


def implied(at, layer):
    layer.file(f'{at}/no/entry/names/these/folders', 'x')
    layer.file(f'{at}/later/inner')
    layer.directory(f'{at}/later', mode=0o750, uid=4)


def extended_headers(at, layer):
    layer.directory(at)
    layer.entry('g', b'g', pax_record('comment', 'all'))
    layer.file(f'{at}/size', 'x' * 700, pax=[('size', 700)])
    layer.file(f'{at}/emptied', pax=[('uid', 5), ('uid', ''), ('comment', '')])
    layer.file(f'{at}/repeated', pax=[('uid', 5), ('uid', 6)])
    layer.file(f'{at}/unknown', pax=[('VENDOR.key', 'v'), ('LIBARCHIVE.creationtime', '1')])
    layer.file(f'{at}/short', pax=[('path', f'{at}/\udcc3(')])


ONE_LAYER = (kinds, devices, modes, owners, times, attributes, names, long_names, hard_links,
             symbolic_links, sparse_files, implied, extended_headers)


# ---- of one layer, in GNU's format ----


def sparse_in_gnu_format(at, layer):
    layer.directory(at)
    for name, pieces in sparse_maps():
        layer.sparse_old(f'{at}/{name}', pieces, SPARSE_SIZE)
    layer.file(f'{at}/follows', 'the tar goes on')


def gnu_kinds(at, layer):
    layer.directory(at)
    layer.entry(f'{at}/contiguous', b'7', b'of type 7')
    layer.entry(f'{at}/dumped/', b'D', b'Yname\0\0', mode=0o755, magic=GNU)
    layer.entry('a volume', b'V', magic=GNU)
    # Go's reader, and so podman and umoci, takes an empty value for none.
    layer.file(f'{at}/empty-attribute', pax=[xattr('user.empty', '')])


GNU_FORMAT = (sparse_in_gnu_format, gnu_kinds)


# ---- properties of several layers ----


def removed(at, low, middle, top):
    """Whiteouts."""
    low.directory(at)
    for name in ('file', 'back-later', 'replaced', 'kept', 'caf\udcff'):
        low.file(f'{at}/{name}', 'low')
    low.symlink(f'{at}/link', 'kept')
    for name in ('directory', 'emptied'):
        low.directory(f'{at}/{name}')
        low.file(f'{at}/{name}/inner', 'low')
    middle.directory(at)
    for name in ('file', 'back-later', 'link', 'directory', 'caf\udcff', 'never-there'):
        middle.whiteout(f'{at}/{name}')
    middle.whiteout(f'{at}/replaced')
    middle.file(f'{at}/replaced', 'middle')
    middle.directory(f'{at}/emptied')
    middle.whiteout(f'{at}/emptied/inner')
    top.directory(at)
    top.file(f'{at}/back-later', 'top')


def opaque(at, low, middle, top):
    low.directory(at)
    for name in ('first', 'last', 'twice', 'nested'):
        low.directory(f'{at}/{name}', mode=0o700)
        low.file(f'{at}/{name}/old', 'low')
        low.directory(f'{at}/{name}/sub')
        low.file(f'{at}/{name}/sub/old', 'low')
    middle.directory(at)
    middle.directory(f'{at}/first')
    middle.opaque(f'{at}/first')
    middle.file(f'{at}/first/new', 'middle')
    middle.directory(f'{at}/first/sub')
    middle.file(f'{at}/first/sub/new', 'middle')
    middle.directory(f'{at}/last')
    middle.file(f'{at}/last/new', 'middle')
    middle.opaque(f'{at}/last')
    middle.directory(f'{at}/twice')
    middle.opaque(f'{at}/twice')
    middle.file(f'{at}/twice/middle', 'middle')
    middle.directory(f'{at}/nested')
    middle.directory(f'{at}/nested/sub')
    middle.opaque(f'{at}/nested/sub')
    top.directory(at)
    top.directory(f'{at}/twice')
    top.opaque(f'{at}/twice')
    top.file(f'{at}/twice/top', 'top')
    top.directory(f'{at}/first')
    top.file(f'{at}/first/newer', 'top')


def replaced(at, low, middle, top):
    """Each kind by each other, and back."""
    def write(layer, name, kind):
        if kind == 'file':
            layer.file(name, name)
        elif kind == 'directory':
            layer.directory(name)
            layer.file(f'{name}/inner', name)
        elif kind == 'link':
            layer.symlink(name, 'somewhere')
        elif kind == 'fifo':
            layer.entry(name, b'6')
        else:
            layer.entry(name, b'3', device=(1, 5))

    every = ('file', 'directory', 'link', 'fifo', 'device')
    for layer in (low, middle, top):
        layer.directory(at)
    for one in every:
        for other in every:
            write(low, f'{at}/{one}-by-{other}', one)
            write(middle, f'{at}/{one}-by-{other}', other)
            write(low, f'{at}/{one}-by-{other}-and-back', one)
            write(middle, f'{at}/{one}-by-{other}-and-back', other)
            write(top, f'{at}/{one}-by-{other}-and-back', one)


def changed(at, low, middle, top):
    """A directory that stays takes what the highest layer says of it, and all of that."""
    low.directory(at, mode=0o700, uid=1, gid=2, mtime=1)
    low.directory(f'{at}/d', mode=0o1777, pax=[xattr('user.low', 'l')])
    low.file(f'{at}/d/kept', 'low', pax=[xattr('user.low', 'l')])
    low.file(f'{at}/d/rewritten', 'low', mode=0o4755, pax=[xattr('user.low', 'l')])
    middle.directory(at, mode=0o711, uid=3, gid=4, mtime=2)
    middle.directory(f'{at}/d', mode=0o2750, pax=[xattr('user.middle', 'm')])
    middle.file(f'{at}/d/rewritten', 'middle', mode=0o600)
    top.directory(at, mode=0o755, uid=100000, gid=6, pax=[('mtime', '3.5')])


def linked(at, low, middle, top):
    """Link groups that a higher layer breaks or makes anew."""
    for layer in (low, middle, top):
        layer.directory(at)
    for name in ('one', 'two'):
        low.file(f'{at}/{name}-a', name)
        low.hard_link(f'{at}/{name}-b', f'{at}/{name}-a')
        low.hard_link(f'{at}/{name}-c', f'{at}/{name}-a')
    middle.file(f'{at}/one-a', 'rewritten')
    middle.whiteout(f'{at}/two-a')
    top.file(f'{at}/one-b', 'again')
    top.hard_link(f'{at}/one-c', f'{at}/one-b')
    top.hard_link(f'{at}/two-b', f'{at}/one-b')


LAYERED = (removed, opaque, replaced, changed, linked)


# ---- of several layers, where podman's storage errs or refuses ----


def duplicates(at, layer, *_):
    layer.directory(at, mode=0o700)
    layer.file(f'{at}/file', 'first', mode=0o600)
    layer.file(f'{at}/file', 'second', mode=0o640)
    layer.file(f'{at}/file-then-directory')
    layer.directory(f'{at}/file-then-directory')
    layer.file(f'{at}/file-then-directory/inner')
    layer.directory(f'{at}/directory-then-file')
    layer.file(f'{at}/directory-then-file/inner')
    layer.file(f'{at}/directory-then-file', 'f')
    layer.symlink(f'{at}/link-then-directory', 'file-then-directory')
    layer.directory(f'{at}/link-then-directory')
    layer.file(f'{at}/link-then-directory/inner')
    layer.directory(f'{at}/directory-then-link')
    layer.symlink(f'{at}/directory-then-link', 'file')
    layer.file(f'{at}/linked', 'old')
    layer.hard_link(f'{at}/keeps-the-old', f'{at}/linked')
    layer.file(f'{at}/linked', 'new')
    layer.directory(f'{at}/twice', mode=0o700, pax=[xattr('user.gone', 'g')])
    layer.file(f'{at}/twice/inner')
    layer.directory(f'{at}/twice', mode=0o711, uid=9)
    layer.directory(at, mode=0o755, mtime=MTIME + 5)


def before_1970(at, layer, *_):
    """podman makes it 1970."""
    layer.directory(at)
    layer.file(f'{at}/header-1969', mtime=-1)
    layer.file(f'{at}/header-1901', mtime=-2**31)
    layer.file(f'{at}/pax', pax=[('mtime', '-1.25')])


def renewed(at, low, middle, top):
    """A directory that a layer removes and makes anew has nothing of the old one."""
    for layer in (low, middle, top):
        layer.directory(at)
    for name in ('by-whiteout', 'by-file'):
        low.directory(f'{at}/{name}', mode=0o700, pax=[xattr('user.low', 'l')])
        low.file(f'{at}/{name}/old')
    middle.whiteout(f'{at}/by-whiteout')
    middle.file(f'{at}/by-file')
    for name in ('by-whiteout', 'by-file'):
        middle.directory(f'{at}/{name}', mode=0o711)
        middle.file(f'{at}/{name}/new')
    top.directory(f'{at}/by-file')
    top.file(f'{at}/by-file/newer')


RENEWED = (duplicates, before_1970, renewed)


# ---- layers that lean on those below: no disk of their own will do ----


def links_across_layers(at, low, middle, top):
    low.directory(at)
    same = {'mode': 0o4711, 'uid': 5}
    low.file(f'{at}/a', 'low', pax=[xattr('user.x', 'y')], **same)
    low.symlink(f'{at}/s', 'a')
    middle.directory(at)
    middle.hard_link(f'{at}/b', f'{at}/a', **same)
    middle.hard_link(f'{at}/t', f'{at}/s', mode=0o777)
    top.directory(at)
    top.hard_link(f'{at}/c', f'{at}/b', **same)
    top.whiteout(f'{at}/a')


def folders_of_lower_layers(at, low, middle, top):
    """No entry in the higher layer says what the folders are."""
    low.directory(at, mode=0o751, uid=7)
    low.directory(f'{at}/d', mode=0o710, gid=8)
    low.symlink(f'{at}/link', 'd')
    middle.file(f'{at}/d/new', 'middle')
    middle.file(f'{at}/link/through', 'middle')
    top.whiteout(f'{at}/d/new')
    top.file(f'{at}/fresh/inner', 'top')


LEANING = (links_across_layers, folders_of_lower_layers)


# ---- images ----


@dataclasses.dataclass
class Image:
    name: str
    reference: str
    layers: list  # lowest first
    properties: tuple
    disks: int  # that its layers become; None: fewer than the layers, as many as the VM has slots
    ways: tuple = ('gzip',)  # how the layers are compressed, in turn


def base(programs):
    """What a machine needs to start and to list itself. The archive of a folder that mktemp made
    says of the root what this one says, and its programs run under Docker."""
    layer = Layer()
    layer.directory('.', mode=0o700, uid=5, gid=6, pax=[xattr('user.root', 'r')])
    for folder in ('bin', 'dev', 'proc', 'sys', 'run', 'tmp', 'etc'):
        layer.directory(folder)
    for program in programs:
        layer.file(f'bin/{program.name}', program.read_bytes(), mode=0o755)
    return layer


def image(name, reference, properties, layers, disks, **more):
    for one in properties:
        one(one.__name__, *layers[:3])
    return Image(name, reference, layers, properties, disks, **more)


def stack(programs, more=0):
    """Three layers for properties, and `more` above them."""
    return [base(programs), Layer(), Layer()] + [numbered(number) for number in range(more)]


def numbered(number):
    layer = Layer()
    layer.file(f'layer-{number}', str(number))
    return layer


def corpus(programs):
    """Every image; `programs` are put into /bin."""
    yield image('files', 'podman', ONE_LAYER, [base(programs)], 1)
    yield image('gnu', 'tar', GNU_FORMAT, [base(programs)], 1, ways=('none',))
    ways = ('none', 'zstd', 'gzip')
    yield image('layers', 'podman', LAYERED, stack(programs), 3, ways=ways)
    yield image('merged', 'podman', LAYERED, stack(programs, 20), None, ways=ways)
    yield image('renewed', 'umoci', RENEWED, stack(programs), 3)
    yield image('leaning', 'umoci', LEANING, stack(programs), 1)


def compressed(data, way):
    if way == 'gzip':
        return '+gzip', gzip.compress(data, 1, mtime=0)
    if way == 'zstd':
        return '+zstd', subprocess.run(['zstd', '-qc'], input=data, capture_output=True,
                                       check=True).stdout
    return '', data


def write_layout(image, folder, **config):
    """`image` as an OCI layout in `folder`, its tag "latest", with `config` in its configuration;
    returns the manifest."""
    folder = pathlib.Path(folder)
    blobs = folder / 'blobs/sha256'
    blobs.mkdir(parents=True)

    def descriptor(kind, data):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {'mediaType': f'{OCI}.{kind}', 'digest': f'sha256:{digest}', 'size': len(data)}

    layers, diff_ids = [], []
    for layer, way in zip(image.layers, itertools.cycle(image.ways)):
        data = bytes(layer)
        ending, blob = compressed(data, way)
        layers.append(descriptor(f'layer.v1.tar{ending}', blob))
        diff_ids.append(f'sha256:{hashlib.sha256(data).hexdigest()}')
    config = {'architecture': 'amd64', 'os': 'linux',
              'config': {'Entrypoint': ['/bin/busybox', 'sleep', '86400']},
              'rootfs': {'type': 'layers', 'diff_ids': diff_ids}} | config
    manifest = {'schemaVersion': 2, 'mediaType': f'{OCI}.manifest.v1+json', 'layers': layers,
                'config': descriptor('config.v1+json', json.dumps(config).encode())}
    entry = descriptor('manifest.v1+json', json.dumps(manifest).encode())
    entry['annotations'] = {'org.opencontainers.image.ref.name': 'latest'}
    (folder / 'index.json').write_text(json.dumps({'schemaVersion': 2, 'manifests': [entry]}))
    (folder / 'oci-layout').write_text('{"imageLayoutVersion": "1.0.0"}')
    return manifest


def archive_of(layout):
    """The layout as one file, LAYOUT.tar."""
    archive = layout.with_suffix('.tar')
    with tarfile.open(archive, 'w') as out:
        out.add(layout, arcname='.')
    return archive
