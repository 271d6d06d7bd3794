"""The two ends of each peer's queue between processes: what every peer calls by another name."""

from typing import Any

from harness import UnavailableError, home, load, require_own
from queue_ends import Get, Put

# What faster-fifo gets to stream through; of the larger messages few have room in its own default of 1 MB.
RING_BYTES = 4_000_000


def forking(module: str, name: str) -> Any:
    """Return what a module like `multiprocessing` has under a name, for processes that are forked."""
    return getattr(load(module).get_context("fork"), name)


def process_ends(peer: str, message_bytes: int = 0, *, one_to_one: bool = True) -> tuple[Put, Get]:
    """Return the put and the get of a new queue that processes inherit.

    Args:
        peer: the address of its class.
        message_bytes: about how long a message is; 0 makes the queue as the peer itself would.
        one_to_one: whether one process puts and one gets.

    Raises:
        UnavailableError: if there are to be several, and the peer has one at each end.
    """
    module, _, name = peer.partition(":")
    if home(peer) == "faster_fifo":
        size = {"max_size_bytes": max(RING_BYTES, 4 * message_bytes)} if message_bytes else {}
        queue = load(peer)(**size)
        # Its `get` gives up after 10 s unless told otherwise; no case here waits for that long.
        return queue.put, queue.get
    if name == "Pipe":
        if not one_to_one:
            raise UnavailableError("for one process at each end")
        receiver, sender = forking(module, name)(duplex=False)
        require_own(peer, type(receiver))
        return sender.send, receiver.recv
    queue = forking(module, name)()
    return queue.put, queue.get
