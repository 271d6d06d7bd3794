"""A pytest plugin: every session of `requests` sends through our adapter; THREEFOLD_SENT names a file for the count of it."""

import os
import pathlib

import requests.adapters
import requests.sessions

from threefold.http.adapters import HTTPAdapter

sent = 0


def counting_send(self, *arguments, **keywords):
    global sent
    sent += 1
    return send(self, *arguments, **keywords)


send, HTTPAdapter.send = HTTPAdapter.send, counting_send
requests.adapters.HTTPAdapter = HTTPAdapter
requests.sessions.HTTPAdapter = HTTPAdapter


def pytest_sessionfinish():
    pathlib.Path(os.environ["THREEFOLD_SENT"]).write_text(str(sent))
