"""The transport of a TLS connection: what a program has of it; what happens per record is the engine's."""

import warnings
from asyncio import sslproto
from collections.abc import Callable
from typing import Any

from threefold import _threefold
from threefold.asyncio._flow_control import water_marks

# What the class inherits from is private, and no stub has all of it.
_StandardTransport: Any = sslproto._SSLProtocolTransport
# Of our own class; what the base does not declare is in a dictionary.
_SLOTS = ("_core",)


class SSLTransport(_StandardTransport):  # type: ignore[misc]
    """A TLS connection; tests of other loops look for "SSL" in its name.

    `write`, `writelines`, `pause_reading`, `resume_reading`, `is_reading` and `get_write_buffer_size` are the engine's.

    Differs from the standard library:
        Small pieces of `writelines` share records. Bytes that cannot go out are copied if they are not `bytes`: their owner
        may change them at once. When a program closes the connection, what arrives after that is dropped until the other
        end has closed, too; it is no error.

    Source: CPython Lib/asyncio/sslproto.py, _SSLProtocolTransport
    """

    __slots__ = _SLOTS

    _closed: bool
    _ssl_protocol: Any

    def __init__(self, loop: Any, protocol: Any, core: Any) -> None:
        """Be the transport of a TLS protocol.

        Args:
            loop: an event loop of ours.
            protocol: the protocol between this transport and the one below.
            core: what both share.
        """
        super().__init__(loop, protocol)
        self._core = core

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        """Say so if nobody has closed it."""
        if not getattr(self, "_closed", True):
            self._closed = True
            _warn("unclosed transport <asyncio._SSLProtocolTransport object>", ResourceWarning, source=self)

    def get_protocol(self) -> Any:
        """Return who hears of what arrives."""
        return self._core.protocol

    def is_closing(self) -> bool:
        """Return whether it is closed or being closed."""
        return self._closed or bool(self._ssl_protocol._is_closing_below())

    def close(self) -> None:
        """Close the connection when what is queued has gone out, and the other end has agreed."""
        if not self._closed:
            self._closed = True
            self._ssl_protocol._close()

    def _force_close(self, exc: BaseException | None) -> None:
        self._closed = True
        self._ssl_protocol._abort(exc)

    def abort(self) -> None:
        """Close the connection at once; what is queued is lost."""
        self._force_close(None)

    @property
    def _protocol_paused(self) -> bool:
        return bool(self._core.is_writing_paused)

    def set_write_buffer_limits(self, high: float | None = None, low: float | None = None) -> None:
        """Set the water marks of what is queued, in bytes: the protocol pauses above `high` and resumes at `low`.

        Raises:
            ValueError: not high >= low >= 0.
        """
        self._core.set_marks(*water_marks(high, low, 512))

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the water marks of what is queued, the low one first, in bytes."""
        return self._core.marks  # type: ignore[no-any-return]

    def set_read_buffer_limits(self, high: float | None = None, low: float | None = None) -> None:
        """Set how much ciphertext is kept while reading is paused, in bytes.

        Raises:
            ValueError: not high >= low >= 0.
        """
        self._core.set_reading_marks(*water_marks(high, low, 256))

    def get_read_buffer_limits(self) -> tuple[int, int]:
        """Return how much ciphertext is kept while reading is paused, the low mark first, in bytes."""
        return self._core.reading_marks  # type: ignore[no-any-return]

    def get_read_buffer_size(self) -> int:
        """Return how many bytes of ciphertext are kept."""
        return self._core.incoming_bytes  # type: ignore[no-any-return]

    def _test__append_write_backlog(self, data: bytes) -> None:
        # Tests of the standard library queue by it what they do not want to be written yet.
        self._core.queue(data)


_threefold.install_tls_transport(SSLTransport)
