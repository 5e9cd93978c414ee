"""The index that is chosen suits the number of vectors, and takes the memory that was told."""

import itertools

import numpy as np
import pytest

from index.faiss_store import FaissStore
from index.shards import VectorFormat
from index.spec import IndexSpec
from index.store import VectorRows

FORMAT = VectorFormat(128, "int8", 256.0)


def test_more_vectors_are_looked_at_in_smaller_parts():
    chosen = [IndexSpec.choose(vectors, 128, memory_limit=10**12) for vectors in (10**4, 10**5, 10**6, 10**7)]
    assert [spec.kind for spec in chosen] == ["exact", "exact", "ivf", "ivf"]
    assert chosen[2].probes / chosen[2].lists > chosen[3].probes / chosen[3].lists


def test_what_does_not_fit_gets_product_codes():
    whole = IndexSpec.choose(10**7, 128, memory_limit=10**12)
    needed = whole.memory(10**7, 128)
    assert IndexSpec.choose(10**7, 128, memory_limit=needed) == whole
    coded = IndexSpec.choose(10**7, 128, memory_limit=needed - 1)
    assert coded.kind == "ivfpq"
    assert coded.memory(10**7, 128) < needed / 3
    assert 128 % coded.code_bytes == 0


def test_an_index_is_outgrown_at_four_times_the_vectors_that_it_was_trained_for():
    small = IndexSpec.choose(10**6, 128, memory_limit=10**12).lists
    assert not IndexSpec.choose(3_900_000, 128, memory_limit=10**12).outgrown(small)
    assert IndexSpec.choose(4 * 10**6, 128, memory_limit=10**12).outgrown(small)


@pytest.mark.parametrize("dimensions", [12, 100, 128])
def test_product_codes_divide_the_dimensions(dimensions):
    assert dimensions % IndexSpec.choose(10**6, dimensions, memory_limit=0).code_bytes == 0


@pytest.mark.parametrize(
    "spec",
    [
        IndexSpec("flat"),
        IndexSpec("ivf", lists=128, probes=8),
        IndexSpec("ivfpq", lists=32, probes=8, code_bytes=8, candidates=100),
    ],
)
def test_the_estimate_is_near_the_size_of_the_file(tmp_path, spec):
    pytest.importorskip("faiss")
    stored = np.random.default_rng(0).integers(-60, 61, (8000, 128), np.int8)
    FaissStore(FORMAT, [VectorRows(0, stored)], len(stored), tmp_path / "cache.faiss", spec, writable=True)
    size = (tmp_path / "cache.faiss").stat().st_size
    assert spec.memory(len(stored), 128) == pytest.approx(size, rel=0.02)


def test_no_estimate_shrinks_as_vectors_come():
    for kind in ("exact", "flat", "ivf", "ivfpq"):
        spec = IndexSpec(kind, lists=100, code_bytes=32)
        sizes = [spec.memory(vectors, 128) for vectors in (0, 10, 10**4, 10**8)]
        assert all(one < other for one, other in itertools.pairwise(sizes))
