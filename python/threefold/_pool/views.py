"""What of an executor's engine is shown under the standard library's private names, as programs look at those, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class Processes(Mapping[int | None, Any]):
    """An executor's processes by their pids, as long as anybody looks."""

    supervisor: Any = None

    def _now(self) -> dict[int | None, Any]:
        return {} if self.supervisor is None else {it.pid: it for it in self.supervisor.settled_processes()}

    def __getitem__(self, pid: int | None) -> Any:
        return self._now()[pid]

    def __iter__(self) -> Iterator[int | None]:
        return iter(self._now())

    def __len__(self) -> int:
        return 0 if self.supervisor is None else len(self.supervisor.settled_processes())


class End:
    """What stands for the thread and the queue of the standard executor: they end when the last process has."""

    def __init__(self, supervisor: Any) -> None:
        self._supervisor = supervisor

    def join(self, timeout: float | None = None) -> None:
        """Wait until the last process has ended."""
        self._supervisor.join(timeout)

    join_thread = join

    def is_alive(self) -> bool:
        """Return whether there are processes, or may be."""
        return not self._supervisor.join(0)
