"""Code that runs in another network namespace than the rest of the test."""

import ctypes
import os
import threading

CLONE_NEWNET = 0x40000000


def enter(name):
    """Puts this thread into a namespace of `ip netns`; threads that it starts are there too."""
    with open(f'/run/netns/{name}', 'rb') as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
            error = ctypes.get_errno()
            raise OSError(error, f'setns: {os.strerror(error)}')


def visit(name, function):
    """What `function` returns on a thread that is in the namespace, in a list; empty where it
    failed there."""
    result = []

    def there():
        enter(name)
        result.append(function())

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    return result
