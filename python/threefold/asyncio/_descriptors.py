"""Descriptors of an event loop: who hears of them, and what the standard library's loop asks of its selector."""

from __future__ import annotations

import asyncio
import selectors
import weakref
from typing import TYPE_CHECKING, Any

from threefold.asyncio._handles import Handle

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

# What this class is built on are the standard loop's private parts, which no stub has.
_StandardLoop: Any = asyncio.SelectorEventLoop

# Descriptors are of C's type int.
_LARGEST_DESCRIPTOR = 2**31 - 1


class Descriptors(_StandardLoop):  # type: ignore[misc]
    """What an event loop of ours does to hear of a descriptor; the watch itself is the engine's.

    Source: CPython Lib/asyncio/selector_events.py
    """

    # The objects, other than numbers, that are listened to, by descriptor and side, with the handles.
    _files: dict[tuple[int, bool], tuple[Any, Handle]]

    def _add_reader(
        self, fd: Any, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        return self._listen(fd, False, callback, args, context)

    def _add_writer(
        self, fd: Any, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        return self._listen(fd, True, callback, args, context)

    def _remove_reader(self, fd: Any) -> bool:
        return self._ignore(fd, False)

    def _remove_writer(self, fd: Any) -> bool:
        return self._ignore(fd, True)

    def _listen(
        self, fd: Any, is_writer: bool, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> Handle:
        self._check_closed()
        handle = Handle(callback, args, self, context)
        descriptor = _descriptor_of(fd)
        if descriptor > _LARGEST_DESCRIPTOR:
            raise OverflowError("Python int too large to convert to C int")
        previous = self._watch(descriptor, is_writer, handle)
        if previous is not None:
            previous.cancel()
        if isinstance(fd, int):
            self._files.pop((descriptor, is_writer), None)
        else:
            self._files[descriptor, is_writer] = fd, handle
        return handle

    def _ignore(self, fd: Any, is_writer: bool) -> bool:
        if self.is_closed():
            return False
        try:
            descriptor = _descriptor_of(fd)
        except ValueError:
            if self._ignore_closed(fd, is_writer):
                return True
            raise
        self._files.pop((descriptor, is_writer), None)
        previous = self._unwatch(descriptor, is_writer) if descriptor <= _LARGEST_DESCRIPTOR else None
        if previous is None:
            return False
        previous.cancel()
        return True

    def _ignore_closed(self, fd: Any, is_writer: bool) -> bool:
        """Forget an object that has lost its number, which may by now be another's."""
        for key, (file, handle) in self._files.items():
            if file is fd and key[1] is is_writer:
                del self._files[key]
                self._unwatch(*key, handle)
                handle.cancel()
                return True
        return False


class Watched:
    """What the engine watches, as the standard library's transports look it up: its loop keeps a selector there."""

    def __init__(self, loop: Any) -> None:
        self._loop = weakref.ref(loop)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """Return what is watched of a descriptor, or of an object that has one.

        Raises:
            KeyError: it is not watched.
        """
        loop = self._loop()
        descriptor = _descriptor_of(fileobj)
        reads, writes = loop._is_watched(descriptor) if loop is not None else (False, False)
        mask = (selectors.EVENT_READ if reads else 0) | (selectors.EVENT_WRITE if writes else 0)
        if not mask:
            raise KeyError(f"{descriptor!r} is not watched")
        return selectors.SelectorKey(fileobj, descriptor, mask, None)

    def close(self) -> None:
        """Do nothing: the engine's set of descriptors lives as long as the loop."""


def _descriptor_of(fd: Any) -> int:
    try:
        descriptor = fd if isinstance(fd, int) else int(fd.fileno())
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"Invalid file object: {fd!r}") from None
    if descriptor < 0:
        raise ValueError(f"Invalid file descriptor: {descriptor}")
    return descriptor
