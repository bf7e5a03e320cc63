"""The socket of a server: taken before anything else starts, so that a taken port is said at once.

An address flows in; a socket that is bound to it, or the remedy, flows out.
"""

import errno
import socket

from serving.errors import ServingError


def listen(host: str, port: int) -> socket.socket:
    """A socket for a server to listen on; worker processes may inherit it.

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
        remedy = "end what uses it, or choose another port with --port"
        if error.errno != errno.EADDRINUSE:
            remedy = "choose an address of this machine with --host, and a port that you may use with --port"
        raise CannotListen(f"{host}:{port} cannot be listened on ({error.strerror}): {remedy}.") from error
    listener.set_inheritable(True)
    return listener


class CannotListen(ServingError):
    """The address cannot be used; the message names the remedy."""
