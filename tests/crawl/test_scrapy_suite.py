"""Scrapy's own tests of HTTP download handlers, against `threefold.scrapy.DownloadHandler`."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import peer_suites

SCRAPY = peer_suites.Suite(
    name="scrapy",
    version="2.19.0",
    sha256="34130726582b64c91531162ab277c4053e558876d49ba219cb43679e71d80a87",
    needs=("pytest", "pytest-twisted", "testfixtures", "uvloop"),
)


@pytest.mark.timeout(1800)
def test_scrapys_own_handler_tests_pass_with_our_handler():
    expected = peer_suites.listed("scrapy_expected.toml")
    try:
        shutil.copy(peer_suites.HERE / "scrapy_handlers.py", SCRAPY.folder() / "tests" / "test_threefold_handlers.py")
        outcome = peer_suites.run(
            SCRAPY, "--reactor=asyncio", "-W", "ignore::pytest.PytestRemovedIn10Warning", "tests/test_threefold_handlers.py"
        )  # fmt: skip
    except peer_suites.Unavailable as error:
        pytest.skip(f"the tests of Scrapy are not to be had: {error}")
    assert len(outcome.passed) > 150, outcome.output[-5000:]
    assert not peer_suites.unexpected(outcome.failed, expected), outcome.output[-20000:]
    print(
        f"{len(outcome.passed)} passed, {len(outcome.failed)} expected to fail; may be off the list:",
        *peer_suites.outdated(outcome, expected),
    )
