"""A tar layer written byte by byte: what tarfile normalises, refuses or cannot say is written as
told. Names are str, with surrogates for bytes that are no UTF-8.
"""

BLOCK = 512
MTIME = 1_700_000_000
USTAR, GNU = b'ustar\x0000', b'ustar  \x00'


def raw(text):
    return text if isinstance(text, bytes) else str(text).encode('utf-8', 'surrogateescape')


def number(value, width):
    """Octal where it fits, else base 256, as GNU tar and star write it."""
    if 0 <= value < 8 ** (width - 1):
        return b'%0*o\0' % (width - 1, value)
    bits = 8 * width
    filled = value & ((1 << bits) - 1) if value < 0 else value | (1 << (bits - 1))
    return filled.to_bytes(width, 'big')


def pax_record(key, value):
    key, value = raw(key), raw(value)
    rest = len(key) + len(value) + 3
    length = rest + 1
    while len(str(length)) + rest != length:
        length = len(str(length)) + rest
    return b'%d %s=%s\n' % (length, key, value)


def padded(data):
    return data + bytes(-len(data) % BLOCK)


def header(name, kind, size, mode=0o644, uid=0, gid=0, mtime=MTIME, link=b'', device=(0, 0),
           magic=USTAR, prefix=b'', gnu_tail=b''):
    """One block. `gnu_tail`: what GNU's format has from byte 386 on."""
    fields = ((0, name[:100]), (100, number(mode, 8)), (108, number(uid, 8)),
              (116, number(gid, 8)), (124, number(size, 12)), (136, number(mtime, 12)),
              (148, b' ' * 8), (156, kind), (157, link[:100]), (257, magic),
              (329, number(device[0], 8)), (337, number(device[1], 8)), (345, prefix),
              (386, gnu_tail))
    block = bytearray(BLOCK)
    for at, value in fields:
        block[at:at + len(value)] = value
    block[148:156] = b'%06o\0 ' % sum(block)
    return bytes(block)


class Layer:
    """Entries in the order of the calls; `bytes()` is the whole archive. `directories`: the paths
    of those that have an entry."""

    def __init__(self):
        self.out = bytearray()
        self.directories = set()

    def __bytes__(self):
        return bytes(self.out) + bytes(2 * BLOCK)

    def entry(self, name, kind=b'0', data=b'', link='', pax=(), long_names='gnu', **fields):
        """`pax`: pairs for an extended header. Names beyond 100 bytes go the way `long_names` says:
        'gnu', 'pax', or 'prefix' (ustar)."""
        if name.endswith('/'):
            self.directories.add('/' + name.strip('./'))
        name, link, records = raw(name), raw(link), list(pax)
        if long_names == 'prefix' and len(name) > 100:
            split = name.rindex(b'/', 0, 155)
            fields['prefix'], name = name[:split], name[split + 1:]
        for text, gnu, key in ((name, b'L', 'path'), (link, b'K', 'linkpath')):
            if len(text) <= 100:
                continue
            if long_names == 'pax':
                records.append((key, text))
            else:
                self._put(header(b'././@LongLink', gnu, len(text) + 1, magic=GNU), text + b'\0')
        if records:
            text = b''.join(pax_record(key, value) for key, value in records)
            self._put(header(b'pax', b'x', len(text)), text)
        self._put(header(name, kind, len(data), link=link, **fields), data)

    def _put(self, block, data):
        self.out += block + padded(data)

    def file(self, name, data=b'', **fields):
        self.entry(name, data=raw(data), **fields)

    def directory(self, name, mode=0o755, **fields):
        self.entry(name + '/', b'5', mode=mode, **fields)

    def symlink(self, name, target, **fields):
        self.entry(name, b'2', link=target, mode=0o777, **fields)

    def hard_link(self, name, target, **fields):
        self.entry(name, b'1', link=target, **fields)

    def whiteout(self, name):
        folder, _, last = name.rpartition('/')
        self.file(f'{folder}/.wh.{last}')

    def opaque(self, name):
        self.file(f'{name}/.wh..wh..opq')

    # ---- sparse files, in each format; `pieces`: (offset, bytes) ----

    def sparse_old(self, name, pieces, size):
        """GNU's own: four pieces in the header, 21 in each block after it."""
        found = [number(offset, 12) + number(len(data), 12) for offset, data in pieces]
        blocks = [found[at:at + 21] for at in range(4, len(found), 21)]
        tail = b''.join(found[:4]).ljust(96, b'\0') + bytes([bool(blocks)]) + number(size, 12)
        stored = b''.join(data for _, data in pieces)
        self.out += header(raw(name), b'S', len(stored), magic=GNU, gnu_tail=tail)
        for at, block in enumerate(blocks):
            more = bytes([at + 1 < len(blocks)])
            self.out += padded(b''.join(block).ljust(504, b'\0') + more)
        self.out += padded(stored)

    def sparse_pax(self, name, pieces, size, version):
        """pax format '0.0', '0.1' or '1.0'."""
        stored = b''.join(data for _, data in pieces)
        places = [(offset, len(data)) for offset, data in pieces]
        last = name.rpartition('/')[2]
        if version == '1.0':
            lines = [len(places), *(one for place in places for one in place)]
            stored = padded(''.join(f'{line}\n' for line in lines).encode()) + stored
            pax = [('GNU.sparse.major', 1), ('GNU.sparse.minor', 0), ('GNU.sparse.name', name),
                   ('GNU.sparse.realsize', size)]
            name = f'GNUSparseFile.0/{last}'
        elif version == '0.1':
            text = ','.join(str(one) for place in places for one in place)
            pax = [('GNU.sparse.size', size), ('GNU.sparse.numblocks', len(places)),
                   ('GNU.sparse.name', name), ('GNU.sparse.map', text)]
            name = f'GNUSparseFile.0/{last}'
        else:
            pax = [('GNU.sparse.size', size), ('GNU.sparse.numblocks', len(places))]
            for offset, length in places:
                pax += [('GNU.sparse.offset', offset), ('GNU.sparse.numbytes', length)]
        self.entry(name, data=stored, pax=pax)
