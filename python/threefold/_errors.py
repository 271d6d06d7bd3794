"""The base of all errors that are threefold's own, and the one that a lock raises when its owner has died."""


class Error(Exception):
    """What went wrong is threefold's to report; each kind is also of the nearest builtin or standard class."""


class OwnerDied(Error, RuntimeError):
    """A process ended without giving back what it had of a lock that was made with `owner_died="raise"`.

    What the lock protects may be half changed. Raised by `acquire`, `acquire_async`, `with` and `async with`, it leaves the
    lock free; raised by a condition's `wait` or `wait_async`, it leaves the caller with the lock, as any end of a wait does.

    Args:
        pid: the process that ended.
        held: what it had or had a permit of: "Lock", "RLock" or "BoundedSemaphore".
    """

    def __init__(self, pid: int, held: str) -> None:
        super().__init__(pid, held)
        self.pid = pid
        self.held = held

    def __str__(self) -> str:
        held = "a permit of this BoundedSemaphore" if self.held == "BoundedSemaphore" else f"this {self.held}"
        return f"process {self.pid} died while it had {held}: what it was changing may be half changed"
