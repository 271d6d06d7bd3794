"""requests' own tests, with every session on `threefold.http.adapters.HTTPAdapter`."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import peer_suites

REQUESTS = peer_suites.Suite(
    name="requests",
    version="2.34.2",
    sha256="f288924cae4e29463698d6d60bc6a4da69c89185ad1e0bcc4104f584e960b9ed",
    needs=("pytest", "pytest-mock", "pytest-httpbin", "httpbin", "trustme", "PySocks"),
)


@pytest.mark.timeout(1800)
def test_requests_own_tests_pass_through_our_adapter(tmp_path):
    expected = peer_suites.listed("requests_expected.toml")
    sent = tmp_path / "sent"
    try:
        outcome = peer_suites.run(
            REQUESTS, "-p", "requests_plugin", "tests/test_requests.py", "tests/test_lowlevel.py",
            variables={"THREEFOLD_SENT": str(sent)},
        )  # fmt: skip
    except peer_suites.Unavailable as error:
        pytest.skip(f"the tests of requests are not to be had: {error}")
    assert len(outcome.passed) > 300, outcome.output[-5000:]
    assert int(sent.read_text()) > 250, "the requests did not go through our adapter"
    assert not peer_suites.unexpected(outcome.failed, expected), outcome.output[-20000:]
    print(
        f"{len(outcome.passed)} passed, {len(outcome.failed)} expected to fail; may be off the list:",
        *peer_suites.outdated(outcome, expected),
    )
