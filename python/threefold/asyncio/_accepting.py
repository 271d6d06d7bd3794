"""Accepting connections, and waiting for better times when no descriptors are left."""

import errno
from asyncio import constants, trsock
from asyncio.log import logger
from functools import partial
from typing import Any

# What a server gets over by waiting.
SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def accept_connections(
    loop: Any, factory: Any, listening: Any, context: Any, server: Any, backlog: int, *rest: Any
) -> None:
    """Accept the connections that are there, at most one more than the backlog has room for.

    A shortage is reported once, and ends the round: the server listens again after a second.

    Args:
        loop: an event loop of ours.
        factory: makes the protocols.
        listening: the server's socket.
        context: of TLS, or None.
        server: whose socket it is.
        backlog: of the server.
        rest: the time limits of TLS and, from Python 3.15 on, the context of the server's callbacks.

    Source: CPython Lib/asyncio/selector_events.py, BaseSelectorEventLoop._accept_connection
    """
    for _ in range(backlog + 1):
        try:
            connection, address = listening.accept()
        except ConnectionAbortedError:
            continue
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            if error.errno not in SHORTAGES:
                raise
            report = {"message": "socket.accept() out of system resource", "exception": error}
            loop.call_exception_handler(report | {"socket": trsock.TransportSocket(listening)})
            loop._remove_reader(listening.fileno())
            again = partial(_listen_again, loop)
            loop.call_later(constants.ACCEPT_RETRY_DELAY, again, factory, listening, context, server, backlog, *rest)
            return
        if loop.get_debug():
            logger.debug("%r got a new connection from %r: %r", server, address, connection)
        connection.setblocking(False)
        named = {}
        if len(rest) > 2:
            named["context"] = rest[2].copy() if rest[2] is not None else None
        extra = {"peername": address}
        accepted = loop._accept_connection2(factory, connection, extra, context, server, *rest[:2], **named)
        loop.create_task(accepted, **named)


def _listen_again(loop: Any, factory: Any, listening: Any, *arguments: Any) -> None:
    # Its server may have been closed meanwhile.
    if listening.fileno() != -1:
        loop._start_serving(factory, listening, *arguments)
