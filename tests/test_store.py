"""Every vector store finds what exhaustive search finds."""

from dataclasses import replace

import numpy as np
import pytest

from index.exact import ExactStore
from index.faiss_store import FaissStore
from index.shards import VectorFormat
from index.spec import IndexSpec
from index.store import VectorRows, stored_at

FORMAT = VectorFormat(128, "int8", 256.0)
FLAT = IndexSpec("flat", tail=0)
IVF = IndexSpec("ivf", lists=32, probes=32, tail=0)
IVF_PQ = IndexSpec("ivfpq", lists=32, probes=32, code_bytes=32, candidates=600, tail=0)


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


def open_faiss(rows, cache, spec=FLAT, *, end=None, writable=False):
    pytest.importorskip("faiss")
    return FaissStore(FORMAT, rows, end or end_of(rows), cache, spec, writable=writable)


def make_faiss(rows, cache, spec=FLAT):
    return open_faiss(rows, cache, spec, writable=True)


def make_ivf(rows, cache):
    return make_faiss(rows, cache, IVF)


def make_ivf_pq(rows, cache):
    return make_faiss(rows, cache, IVF_PQ)


def near(vectors, noise, seed):
    """Unit vectors near others, with noise of that length."""
    moved = vectors + noise / 128**0.5 * np.random.default_rng(seed).standard_normal(vectors.shape)
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)


def clustered(n, clusters=60, noise=0.8, seed=0):
    centres = unit_vectors(clusters, seed)
    which = np.random.default_rng(seed).integers(clusters, size=n)
    return [VectorRows(0, FORMAT.encode(near(centres[which], noise, seed)))]


def recall(store, rows, queries, k=10):
    exact = ExactStore(FORMAT, rows).search(queries, k).numbers
    found = store.search(queries, k).numbers
    return np.mean([len(set(one) & set(other)) / k for one, other in zip(found, exact, strict=True)])


def assert_finds_like_exact(store, rows, queries, k=4):
    exact = ExactStore(FORMAT, rows).search(queries, k)
    found = store.search(queries, k)
    assert np.allclose(found.similarities, exact.similarities, atol=1e-5)
    assert np.mean(found.numbers == exact.numbers) > 0.99


def lists_of(cache):
    faiss = pytest.importorskip("faiss")
    index = faiss.read_index(str(cache))
    return faiss.vector_to_array(faiss.downcast_index(index.quantizer).codes)


@pytest.mark.parametrize("make", [make_exact, make_faiss, make_ivf, make_ivf_pq])
def test_store_finds_what_exhaustive_search_finds(make, tmp_path):
    rows = runs([40, 1, 300, 7], gap=3)
    store = make(rows, tmp_path / "cache.faiss")
    queries = unit_vectors(20, seed=99)
    found = store.search(queries, 5)
    numbers, similarities = by_hand(rows, queries, 5)
    assert len(store) == 348
    assert np.allclose(found.similarities, similarities, atol=1e-5)
    assert np.mean(found.numbers == numbers) > 0.99


@pytest.mark.parametrize("make", [make_exact, make_faiss, make_ivf, make_ivf_pq])
def test_fewer_vectors_than_wanted_leave_blanks(make, tmp_path):
    found = make(runs([3]), tmp_path / "cache.faiss").search(unit_vectors(2), 5)
    assert (found.numbers[:, 3:] == -1).all()
    assert np.isneginf(found.similarities[:, 3:]).all()


def test_equal_vectors_are_found_in_the_order_of_their_numbers():
    one = np.random.default_rng(3).integers(-128, 128, (1, 128)).astype(np.int8)
    rows = [VectorRows(5, np.concatenate([-one, *[one] * 1500])), VectorRows(2000, np.repeat(one, 40, axis=0))]
    found = ExactStore(FORMAT, rows).search(unit_vectors(2, seed=4) * [[1e-3], [1e3]] + FORMAT.decode(one), 1520)
    assert np.array_equal(found.numbers, np.tile(np.r_[6:1506, 2000:2020], (2, 1)))


def test_what_came_after_the_cache_is_found_all_the_same(tmp_path):
    make_faiss(runs([50, 60]), tmp_path / "cache.faiss")
    rows = runs([50, 60, 70])
    stale = open_faiss(rows, tmp_path / "cache.faiss")
    queries = unit_vectors(10, seed=5)
    assert np.array_equal(stale.search(queries, 4).numbers, ExactStore(FORMAT, rows).search(queries, 4).numbers)


@pytest.mark.parametrize("spec", [FLAT, IVF, IVF_PQ])
def test_removed_vectors_are_not_found_though_the_cache_holds_them(tmp_path, spec):
    rows = runs([200, 60, 270])
    make_faiss(rows, tmp_path / "cache.faiss", spec)
    left = [rows[0], rows[2]]
    store = open_faiss(left, tmp_path / "cache.faiss", spec, end=end_of(rows))
    queries = FORMAT.decode(rows[1].stored[:10])
    found = store.search(queries, 4)
    assert not ((found.numbers >= 200) & (found.numbers < 260)).any()
    assert_finds_like_exact(store, left, queries)


@pytest.mark.parametrize("spec", [FLAT, IVF, IVF_PQ])
def test_what_was_removed_before_the_index_was_made_is_not_found(tmp_path, spec):
    rows = runs([200, 60, 270, 5])
    left = [rows[0], rows[2]]
    store = open_faiss(left, tmp_path / "cache.faiss", spec, end=end_of(rows), writable=True)
    assert_finds_like_exact(store, left, FORMAT.decode(rows[1].stored[:10]))
    assert store.search(FORMAT.decode(rows[3].stored), 500).numbers.max() < rows[3].first


@pytest.mark.parametrize("spec", [FLAT, IVF, IVF_PQ])
def test_a_cache_of_another_library_is_not_believed(tmp_path, spec):
    make_faiss(runs([350, 60], seed=0), tmp_path / "cache.faiss", spec)
    rows = runs([350, 60], seed=7)
    store = open_faiss(rows, tmp_path / "cache.faiss", spec)
    queries = unit_vectors(10, seed=5)
    assert np.array_equal(store.search(queries, 4).numbers, ExactStore(FORMAT, rows).search(queries, 4).numbers)


def test_removing_the_last_vectors_keeps_the_cache(tmp_path):
    rows = runs([50, 60])
    make_faiss(rows, tmp_path / "cache.faiss")
    store = open_faiss(rows[:1], tmp_path / "cache.faiss", end=end_of(rows))
    assert store._index.ntotal == 110
    assert store.search(FORMAT.decode(rows[1].stored[:5]), 3).numbers.max() < 50


def test_a_broken_cache_is_made_anew(tmp_path):
    (tmp_path / "cache.faiss").write_bytes(b"not an index")
    rows = runs([30])
    store = make_faiss(rows, tmp_path / "cache.faiss")
    assert store.search(FORMAT.decode(rows[0].stored[:1]), 1).numbers[0, 0] == 0


@pytest.mark.parametrize("spec", [FLAT, IVF, IVF_PQ])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.999])
def test_a_cache_that_breaks_off_is_passed_over_and_made_anew(tmp_path, spec, share):
    rows, cache = runs([300, 200]), tmp_path / "cache.faiss"
    make_faiss(rows, cache, spec)
    whole = cache.read_bytes()
    cache.write_bytes(whole[: int(share * len(whole))])
    queries = unit_vectors(10, seed=5)
    assert_finds_like_exact(open_faiss(rows, cache, spec), rows, queries)
    assert_finds_like_exact(make_faiss(rows, cache, spec), rows, queries)
    assert cache.read_bytes() == whole


def test_few_probes_find_nearly_all_among_clustered_vectors(tmp_path):
    rows = clustered(8000)
    queries = near(FORMAT.decode(rows[0].stored[::80]), 0.8, seed=9)
    assert recall(make_faiss(rows, tmp_path / "a.faiss", IndexSpec("ivf", lists=128, probes=12)), rows, queries) > 0.95
    assert recall(make_faiss(rows, tmp_path / "b.faiss", IndexSpec("ivf", lists=128, probes=1)), rows, queries) < 0.9


def test_comparing_candidates_again_makes_up_for_product_codes(tmp_path):
    rows, cache = clustered(8000), tmp_path / "cache.faiss"
    queries = near(FORMAT.decode(rows[0].stored[::80]), 0.8, seed=9)
    alone, again = (IndexSpec("ivfpq", 64, 64, code_bytes=16, candidates=candidates) for candidates in (0, 400))
    assert recall(make_faiss(rows, cache, alone), rows, queries) < 0.8
    store = open_faiss(rows, cache, again)
    assert recall(store, rows, queries) > 0.95
    assert np.allclose(store.search(queries, 1).similarities, by_hand(rows, queries, 1)[1], atol=1e-5)


@pytest.mark.parametrize("spec", [IVF, IVF_PQ])
def test_an_index_grows_without_training_until_it_is_four_times_as_large(tmp_path, spec):
    rows, cache = runs([400, 300, 900]), tmp_path / "cache.faiss"
    queries = unit_vectors(10, seed=5)
    make_faiss(rows[:1], cache, spec)
    trained = lists_of(cache)
    grown = make_faiss(rows[:2], cache, replace(spec, lists=60, probes=60))
    assert np.array_equal(lists_of(cache), trained)
    assert_finds_like_exact(grown, rows[:2], queries)
    assert_finds_like_exact(open_faiss(rows[:2], cache, spec), rows[:2], queries)
    anew = make_faiss(rows, cache, replace(spec, lists=64, probes=64))
    assert len(lists_of(cache)) == 2 * len(trained)
    assert_finds_like_exact(anew, rows, queries)


@pytest.mark.parametrize("spec", [IVF, IVF_PQ])
def test_who_opened_the_index_before_it_was_replaced_goes_on_with_the_old_one(tmp_path, spec):
    rows, cache = runs([400, 300]), tmp_path / "cache.faiss"
    queries = unit_vectors(10, seed=5)
    make_faiss(rows[:1], cache, spec)
    reader = open_faiss(rows[:1], cache, spec)
    make_faiss(rows, cache, replace(spec, lists=64))
    assert_finds_like_exact(reader, rows[:1], queries)
    assert_finds_like_exact(open_faiss(rows, cache, replace(spec, lists=64, probes=64)), rows, queries)


def test_a_writer_leaves_a_few_new_vectors_to_exhaustive_search(tmp_path):
    rows, cache = runs([400, 30]), tmp_path / "cache.faiss"
    make_faiss(rows[:1], cache, IVF)
    before = cache.read_bytes()
    store = make_faiss(rows, cache, replace(IVF, tail=30))
    assert cache.read_bytes() == before
    assert_finds_like_exact(store, rows, FORMAT.decode(rows[1].stored[:10]))
    make_faiss(rows, cache, replace(IVF, tail=29))
    assert cache.read_bytes() != before


def test_another_kind_is_made_by_writers_and_believed_by_readers(tmp_path):
    rows, cache = runs([400]), tmp_path / "cache.faiss"
    queries = unit_vectors(10, seed=5)
    make_faiss(rows, cache, FLAT)
    flat = cache.read_bytes()
    assert_finds_like_exact(open_faiss(rows, cache, IVF), rows, queries)
    assert cache.read_bytes() == flat
    assert_finds_like_exact(make_faiss(rows, cache, IVF), rows, queries)
    assert cache.read_bytes() != flat
    assert_finds_like_exact(open_faiss(rows, cache, replace(FLAT, probes=32)), rows, queries)


@pytest.mark.parametrize("spec", [FLAT, IVF, IVF_PQ])
def test_where_all_was_removed_nothing_is_found(tmp_path, spec):
    rows, cache = runs([400]), tmp_path / "cache.faiss"
    queries = unit_vectors(3)
    assert (open_faiss([], cache, spec, end=400, writable=True).search(queries, 2).numbers == -1).all()
    make_faiss(rows, cache, spec)
    assert (open_faiss([], cache, spec, end=400).search(queries, 2).numbers == -1).all()


def test_silence_is_in_no_list(tmp_path):
    rows = runs([400])
    rows[0].stored[100:300] = 0
    found = make_faiss(rows, tmp_path / "cache.faiss", IVF).search(unit_vectors(10, seed=5), 400).numbers
    assert not ((found >= 100) & (found < 300)).any()
    assert (np.sort(found, axis=1)[:, 200:] >= 0).all()


def test_too_little_sound_to_train_on_is_searched_all_the_same(tmp_path):
    rows = runs([400])
    rows[0].stored[20:] = 0
    store = make_faiss(rows, tmp_path / "cache.faiss", IVF)
    assert store.search(FORMAT.decode(rows[0].stored[:20]), 1).numbers[:, 0].tolist() == list(range(20))


def test_rows_are_told_by_their_numbers_in_any_order():
    rows = runs([40, 1, 300], gap=3)
    numbers = np.array([60, 0, 43, 345, 39, 60])
    expected = [rows[2].stored[13], rows[0].stored[0], rows[1].stored[0], rows[2].stored[298], rows[0].stored[39]]
    assert np.array_equal(stored_at(rows, numbers), np.stack([*expected, expected[0]]))
    assert stored_at(rows, numbers[:0]).shape == (0, 128)


def test_encoding_loses_little():
    wide = np.random.default_rng(0).standard_normal((1000, 128)).astype(np.float32)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    stored = VectorFormat(128, "int8", 256.0)
    assert np.abs(np.sum(wide * stored.decode(stored.encode(wide)), axis=1) - 1).max() < 0.005
