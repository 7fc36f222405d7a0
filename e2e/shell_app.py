"""An app whose machines run what the test tells them: busybox, a page, and a shell behind CGI.

The test talks to a machine at its private address, from the host, as the router does.
"""

import http.client
import shutil

import images

PORT = 8080
SERVER = r'''
/bin/busybox --install -s /bin
mkdir -p /www/cgi-bin /tmp
echo page > /www/index.html
cat > /www/cgi-bin/run <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
head -c "$CONTENT_LENGTH" > /tmp/job.$$
sh /tmp/job.$$ 2>&1
END
chmod +x /www/cgi-bin/run
exec /bin/busybox httpd -f -p 8080 -h /www
'''


def folder(place, app, programs=(), config='', server=SERVER, memory=256):
    """A build context for `app`; `programs` are files that are put into /bin."""
    place = images.scratch_folder(place, app, ['/bin/busybox', 'sh', '/server'], config=config,
                                  memory=memory)
    (place / 'server').write_text(server)
    dockerfile = place / 'Dockerfile'
    lines = ['COPY server /server']
    for program in programs:
        shutil.copy(program, place / program.name)
        lines.append(f'COPY {program.name} /bin/{program.name}')
    first, rest = dockerfile.read_text().split('\nCMD', 1)
    dockerfile.write_text(first + '\n' + '\n'.join(lines) + '\nCMD' + rest)
    return place


def run(address, script, timeout=15):
    """The output of a shell script in the machine at `address`."""
    connection = http.client.HTTPConnection(address, PORT, timeout=timeout)
    try:
        connection.request('POST', '/cgi-bin/run', script.encode())
        return connection.getresponse().read().decode('utf-8', 'replace')
    finally:
        connection.close()


def connects(address, to, port, seconds=2):
    """Whether the machine at `address` can open a TCP connection; what the other end says."""
    told = run(address, f'echo | nc -w {seconds} {to} {port} && echo CONNECTED || echo REFUSED')
    return 'CONNECTED' in told, told
