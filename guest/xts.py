"""Disks encrypted as dm-crypt has them (aes-xts-plain64, sectors of 4096 bytes), by OpenSSL's
library and independently of Perigee's own code."""

import ctypes
import ctypes.util
import os
import struct

SECTOR = 4096
KEY_BYTES = 64


class Xts:
    """Encrypts and decrypts whole sectors; `offset` is the first one's place on the disk."""

    def __init__(self, key):
        assert len(key) == KEY_BYTES, len(key)
        self.key = key
        self.crypto = ctypes.CDLL(ctypes.util.find_library('crypto'))
        for name in ('EVP_CIPHER_CTX_new', 'EVP_aes_256_xts'):
            getattr(self.crypto, name).restype = ctypes.c_void_p
        self.cipher = ctypes.c_void_p(self.crypto.EVP_aes_256_xts())

    def encrypt(self, offset, data):
        return self._crypt(1, offset, data)

    def decrypt(self, offset, data):
        return self._crypt(0, offset, data)

    def _crypt(self, encrypt, offset, data):
        assert offset % SECTOR == 0 and len(data) % SECTOR == 0
        context = ctypes.c_void_p(self.crypto.EVP_CIPHER_CTX_new())
        out, size, parts = ctypes.create_string_buffer(SECTOR), ctypes.c_int(), []
        try:
            good = self.crypto.EVP_CipherInit_ex(context, self.cipher, None, self.key, bytes(16),
                                                 encrypt)
            for at in range(0, len(data), SECTOR):
                tweak = struct.pack('<QQ', (offset + at) // 512, 0)
                good = good and self.crypto.EVP_CipherInit_ex(context, None, None, None, tweak, -1)
                good = good and self.crypto.EVP_CipherUpdate(
                    context, out, ctypes.byref(size), data[at:at + SECTOR], SECTOR)
                parts.append(out.raw)
        finally:
            self.crypto.EVP_CIPHER_CTX_free(context)
        assert good == 1, 'OpenSSL refuses'
        return b''.join(parts)


def data_of(path):
    """(offset, bytes) of each stretch of a file that is not a hole, in whole sectors."""
    with open(path, 'rb') as file:
        end = file.seek(0, os.SEEK_END)
        at = 0
        while at < end:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:  # only a hole is left
                return
            hole = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            at -= at % SECTOR
            hole += -hole % SECTOR
            yield at, os.pread(file.fileno(), hole - at, at)
            at = hole


def encrypt_file(path, key):
    """In place. What is a hole stays one: it is read as noise from then on."""
    xts = Xts(key)
    with open(path, 'r+b') as file:
        for at, data in data_of(path):
            os.pwrite(file.fileno(), xts.encrypt(at, data), at)
