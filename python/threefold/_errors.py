"""The base of all errors that are threefold's own."""


class Error(Exception):
    """What went wrong is threefold's to report; each kind is also of the nearest builtin or standard class."""
