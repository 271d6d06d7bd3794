"""The table of capabilities against what opening a backend does, and what is said where an engine is missing."""

import importlib
import multiprocessing
from pathlib import Path

import pytest

from threefold.cluster import BackendNotInstalled, Capabilities, UnsupportedOnBackend, open_backend
from threefold.cluster.capabilities import BACKENDS, FEATURES, table

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "clusters.md"
ASKED = {
    "initializer": print,
    "retries": 2,
    "maxtasksperchild": 3,
    "timeout": 1.5,
    "max_memory_per_worker": 1 << 30,
    "context": multiprocessing.get_context("spawn"),
}
OPTIONS = {feature.option: name for name, feature in FEATURES.items() if feature.option}


def test_each_option_of_the_table_is_tried():
    assert set(OPTIONS) == set(ASKED)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("option", ASKED)
def test_an_option_is_taken_or_refused_by_its_name(backend, option):
    capabilities = Capabilities(backend)
    if capabilities.of(OPTIONS[option]).is_there:
        capabilities.check(**{option: ASKED[option]})
    else:
        with pytest.raises(UnsupportedOnBackend, match=f"{option} is not available on {backend}: .*; "):
            capabilities.check(**{option: ASKED[option]})


@pytest.mark.parametrize("backend", ["ray", "dask"])
@pytest.mark.parametrize("option", ASKED)
def test_what_is_refused_is_refused_before_anything_is_started(backend, option):
    if Capabilities(backend).of(OPTIONS[option]).is_there:
        pytest.skip("it is there")
    with pytest.raises(UnsupportedOnBackend, match=option):
        open_backend(backend, **{option: ASKED[option]})


def test_none_asks_for_nothing():
    Capabilities("dask").check(**dict.fromkeys(ASKED))


def test_this_machine_has_everything():
    assert Capabilities("local").names() == list(FEATURES)


def test_a_refusal_is_one_of_our_errors_and_a_value_error():
    assert issubclass(UnsupportedOnBackend, ValueError)
    assert UnsupportedOnBackend.__mro__[1].__module__ == "threefold._errors"


def test_an_unknown_backend_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="backend must be one of 'local', 'ray', 'dask', not 'spark'"):
        open_backend("spark")


@pytest.mark.parametrize(("backend", "package"), [("ray", "ray"), ("dask", "distributed")])
def test_a_missing_engine_is_named_with_the_way_to_install_it(monkeypatch, backend, package):
    def is_missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", is_missing)
    with pytest.raises(BackendNotInstalled) as caught:
        open_backend(backend)
    assert str(caught.value) == f'backend={backend!r} needs the package {package}: pip install "threefold[{backend}]"'
    assert isinstance(caught.value, ImportError)


def test_the_guide_shows_the_table():
    assert table() in GUIDE.read_text()
