"""Scrapy's own tests of HTTP download handlers, run against ours; the runner puts this file into Scrapy's `tests`."""

import pytest
from tests.utils.bases.download_handlers_http import (
    TestHttpBase,
    TestHttpProxyBase,
    TestHttpsBase,
    TestHttpsInvalidDNSIdBase,
    TestHttpsInvalidDNSPatternBase,
    TestHttpsWrongHostnameBase,
    TestHttpWithCrawlerBase,
    TestSimpleHttpsBase,
)

from threefold.scrapy import DownloadHandler

pytestmark = pytest.mark.only_asyncio

PATH = "threefold.scrapy.DownloadHandler"


class Ours:
    @property
    def download_handler_cls(self):
        return DownloadHandler

    @property
    def settings_dict(self):
        return {"DOWNLOAD_HANDLERS": {"http": PATH, "https": PATH}}


class TestHttp(Ours, TestHttpBase):
    handler_supports_bindaddress_meta = False
    handler_bad_header_handling = "skip-bad"


class TestHttps(Ours, TestHttpsBase):
    handler_supports_bindaddress_meta = False
    handler_bad_header_handling = "skip-bad"


class TestSimpleHttps(Ours, TestSimpleHttpsBase):
    pass


class TestHttpsWrongHostname(Ours, TestHttpsWrongHostnameBase):
    pass


class TestHttpsInvalidDNSId(Ours, TestHttpsInvalidDNSIdBase):
    pass


class TestHttpsInvalidDNSPattern(Ours, TestHttpsInvalidDNSPatternBase):
    pass


class TestHttpWithCrawler(Ours, TestHttpWithCrawlerBase):
    pass


class TestHttpsWithCrawler(TestHttpWithCrawler):
    is_secure = True


class TestHttpProxy(Ours, TestHttpProxyBase):
    expected_http_proxy_request_body = b"http://example.com/"
    handler_supports_tls_in_tls = True


class TestHttpsProxy(TestHttpProxy):
    is_secure = True
