"""Approximate search: against exact search, to the byte, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from stages.index import index
from stages.search import search
from vpr.retrieval.approximate import build_index, measure_index, search_index
from vpr.retrieval.index_files import open_search, write_index
from vpr.retrieval.index_kinds import Effort, parse_kind, recommend
from vpr.retrieval.params import SearchParams
from vpr.retrieval.predictions import load_predictions
from vpr.retrieval.ranking import rank_database
from vpr.runtime.parameters import load_params
from vpr.runtime.store import Store

KINDS = ("IVF16,Flat", "HNSW16", "IVF16,SQ8", "IVF16,PQ8x4fs", "OPQ2,IVF16,PQ8x4", "PCAR16,Flat",
         "HNSW8,SQ8", "PQ8x4")  # fmt: skip
DIM = 32


def street(num_rows: int, seed: int = 0, dim: int = DIM) -> NDArray[np.float32]:
    """Unit rows that wander, as descriptors along a route do."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((num_rows, dim))
    for row in range(1, num_rows):
        rows[row] = 0.9 * rows[row - 1] + 0.44 * rows[row]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def seen_again(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Some rows with noise."""
    rng = np.random.default_rng(1)
    noisy = rows[:: len(rows) // count][:count] + rng.normal(0, 0.05, (count, rows.shape[1]))
    unit = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    return unit.astype(np.float32)


DATABASE = street(800)
QUERY = seen_again(DATABASE, 40)
ALL = Effort(nprobe=16, ef_search=800, candidates=800)


def build(text: str, rows: NDArray[np.float32] = DATABASE):  # noqa: ANN201 - faiss has no types
    return build_index(rows, parse_kind(text, num_rows=len(rows), dim=rows.shape[1]))


@pytest.mark.parametrize("text", ["IVF16,Flat", "IVF16,SQ8", "IVF16,PQ8x4fs", "PCAR16,Flat"])
def test_with_every_list_and_every_candidate_the_ranking_is_the_exact_one(text: str) -> None:
    found = search_index(build(text), DATABASE, QUERY, top_k=20, effort=ALL)
    exact = rank_database(DATABASE, QUERY, top_k=20)
    for one, other in zip(found, exact, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("text", KINDS)
def test_distances_are_exact_and_the_nearest_is_mostly_found(text: str) -> None:
    effort = Effort(nprobe=8, ef_search=100, candidates=100)
    indices, distances = search_index(build(text), DATABASE, QUERY, top_k=10, effort=effort)
    for row, query in enumerate(QUERY):
        expected = np.linalg.norm(DATABASE[indices[row]].astype(np.float64) - query, axis=1)
        np.testing.assert_allclose(distances[row], expected, atol=1e-6)
        assert (np.diff(distances[row]) >= 0).all() and len(set(indices[row].tolist())) == 10
    assert measure_index(DATABASE, QUERY, indices)["index_recall@1"] > 0.9


@pytest.mark.parametrize("text", KINDS)
def test_an_index_has_the_same_bytes_on_any_number_of_threads(text: str, tmp_path: Path) -> None:
    before = faiss.omp_get_max_threads()
    for folder, threads in (("one", 1), ("two", 2)):
        faiss.omp_set_num_threads(threads)
        write_index(tmp_path / folder, text, DATABASE)
        assert faiss.omp_get_max_threads() == threads
    faiss.omp_set_num_threads(before)
    one, two = ((tmp_path / name / "index.faiss").read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(
    "text", ["IVF16,Flat", pytest.param("OPQ8,IVF16,PQ8x4fs", marks=pytest.mark.long), "HNSW8,SQ8"]
)
def test_what_was_trained_serves_until_an_eighth_was_added_and_bytes_are_those_of_a_fresh_index(
    text: str, tmp_path: Path
) -> None:
    store = Store(tmp_path, max_bytes=10**9)
    kind = parse_kind(text, num_rows=800, dim=DIM)
    rows = street(840)
    for num_rows, num_found in ((770, 0), (800, 1), (830, 2), (840, 2)):
        index = build_index(rows[:num_rows], kind, store=store)
        assert store.num_found == num_found
        fresh = build_index(rows[:num_rows], kind)
        assert (faiss.serialize_index(index) == faiss.serialize_index(fresh)).all()
    store = Store(tmp_path, max_bytes=10**9)
    build_index(rows[1:801], kind, store=store)  # a row less at the start
    assert store.num_found == 0


def trained_part(text: str, num_rows: int) -> bytes:
    """The lists' centroids and the codebook of an index of the first rows."""
    index = build(text, street(840)[:num_rows])
    lists = index.quantizer.reconstruct_n(0, index.nlist)
    return lists.tobytes() + faiss.vector_to_array(index.pq.centroids).tobytes()


def test_ten_images_more_leave_centroids_and_codebook_as_they_were_and_an_eighth_trains() -> None:
    parts = [trained_part("IVF16,PQ8x4", num_rows) for num_rows in (800, 810, 831, 832)]
    assert parts[0] == parts[1] == parts[2] != parts[3]  # 832 is 13 * 64


def objects_of(index) -> list:  # noqa: ANN001 - faiss has no types
    """Every index inside an index."""
    part = faiss.downcast_index(index)
    inner = (getattr(part, name, None) for name in ("index", "quantizer", "storage"))
    return [part, *(each for one in inner if one is not None for each in objects_of(one))]


@pytest.mark.parametrize(
    "text",
    ["SQ8", "PQ8x4fs", "PCAR16,Flat", "HNSW8", "HNSW8,SQ8", "PCAR16,HNSW8", "IVF16,Flat",
     "IVF16,PQ8x4fsr", "IVF16_HNSW8,Flat", "IVF16_HNSW8,SQ8", "IVF16_HNSW8,PQ8x4",
     "PCAR16,IVF16_HNSW8,PQ8x4fs", "OPQ2,IVF16_HNSW8,Flat"],
)  # fmt: skip
def test_effort_reaches_every_object_that_an_index_is_made_of(text: str) -> None:
    index = build(text)
    for effort, expected in (  # lists, and nodes of a graph of lists and of a graph of images
        (Effort(3, 21, 20), (3, 21, 21)),
        (Effort(12, 7, 40), (12, 12, 40)),
        (Effort(99, 9, 9), (16, 16, 9)),
    ):
        search_index(index, DATABASE, QUERY[:1], top_k=5, effort=effort)
        parts = objects_of(index)
        inverted = [part.nprobe for part in parts if hasattr(part, "nprobe")]
        graphs = [part.hnsw.efSearch for part in parts if hasattr(part, "hnsw")]
        assert inverted == ([expected[0]] if "IVF" in text else [])
        of_lists = "IVF" in text
        assert graphs == ([expected[1 if of_lists else 2]] if "HNSW" in text else [])


@pytest.mark.parametrize("text", ["PQ2x5", "HNSW8,PQ2x5"])
def test_codes_are_not_ordered_for_a_search_that_does_not_look_at_their_order(text: str) -> None:
    ours, theirs = build(text), faiss.index_factory(DIM, text)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    theirs.train(DATABASE[:768])  # 800 to four binary digits
    theirs.add(DATABASE)
    faiss.omp_set_num_threads(before)
    codes = [faiss.vector_to_array(objects_of(one)[-1].codes) for one in (ours, theirs)]
    assert (codes[0] != codes[1]).any()  # another order
    effort = Effort(nprobe=1, ef_search=100, candidates=60)
    one, other = (
        search_index(index, DATABASE, QUERY, top_k=20, effort=effort) for index in (ours, theirs)
    )
    np.testing.assert_array_equal(one[0], other[0])


def test_a_graph_of_lists_loses_none_of_what_the_lists_find() -> None:
    rows = np.random.default_rng(0).normal(size=(4000, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    query, effort = seen_again(rows, 100), Effort(nprobe=16, ef_search=100, candidates=50)
    plain, graph = (
        search_index(build(text, rows), rows, query, top_k=20, effort=effort)[0]
        for text in ("IVF100,Flat", "IVF100_HNSW4,Flat")
    )
    shared = [len(np.intersect1d(a, b)) for a, b in zip(plain, graph, strict=True)]
    assert np.mean(shared) / 20 > 0.98
    assert np.mean(plain[:, 0] == graph[:, 0]) > 0.98


def test_a_query_s_ranking_does_not_depend_on_the_others(tmp_path: Path) -> None:
    for text in KINDS:
        write_index(tmp_path / text, text, DATABASE)
        find = open_search(tmp_path / text, text, DATABASE, effort=Effort(2, 20, 30))
        together = find(QUERY, top_k=5)
        for row in (0, 17, 39):
            alone = find(QUERY[row : row + 1], top_k=5)
            np.testing.assert_array_equal(alone[0][0], together[0][row])
            np.testing.assert_array_equal(alone[1][0], together[1][row])


def test_equal_rows_come_by_their_place_in_the_database() -> None:
    rows = np.concatenate([DATABASE[:400], DATABASE[:400]])
    indices, _ = search_index(build("IVF8,Flat", rows), rows, QUERY, top_k=4, effort=ALL)
    exact = rank_database(rows, QUERY, top_k=4)
    np.testing.assert_array_equal(indices, exact[0])
    assert (indices[:, 1] - indices[:, 0] == 400).all()


def test_queries_that_lack_candidates_are_ranked_exactly_and_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    effort = Effort(nprobe=1, ef_search=1, candidates=60)
    indices, distances = search_index(build("IVF64,Flat"), DATABASE, QUERY, top_k=60, effort=effort)
    words = capsys.readouterr().err
    assert "the index has fewer than 60 candidates for" in words
    assert "a larger search.nprobe helps" in words
    exact = rank_database(DATABASE, QUERY, top_k=60)
    same = (indices == exact[0]).all(axis=1)
    assert f"for {same.sum()} of 40 queries" in words  # a list of 64 seldom holds 60 of 800
    np.testing.assert_array_equal(distances[same], exact[1][same])


def test_what_an_index_loses_is_counted_by_hand() -> None:
    exact, _ = rank_database(DATABASE, QUERY, top_k=20)
    found = exact.copy()
    found[:4, 0], found[:4, 19] = exact[:4, 19], exact[:4, 0]  # the same 20, the first not first
    found[10, 10:] = np.setdiff1d(np.arange(800), exact[10])[:10]  # ten of one query's are others
    assert measure_index(DATABASE, QUERY, found) == {
        "index_recall@1": 36 / 40,
        "index_recall@20": pytest.approx((39 * 20 + 10) / 800),
        "num_queries": 40,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected exact or"), ("ivf16,Flat", "expected exact or"),
        ("IVF16", "as IVF1024,Flat"), ("IVF16,", "expected exact or|as IVF1024,Flat"),
        ("HNSW", "expected exact or"), ("IDMap,Flat", "expected exact or"),
        ("BIVF16", "expected exact or"), ("IVF16,Flat,RFlat", "expected exact or"),
        ("Flat", "this is exact search"), ("IVF0,Flat", "its lists are 0: at least 1"),
        ("HNSW0", "its links of each image are 0: at least 2"),
        ("IVF16,PQ0", "its parts of a code are 0"),
        # faiss crashes at these instead of refusing them.
        ("HNSW1", "at least 2 and at most 512"), ("HNSW1,Flat", "at least 2 and at most 512"),
        ("IVF8_HNSW0,Flat", "links of each list are 0"),
        ("IVF8_HNSW1,Flat", "links of each list are 1"),
        ("IVF8_HNSW9999999,Flat", "at most 512"), ("PCAR0,Flat", "at least 1 and at most 32"),
        ("PCA0,IVF8,Flat", "its dimensions that PCA keeps are 0"), ("PCA33,Flat", "at most 32"),
        ("OPQ4_0,IVF8,PQ4x4", "its dimensions that OPQ keeps are 0"),
        ("OPQ0,IVF8,PQ4x4", "its parts that OPQ turns to are 0"),
        ("RR99999999,Flat", "expected exact or"),
        ("IVF1000000000000,Flat", "needs at least as many images"),
        ("IVF801,Flat", "k-means of 801 centroids needs at least as many images"),
        ("IVF16,PQ8x12", "k-means of 4096 centroids"), ("IVF16,PQ8x24", "codes of 24 bits"),
        ("HNSW5000", "its links of each image are 5000"), ("IVF16,PQ7x4", "faiss refuses it"),
        ("IVF16,PQ33x4", "faiss refuses it"), ("PQ8x0", "codes of 0 bits"),
        ("PCAR64,IVF16,Flat", "at most 32"),
        ("exact ", "expected exact or"), ("IVF16;rm -rf,Flat", "expected exact or"),
    ],
)  # fmt: skip
def test_an_index_that_cannot_be_is_refused_with_one_that_would_do(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        write_index(tmp_path / "index", text, DATABASE)
    assert str(caught.value).startswith(f"params.yaml: search.index = {text}: ")
    assert str(caught.value).endswith("for 800 descriptors of 32 dimensions exact would do")


def test_few_rows_for_k_means_are_noted(capfd: pytest.CaptureFixture[str]) -> None:
    build("IVF32,Flat")
    assert "800 images are few for k-means of 32 centroids" in capfd.readouterr().err
    build("IVF16,Flat")
    assert "few for k-means" not in capfd.readouterr().err


@pytest.mark.parametrize("num_rows", [100, 50_000, 200_000, 1_000_000, 100_000_000])
def test_what_is_recommended_is_an_index_that_can_be_trained(num_rows: int) -> None:
    assert recommend(1_000_000, 256) == "IVF4096,PQ64x4fs"  # as docs/scale.md has it
    for dim in (64, 100, 7168):
        text = recommend(num_rows, dim)
        if num_rows <= 50_000:
            assert text == "exact"
        else:
            kind = parse_kind(text, num_rows=num_rows, dim=dim)
            assert num_rows >= 39 * kind.num_centroids


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("database.npy", DATABASE)
    np.save("query.npy", QUERY)
    return tmp_path


def run(kind: str, candidates: int = 100) -> dict[str, float]:
    Path("params.yaml").write_text(
        f"search: {{top_k: 20, index: '{kind}', nprobe: 4, ef_search: 64, "
        f"candidates: {candidates}}}\n"
    )
    index(database=Path("database.npy"), index=Path("index"))
    search(
        index=Path("index"), database=Path("database.npy"), query=Path("query.npy"),
        predictions=Path("predictions.npz"), index_recall=Path("recall.json"),
    )  # fmt: skip
    found: dict[str, float] = json.loads(Path("recall.json").read_text())
    return found


def test_the_stages_store_the_index_and_say_how_good_it_is(home: Path) -> None:
    assert run("exact") == {}
    assert [file.name for file in Path("index").iterdir()] == ["kind.txt"]
    exact = load_predictions(Path("predictions.npz"))
    np.testing.assert_array_equal(exact.indices, rank_database(DATABASE, QUERY, top_k=20)[0])
    found = run("IVF16,Flat")
    ranked = load_predictions(Path("predictions.npz"))
    assert found["index_recall@1"] == np.mean(ranked.indices[:, 0] == exact.indices[:, 0])
    assert 0.5 < found["index_recall@20"] <= 1
    with pytest.raises(ValueError, match=r"candidates = 10 is less than top_k = 20"):
        run("IVF16,Flat", candidates=10)
    run("exact", candidates=10)  # which has none
    Path("params.yaml").write_text(
        "search: {top_k: 20, index: best, nprobe: 4, ef_search: 64, candidates: 100}\n"
    )
    with pytest.raises(ValueError, match=r"index = best: expected exact or \[OPQ16"):
        load_params("search", SearchParams)  # as the doctor does, before anything runs


def test_an_index_of_other_rows_or_damaged_is_named(home: Path) -> None:
    run("IVF16,Flat")
    with pytest.raises(ValueError, match=r"search.index is HNSW32, but this index is IVF16,Flat"):
        open_search(Path("index"), "HNSW32", DATABASE, effort=Effort(4, 64, 100))
    effort = Effort(4, 64, 100)
    with pytest.raises(
        ValueError, match=r"index.faiss: expected an index of 700 descriptors of 32"
    ):
        open_search(Path("index"), "IVF16,Flat", DATABASE[:700], effort=effort)
    content = Path("index/index.faiss").read_bytes()
    for damaged in (content[:100], b"", b"hello" + content):
        Path("index/index.faiss").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"index.faiss: not a faiss index"):
            open_search(Path("index"), "IVF16,Flat", DATABASE, effort=effort)
