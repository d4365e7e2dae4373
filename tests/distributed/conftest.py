"""One Ray for the tests of this folder: starting it costs seconds."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def cluster() -> Iterator[object]:
    from dge_ray.distributed.session import ray_session

    with ray_session(num_cpus=2, object_store_memory=300 * 2**20) as resources:
        yield resources
