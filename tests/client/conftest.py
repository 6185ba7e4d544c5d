"""A store for the tests of each module."""

from collections.abc import Iterator

import pytest

from tests.agent.harness import Store, stores


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with stores(tmp_path_factory.mktemp("store"), 1) as (only,):
        yield only
