"""CPython's own test suites, taken from the running interpreter and run against threefold."""
