"""PostgreSQL for the scenarios: its image of Debian's packages, and a client that speaks as much of
its protocol (version 3, simple queries, no password) as they need.
"""

import os
import pathlib
import shutil
import socket
import stat
import struct

import images
import packages

PORT = 5432
UID = 70
START = '''#!/bin/busybox sh
# The first start brings the database to the volume, whole or not at all: the machine may be killed
# at any time. (It was made by initdb with the image: emulated, that takes a minute.)
set -e
if [ ! -s /data/pg/PG_VERSION ]; then
  /bin/busybox rm -rf /data/new
  /bin/busybox cp -a /template /data/new
  /bin/busybox sync
  /bin/busybox mv /data/new /data/pg
  /bin/busybox sync
fi
exec /usr/lib/postgresql/15/bin/postgres -D /data/pg -c listen_addresses='*' \\
  -c shared_buffers=16MB -c max_connections=10 -c autovacuum=off -c wal_level=minimal \\
  -c max_wal_senders=0 -c unix_socket_directories=/tmp
'''
DOCKERFILE = '''FROM scratch
ADD rootfs.tar /
COPY start.sh /start.sh
USER postgres
CMD ["/bin/busybox", "sh", "/start.sh"]
'''
PERIGEE_TOML = f'''app = "{{app}}"
kill_signal = "SIGINT"
kill_timeout = "30s"

[http_service]
internal_port = {PORT}

[[vm]]
memory = 256

[mounts]
source = "data"
destination = "/data"
initial_size = "256mb"
'''


def rootfs_tar():
    """Debian's PostgreSQL with all that it needs."""
    return images.packages_rootfs('postgres', packages.POSTGRES,
                                  ('etc', 'run', 'tmp', 'data', 'dev'), finish_rootfs)


def finish_rootfs(root):
    # initdb and postgres start programs through a shell.
    (root / 'usr/bin/sh').unlink(missing_ok=True)
    (root / 'usr/bin/sh').symlink_to('busybox')
    (root / 'etc/passwd').write_text('root:x:0:0::/:/bin/sh\n'
                                     f'postgres:x:{UID}:{UID}::/tmp:/bin/sh\n')
    (root / 'etc/group').write_text(f'root:x:0:\npostgres:x:{UID}:\n')
    shutil.rmtree(root / 'usr/lib/postgresql/15/lib/bitcode', ignore_errors=True)
    (root / 'tmp').chmod(0o1777)
    make_template(root)


def make_template(root):
    """An empty database in /template, made by the image's own initdb as the image's own user."""
    template, null = root / 'template', root / 'dev/null'
    shutil.rmtree(template, ignore_errors=True)
    template.mkdir()
    os.chown(template, UID, UID)
    if not null.exists():
        os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        null.chmod(0o666)
    images.run_tool('chroot', f'--userspec={UID}:{UID}', root,
                    '/usr/lib/postgresql/15/bin/initdb', '-D', '/template', '-U', 'postgres',
                    '--auth', 'trust', '--no-locale', '-E', 'UTF8', '--wal-segsize', '1')
    null.unlink()
    with open(template / 'pg_hba.conf', 'a', encoding='utf-8') as rules:
        rules.write('host all all 0.0.0.0/0 trust\n')


def folder(path, app):
    """A build context and a perigee.toml for `app`."""
    path = pathlib.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    target = path / 'rootfs.tar'
    target.unlink(missing_ok=True)
    target.hardlink_to(rootfs_tar())
    (path / 'start.sh').write_text(START)
    (path / 'Dockerfile').write_text(DOCKERFILE)
    (path / 'perigee.toml').write_text(PERIGEE_TOML.format(app=app))
    return path


class Connection:
    """One session; OSError when it is lost, AssertionError for what the server refuses."""

    def __init__(self, address, timeout=5):
        self.socket = socket.create_connection((address, PORT), timeout)
        self.buffer = b''
        words = b'user\0postgres\0database\0postgres\0\0'
        self.socket.sendall(struct.pack('!II', 8 + len(words), 0x30000) + words)
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def close(self):
        self.socket.close()

    def query(self, text):
        """The rows of a query, as lists of strings; returns when the server has committed it."""
        body = text.encode() + b'\0'
        self.socket.sendall(b'Q' + struct.pack('!I', 4 + len(body)) + body)
        return self._answer()

    def _answer(self):
        rows, refused = [], None
        while True:
            kind, body = self._message()
            if kind == b'Z':  # ready for the next query
                if refused:
                    raise AssertionError(refused)
                return rows
            if kind == b'D':
                rows.append(fields_of(body))
            elif kind == b'E':
                refused = body.replace(b'\0', b' ').decode('utf-8', 'replace')
                if 'FATAL' in refused:  # starting up, or going down
                    raise ConnectionError(refused)

    def _message(self):
        kind = self._bytes(1)
        length, = struct.unpack('!I', self._bytes(4))
        return kind, self._bytes(length - 4)

    def _bytes(self, count):
        while len(self.buffer) < count:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError('the server has closed the connection')
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken


def fields_of(body):
    count, = struct.unpack('!H', body[:2])
    fields, at = [], 2
    for _ in range(count):
        length, = struct.unpack('!i', body[at:at + 4])
        at += 4
        fields.append(None if length < 0 else body[at:at + length].decode())
        at += max(length, 0)
    return fields
