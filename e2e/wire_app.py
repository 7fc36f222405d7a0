"""An app that speaks no HTTP, of Debian's packages: redis (6379), an echo of TCP (7001) and of UDP
(7000), and a name server (53 of UDP) that knows one address for every name.
"""

import pathlib

import images
import packages

ADDRESS = '192.0.2.53'  # what the name server answers
SERVER = f'''
import select, socket

NAME = bytes(map(int, '{ADDRESS}'.split('.')))


def bound(kind, port):
    one = socket.socket(socket.AF_INET, kind)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(('0.0.0.0', port))
    return one


def answer(question):
    """Every name has one address of IPv4."""
    end = question.index(b'\\0', 12) + 5
    head = question[:2] + b'\\x85\\x80' + b'\\0\\1\\0\\1\\0\\0\\0\\0'
    record = b'\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4' + NAME
    return head + question[12:end] + record


listener = bound(socket.SOCK_STREAM, 7001)
listener.listen(64)
echo, names = bound(socket.SOCK_DGRAM, 7000), bound(socket.SOCK_DGRAM, 53)
streams = set()
while True:
    ready = select.select([listener, echo, names, *streams], [], [])[0]
    for one in ready:
        if one is listener:
            streams.add(listener.accept()[0])
        elif one in streams:
            try:
                data = one.recv(65536)
                one.sendall(data)
            except OSError:
                data = b''
            if not data:
                streams.discard(one)
                one.close()
        else:
            data, client = one.recvfrom(2000)
            one.sendto(data if one is echo else answer(data), client)
'''
START = '''#!/bin/busybox sh
/usr/bin/python3.11 -S /server.py &
exec /usr/bin/redis-server --bind 0.0.0.0 --protected-mode no --save '' --daemonize no
'''
DOCKERFILE = '''FROM scratch
ADD rootfs.tar /
COPY start.sh server.py /
CMD ["/bin/busybox", "sh", "/start.sh"]
'''
PERIGEE_TOML = '''app = "{app}"

[[services]]
internal_port = 6379
  [[services.ports]]
  port = 6379
  [[services.ports]]
  port = 6380
  handlers = ["tls"]

[[services]]
internal_port = 7001
  [[services.ports]]
  port = 7001
  [[services.ports]]
  port = 7002
  handlers = ["proxy_proto"]
  proxy_proto_options = {{ version = "v2" }}
  [[services.ports]]
  port = 7003
  handlers = ["tls"]
  tls_options = {{ alpn = ["echo/1"], versions = ["TLSv1.3"] }}

[[services]]
protocol = "udp"
internal_port = 7000
  [[services.ports]]
  start_port = 7000
  end_port = 7009

[[services]]
protocol = "udp"
internal_port = 53
  [[services.ports]]
  port = 53

[[vm]]
memory = 256
'''


def rootfs_tar():
    return images.packages_rootfs('wire', packages.WIRE, ('etc', 'run', 'tmp', 'root', 'dev'),
                                  finish_rootfs)


def finish_rootfs(root):
    (root / 'etc/passwd').write_text('root:x:0:0::/root:/bin/sh\n')
    (root / 'etc/group').write_text('root:x:0:\n')


def folder(place, app):
    """A build context and a perigee.toml for `app`."""
    place = pathlib.Path(place)
    place.mkdir(parents=True, exist_ok=True)
    target = place / 'rootfs.tar'
    target.unlink(missing_ok=True)
    target.hardlink_to(rootfs_tar())
    (place / 'start.sh').write_text(START)
    (place / 'server.py').write_text(SERVER)
    (place / 'Dockerfile').write_text(DOCKERFILE)
    (place / 'perigee.toml').write_text(PERIGEE_TOML.format(app=app))
    return place
