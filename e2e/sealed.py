"""Opens sealed values with a node's key ring, as docs/formats/sealed.md has them, independently of
Perigee's own code: AES-256-GCM from OpenSSL's library."""

import base64
import ctypes
import ctypes.util
import hashlib
import hmac
import json

NONCE = 12
TAG = 16
SET_TAG = 0x11  # EVP_CTRL_GCM_SET_TAG


def open_sealed(ring_file, kind, place, text):
    """The value of a sealed text, as bytes."""
    prefix, key_id, data = text.split(':')
    assert prefix == 'sealed1', text
    ring = json.loads(ring_file.read_text())
    secret = base64.b64decode(ring['keys'][key_id]['secret'])
    key = hmac.new(secret, f'perigee seal 1 {kind}'.encode(), hashlib.sha256).digest()
    raw = base64.b64decode(data)
    return decrypt(key, raw[:NONCE], f'{kind}\n{place}'.encode(), raw[NONCE:-TAG], raw[-TAG:])


def decrypt(key, nonce, associated, ciphertext, tag):
    crypto = ctypes.CDLL(ctypes.util.find_library('crypto'))
    for name in ('EVP_CIPHER_CTX_new', 'EVP_aes_256_gcm'):
        getattr(crypto, name).restype = ctypes.c_void_p
    context = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
    cipher = ctypes.c_void_p(crypto.EVP_aes_256_gcm())
    out = ctypes.create_string_buffer(len(ciphertext) + TAG)
    size = ctypes.c_int()
    try:
        good = (crypto.EVP_DecryptInit_ex(context, cipher, None, key, nonce) == 1
                and crypto.EVP_DecryptUpdate(context, None, ctypes.byref(size), associated,
                                             len(associated)) == 1
                and crypto.EVP_DecryptUpdate(context, out, ctypes.byref(size), ciphertext,
                                             len(ciphertext)) == 1
                and crypto.EVP_CIPHER_CTX_ctrl(context, SET_TAG, TAG, tag) == 1
                and crypto.EVP_DecryptFinal_ex(context, out, ctypes.byref(size)) == 1)
    finally:
        crypto.EVP_CIPHER_CTX_free(context)
    assert good, 'it does not open'
    return out.raw[:len(ciphertext)]
