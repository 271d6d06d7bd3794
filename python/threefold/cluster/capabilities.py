"""What each backend of a pool can do: the one table that the pool's refusals, the tests and the guide come from."""

from dataclasses import dataclass

from threefold._errors import Error


class UnsupportedOnBackend(Error, ValueError):  # noqa: N818 - a user reads it as a sentence
    """The backend of a pool cannot do what was asked for, and says so before anything is begun."""


@dataclass(frozen=True)
class Support:
    """What one backend does about one feature.

    Attributes:
        is_there: whether a pool on the backend can be asked for it.
        note: what to know about it; where it is refused, the reason and what to use.
    """

    is_there: bool
    note: str = ""

    def __str__(self) -> str:
        answer = "yes" if self.is_there else "refused"
        return f"{answer}: {self.note}" if self.note else answer


@dataclass(frozen=True)
class Feature:
    """One row of the table.

    Attributes:
        title: what it is, for people.
        option: the argument of the pool or of its methods that asks for it, None where nothing has to be asked for.
        local: this machine's processes.
        ray: tasks on Ray.
        dask: tasks on Dask.
    """

    title: str
    option: str | None
    local: Support
    ray: Support
    dask: Support


def _yes(note: str = "") -> Support:
    return Support(is_there=True, note=note)


def _refused(note: str) -> Support:
    return Support(is_there=False, note=note)


FEATURES = {
    "maps": Feature(
        "`map`, `starmap`, `apply`, `imap`, callbacks, `chunksize`", None, local=_yes(), ray=_yes(), dask=_yes()
    ),
    "tracebacks": Feature("exceptions with the worker's traceback", None, local=_yes(), ray=_yes(), dask=_yes()),
    "closures": Feature("lambdas and closures", None, local=_yes("with cloudpickle"), ray=_yes(), dask=_yes()),
    "initializer": Feature(
        "an initializer, once in each process",
        "initializer",
        local=_yes("when the worker starts"),
        ray=_yes("before the first task"),
        dask=_yes("before the first task, also in workers that join later"),
    ),
    "retries": Feature("retries when a worker dies", "retries", local=_yes(), ray=_yes(), dask=_yes()),
    "max_tasks": Feature(
        "a fresh process after so many tasks",
        "maxtasksperchild",
        local=_yes(),
        ray=_yes("`max_calls`"),
        dask=_refused("workers are recycled by the nanny; use the worker's `--lifetime`"),
    ),
    "time_limit": Feature(
        "a time limit for a task, which ends it",
        "timeout",
        local=_yes(),
        ray=_yes("from its start"),
        dask=_refused("a task that runs cannot be stopped; use backend='ray', or a limit inside the function"),
    ),
    "memory_limit": Feature(
        "a memory limit for a worker",
        "max_memory_per_worker",
        local=_yes(),
        ray=_refused("Ray reserves memory for a task and does not limit it; use `memory` to reserve it"),
        dask=_refused("the limit belongs to the worker; use its `--memory-limit`"),
    ),
    "start_method": Feature(
        "a start method",
        "context",
        local=_yes(),
        ray=_refused("Ray starts the workers; leave it out"),
        dask=_refused("Dask starts the workers; leave it out"),
    ),
    "shared_objects": Feature(
        "locks, queues, events and shared memory as arguments",
        None,
        local=_yes("of the initializer, as the standard library has it"),
        ray=_refused("they live in the memory of this machine; use `ray.util.queue.Queue` or an actor"),
        dask=_refused("they live in the memory of this machine; use `distributed.Lock`, `Queue` or `Event`"),
    ),
    "inherited_globals": Feature(
        "globals that were set before the pool was made",
        None,
        local=_yes("with the start method fork"),
        ray=_yes("those that the function uses, as they were when it was sent"),
        dask=_yes("those that the function uses, as they were when it was sent"),
    ),
    "at_most_once": Feature(
        "a task begins at most once",
        None,
        local=_yes(),
        ray=_yes(),
        dask=_yes("on a cluster that the pool starts; elsewhere see `guarantees`"),
    ),
    "termination": Feature(
        "`terminate` and Ctrl-C end running tasks",
        None,
        local=_yes(),
        ray=_yes(),
        dask=_yes("on a cluster that the pool starts; elsewhere those that run go on"),
    ),
}
BACKENDS = ("local", "ray", "dask")


class Capabilities:
    """What one backend can do.

    Args:
        backend: "local", "ray" or "dask".
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend

    def __repr__(self) -> str:
        return f"<Capabilities of {self.backend}: {', '.join(self.names())}>"

    def names(self) -> list[str]:
        """Return the names of the features that are there."""
        return [name for name in FEATURES if self.of(name).is_there]

    def of(self, feature: str) -> Support:
        """Return what the backend does about a feature.

        Args:
            feature: a name in `FEATURES`.
        """
        support: Support = getattr(FEATURES[feature], self.backend)
        return support

    def refuse(self, feature: str, subject: str) -> UnsupportedOnBackend:
        """Return the exception that refuses a feature by the name that the caller used.

        Args:
            feature: a name in `FEATURES`.
            subject: what was asked for, such as the name of an argument.
        """
        return UnsupportedOnBackend(f"{subject} is not available on {self.backend}: {self.of(feature).note}")

    def check(self, **options: object) -> None:
        """Refuse the first option that the backend cannot honour; None, and 0 for `retries`, ask for nothing.

        Args:
            options: arguments of the pool or of its methods, by name.

        Raises:
            UnsupportedOnBackend: for an option that the table refuses.
        """
        for name, feature in FEATURES.items():
            if feature.option and options.get(feature.option) is not None and not self.of(name).is_there:
                raise self.refuse(name, feature.option)


def table() -> str:
    """Return the table as Markdown, as the guide shows it."""
    head = "| | argument | local | Ray | Dask |\n|---|---|---|---|---|\n"
    rows = [
        f"| {row.title} | {f'`{row.option}`' if row.option else ''} | {row.local} | {row.ray} | {row.dask} |\n"
        for row in FEATURES.values()
    ]
    return head + "".join(rows)
