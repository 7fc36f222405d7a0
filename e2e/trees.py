"""Trees of files as e2e/trees/list_tree.c lists them, and what other tools make of an image."""

import contextlib
import dataclasses
import pathlib
import subprocess
import tempfile

FIELDS = ('type', 'mode', 'uid', 'gid', 'mtime', 'linked with', 'content', 'attributes')


@dataclasses.dataclass
class File:
    type: str
    fields: dict


def read_listing(text):
    """Path to File. Inode numbers become the first path of those that share one."""
    files, sharing = {}, {}
    for line in text.splitlines():
        path, kind, mode, uid, gid, mtime, inode, content, *xattrs = line.split('\t')
        sharing.setdefault(inode, []).append(path)
        values = (kind, mode, uid, gid, mtime, inode, content, sorted(xattrs))
        files[path] = File(kind, dict(zip(FIELDS, values)))
    for file in files.values():
        file.fields['linked with'] = min(sharing[file.fields['linked with']])
    return files


def differences(wanted, found, ignored):
    """Lines for a person, each with its path first; `ignored(path, field)` leaves a field out."""
    lines = []
    for path in sorted(wanted.keys() | found.keys()):
        if path not in found or path not in wanted:
            lines.append((path, 'is missing' if path in wanted else 'should not be there'))
            continue
        for field in FIELDS:
            want, got = wanted[path].fields[field], found[path].fields[field]
            if want != got and not ignored(path, field):
                lines.append((path, f'{field}: {got} instead of {want}'))
    return lines


def run(*command, cwd=None):
    done = subprocess.run(command, capture_output=True, cwd=cwd, check=False)
    if done.returncode != 0:
        words = ' '.join(map(str, command))
        raise AssertionError(f'{words}: exit {done.returncode}\n{done.stdout}{done.stderr}')
    return done.stdout.decode()


@contextlib.contextmanager
def unpacked_by_podman(layout):
    """podman's storage, by buildah, in its default way: a folder for each layer, which the kernel's
    overlayfs joins."""
    with tempfile.TemporaryDirectory(prefix='pg-podman-', dir='/var/tmp') as storage:
        buildah = ('buildah', '--root', f'{storage}/root', '--runroot', f'{storage}/run',
                   '--storage-driver', 'overlay')
        # A relative path: it becomes a part of the image's name, where not every path is allowed.
        container = run(*buildah, 'from', '--pull-never', f'oci:{layout.name}:latest',
                        cwd=layout.parent).split()[-1]
        try:
            yield run(*buildah, 'mount', container).strip()
        finally:
            run(*buildah, 'umount', container)
            run(*buildah, 'rm', container)


@contextlib.contextmanager
def unpacked_by_umoci(layout):
    """umoci: every layer in turn into one folder."""
    with tempfile.TemporaryDirectory(prefix='pg-umoci-', dir='/var/tmp') as bundle:
        run('umoci', 'unpack', '--image', f'{layout}:latest', f'{bundle}/it')
        yield f'{bundle}/it/rootfs'


@contextlib.contextmanager
def unpacked_by_tar(layout):
    """GNU tar, of an image with one layer that is not compressed."""
    blobs = pathlib.Path(layout, 'blobs/sha256')
    layer = max(blobs.iterdir(), key=lambda blob: blob.stat().st_size)
    with tempfile.TemporaryDirectory(prefix='pg-tar-', dir='/var/tmp') as root:
        run('tar', '--numeric-owner', '--same-owner', '--delay-directory-restore', '--xattrs',
            '--xattrs-include=*', '-xpf', layer, '-C', root)
        yield root


UNPACKED_BY = {'podman': unpacked_by_podman, 'umoci': unpacked_by_umoci, 'tar': unpacked_by_tar}


def reference(tool, layout, lister):
    """The tree that `tool` makes of an image."""
    with UNPACKED_BY[tool](layout) as root:
        return read_listing(run(lister, root))
