"""Every vector store finds what exhaustive search finds."""

import numpy as np
import pytest

from index.exact import ExactStore
from index.faiss_store import FaissStore
from index.shards import VectorFormat
from index.store import VectorRows

FORMAT = VectorFormat(128, "int8", 256.0)


def unit_vectors(n, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((n, 128)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def runs(counts, gap=0, seed=0):
    rows, first = [], 0
    for number, count in enumerate(counts):
        rows.append(VectorRows(first, FORMAT.encode(unit_vectors(count, seed + number))))
        first += count + gap
    return rows


def by_hand(rows, queries, k):
    numbers = np.concatenate([np.arange(run.first, run.first + len(run.stored)) for run in rows])
    stored = np.concatenate([FORMAT.decode(run.stored) for run in rows])
    similarities = queries @ stored.T
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    return numbers[order], np.take_along_axis(similarities, order, axis=1)


def end_of(rows):
    return rows[-1].first + len(rows[-1].stored)


def make_exact(rows, cache):
    return ExactStore(FORMAT, rows)


def make_faiss(rows, cache):
    pytest.importorskip("faiss")
    return FaissStore(FORMAT, rows, end_of(rows), cache, writable=True)


@pytest.mark.parametrize("make", [make_exact, make_faiss])
def test_store_finds_what_exhaustive_search_finds(make, tmp_path):
    rows = runs([40, 1, 300, 7], gap=3)
    store = make(rows, tmp_path / "cache.faiss")
    queries = unit_vectors(20, seed=99)
    found = store.search(queries, 5)
    numbers, similarities = by_hand(rows, queries, 5)
    assert len(store) == 348
    assert np.allclose(found.similarities, similarities, atol=1e-5)
    assert np.mean(found.numbers == numbers) > 0.99


@pytest.mark.parametrize("make", [make_exact, make_faiss])
def test_fewer_vectors_than_wanted_leave_blanks(make, tmp_path):
    found = make(runs([3]), tmp_path / "cache.faiss").search(unit_vectors(2), 5)
    assert (found.numbers[:, 3:] == -1).all()
    assert np.isneginf(found.similarities[:, 3:]).all()


def test_what_came_after_the_cache_is_found_all_the_same(tmp_path):
    make_faiss(runs([50, 60]), tmp_path / "cache.faiss")
    rows = runs([50, 60, 70])
    stale = FaissStore(FORMAT, rows, end_of(rows), tmp_path / "cache.faiss", writable=False)
    queries = unit_vectors(10, seed=5)
    assert np.array_equal(stale.search(queries, 4).numbers, ExactStore(FORMAT, rows).search(queries, 4).numbers)


def test_removed_vectors_are_not_found_though_the_cache_holds_them(tmp_path):
    rows = runs([50, 60, 70])
    make_faiss(rows, tmp_path / "cache.faiss")
    left = [rows[0], rows[2]]
    store = FaissStore(FORMAT, left, end_of(rows), tmp_path / "cache.faiss", writable=False)
    queries = FORMAT.decode(rows[1].stored[:10])
    found = store.search(queries, 4)
    assert not ((found.numbers >= 50) & (found.numbers < 110)).any()
    assert np.array_equal(found.numbers, ExactStore(FORMAT, left).search(queries, 4).numbers)


def test_a_cache_of_another_library_is_not_believed(tmp_path):
    make_faiss(runs([50, 60], seed=0), tmp_path / "cache.faiss")
    rows = runs([50, 60], seed=7)
    store = FaissStore(FORMAT, rows, end_of(rows), tmp_path / "cache.faiss", writable=False)
    queries = unit_vectors(10, seed=5)
    assert np.array_equal(store.search(queries, 4).numbers, ExactStore(FORMAT, rows).search(queries, 4).numbers)


def test_removing_the_last_vectors_keeps_the_cache(tmp_path):
    rows = runs([50, 60])
    make_faiss(rows, tmp_path / "cache.faiss")
    store = FaissStore(FORMAT, rows[:1], end_of(rows), tmp_path / "cache.faiss", writable=False)
    assert store._index.ntotal == 110
    assert store.search(FORMAT.decode(rows[1].stored[:5]), 3).numbers.max() < 50


def test_a_broken_cache_is_made_anew(tmp_path):
    pytest.importorskip("faiss")
    (tmp_path / "cache.faiss").write_bytes(b"not an index")
    rows = runs([30])
    store = FaissStore(FORMAT, rows, end_of(rows), tmp_path / "cache.faiss", writable=True)
    assert store.search(FORMAT.decode(rows[0].stored[:1]), 1).numbers[0, 0] == 0


def test_encoding_loses_little():
    wide = np.random.default_rng(0).standard_normal((1000, 128)).astype(np.float32)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    stored = VectorFormat(128, "int8", 256.0)
    assert np.abs(np.sum(wide * stored.decode(stored.encode(wide)), axis=1) - 1).max() < 0.005
