"""The socket of a server: taken before anything else starts, so that a taken port is said at once.

An address flows in; a socket that is bound to it, or the remedy, flows out.
"""

import socket


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
        raise CannotListen(
            f"{host}:{port} cannot be listened on ({error.strerror}): end what uses it, or choose another port with "
            "--port."
        ) from error
    listener.set_inheritable(True)
    return listener


class CannotListen(Exception):
    """The address cannot be used; the message names the remedy."""
