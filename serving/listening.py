"""Binds a server's socket before anything else starts, so that a port conflict is reported at once.

Takes an address; returns a bound socket or raises an error that names the remedy.
"""

import errno
import socket

from serving.errors import ServingError


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket for a server; worker processes can inherit it.

    port: 0 takes a free one.

    Raises:
        CannotListen: the address cannot be used.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        remedy = "stop the process that uses it, or choose another port with --port"
        if error.errno != errno.EADDRINUSE:
            remedy = "choose an address of this machine with --host, and a port that you may use with --port"
        raise CannotListen(f"Cannot listen on {host}:{port} ({error.strerror}): {remedy}.") from error
    listener.set_inheritable(True)
    return listener


class CannotListen(ServingError):
    """The address cannot be used; the message names the remedy."""
