"""Images for the scenarios, made of Debian packages with Debian's tools; a registry to pull from.

`nginx_folder(page)` is a build context: a Dockerfile `FROM scratch`, the unpacked packages as one
tar, nginx's configuration and a page. From it buildah makes an archive, and skopeo puts that into
Debian's docker-registry. The tar is made once; a page is a layer of its own above it.
"""

import crypt
import pathlib
import shutil
import socket
import subprocess
import tarfile
import tempfile

import packages
from perigee_node import REPOSITORY, free_ports, wait_until

CACHE = REPOSITORY / 'build/cache'
PORT = 8080
DOCKERFILE = '''FROM scratch
ADD rootfs.tar /
RUN ["/bin/busybox", "sh", "-c", "nginx -t && echo built by RUN > /www/built"]
COPY index.html /www/index.html
EXPOSE 8080
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
'''
NGINX_CONF = f'''user www-data;
worker_processes 1;
error_log stderr;
pid /run/nginx.pid;
events {{ worker_connections 256; }}
http {{
  include /etc/nginx/mime.types;
  access_log /dev/stdout;
  server {{
    listen {PORT};
    root /www;
  }}
}}
'''
PASSWD = 'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/sh\n'
PERIGEE_TOML = '''app = "{app}"

[http_service]
internal_port = {port}
{service}

[[vm]]
memory = {memory}
'''


def nginx_rootfs_tar():
    """Debian's nginx with all that it needs."""
    folders = ('etc', 'www', 'run', 'tmp', 'var/log/nginx', 'var/lib/nginx', 'root', 'dev')
    return packages_rootfs('nginx', packages.NGINX, folders, finish_nginx)


def finish_nginx(root):
    (root / 'usr/bin/sh').unlink(missing_ok=True)
    (root / 'usr/bin/sh').symlink_to('busybox')
    (root / 'etc/passwd').write_text(PASSWD)
    (root / 'etc/group').write_text('root:x:0:\nwww-data:x:33:\n')
    (root / 'etc/nginx/nginx.conf').write_text(NGINX_CONF)


def merge_into_usr(root, name):
    old = root / name
    if old.is_symlink():
        return
    new = root / 'usr' / name
    new.mkdir(parents=True, exist_ok=True)
    if old.exists():
        shutil.copytree(old, new, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(old)
    old.symlink_to(f'usr/{name}')


def packages_rootfs(name, wanted, folders, finish):
    """build/cache/NAME-rootfs.tar: the packages' files without their documents, with empty
    `folders`, and what `finish(root)` makes of them; made once."""
    packages.fetch(wanted)
    root = packages.unpack(wanted, CACHE / f'{name}-rootfs')
    tar, stamp = CACHE / f'{name}-rootfs.tar', CACHE / f'{name}-rootfs.debs'
    if tar.exists() and tar.stat().st_mtime > stamp.stat().st_mtime:
        return tar
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    # Debian 12 has /bin and /lib under /usr; the packages' files come in both places.
    for folder in ('bin', 'sbin', 'lib', 'lib64'):
        merge_into_usr(root, folder)
    for folder in ('usr/share/doc', 'usr/share/man', 'usr/share/locale'):
        shutil.rmtree(root / folder, ignore_errors=True)
    finish(root)
    with tarfile.open(tar, 'w') as out:
        out.add(root, arcname='.')
    return tar


def nginx_folder(folder, page, app=None):
    """A build context in `folder` whose image serves `page`; with a perigee.toml for `app`."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / 'rootfs.tar'
    target.unlink(missing_ok=True)
    target.hardlink_to(nginx_rootfs_tar())
    (folder / 'Dockerfile').write_text(DOCKERFILE)
    (folder / 'index.html').write_text(page)
    if app:
        (folder / 'perigee.toml').write_text(
            PERIGEE_TOML.format(app=app, port=PORT, memory=256, service=''))
    return folder


def scratch_folder(folder, app, command, port=PORT, config='', memory=256, service=''):
    """A context of static busybox alone that runs `command` (a list); perigee.toml for `app`, with
    `service` in its [http_service] and `config` at its end."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy('/bin/busybox', folder / 'busybox')
    words = ', '.join('"' + word.replace('\\', '\\\\').replace('"', '\\"') + '"'
                      for word in command)
    (folder / 'Dockerfile').write_text(
        f'FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nCMD [{words}]\n')
    (folder / 'perigee.toml').write_text(
        PERIGEE_TOML.format(app=app, port=port, memory=memory, service=service) + config)
    return folder


def run_tool(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f'{" ".join(map(str, command))}\n{done.stdout}{done.stderr}')


def build_archive(folder, out, tag='nginx:e2e'):
    """What `docker save` writes, of the Dockerfile in `folder`: built by buildah, with a storage
    of its own that goes away afterwards."""
    with tempfile.TemporaryDirectory(prefix='pg-buildah-', dir='/var/tmp') as storage:
        buildah = ['buildah', '--root', f'{storage}/root', '--runroot', f'{storage}/run',
                   '--storage-driver', 'vfs']
        run_tool(*buildah, 'bud', '--isolation', 'chroot', '-t', tag, str(folder))
        out.unlink(missing_ok=True)
        run_tool(*buildah, 'push', tag, f'docker-archive:{out}:{tag}')
    return out


class Registry:
    """Debian's docker-registry on a free loopback port, its storage in a temporary folder. `login`:
    (user, password), without which it gives nothing."""

    def __init__(self, login=None):
        self.login = login
        self.folder = tempfile.mkdtemp(prefix='pg-registry-', dir='/var/tmp')
        self.port = free_ports(1)[0]
        config = pathlib.Path(self.folder, 'config.yml')
        config.write_text('version: 0.1\nstorage:\n  filesystem:\n'
                          f'    rootdirectory: {self.folder}/data\n'
                          f'http:\n  addr: 127.0.0.1:{self.port}\n{self._auth()}')
        self.log = open(pathlib.Path(self.folder, 'log'), 'w', encoding='utf-8')
        self.process = subprocess.Popen([packages.registry_program(), 'serve', config],
                                        stdout=self.log, stderr=self.log)
        wait_until('the registry listens', 10, self._listens)

    def _auth(self):
        if self.login is None:
            return ''
        user, password = self.login
        path = pathlib.Path(self.folder, 'htpasswd')
        salt = crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)  # the least: each request checks it
        path.write_text(f'{user}:{crypt.crypt(password, salt)}\n')
        return f'auth:\n  htpasswd:\n    realm: e2e\n    path: {path}\n'

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(('127.0.0.1', self.port)) == 0

    def push(self, archive, name):
        """Uploads an archive; returns the reference to deploy."""
        reference = f'127.0.0.1:{self.port}/{name}'
        shown = [] if self.login is None else ['--dest-creds', ':'.join(self.login)]
        run_tool('skopeo', '--insecure-policy', 'copy', '--dest-tls-verify=false', *shown,
                 f'docker-archive:{archive}', f'docker://{reference}')
        return reference

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
