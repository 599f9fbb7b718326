"""PCA over the encoders side by side: against scikit-learn, and as it lies on disk."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA as SklearnPCA

from indexing.generations import Generation, GenerationEncoder, IndexedDocument, save_generation, vectors_file
from indexing.home import Home, SpecmineError, is_whole, read_json
from indexing.pca import fit, open_pca
from indexing.specs import MINILM, WORDLLAMA

GENERATION = Generation("c0", {}, (GenerationEncoder(MINILM, "a" * 64), GenerationEncoder(WORDLLAMA, "b" * 64)))


def correlated(seed: int, rows: int, columns: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    spread = random.normal(size=(rows, columns)) * 0.5 ** np.arange(columns)
    return (spread @ random.normal(size=(columns, columns)) + 1.0).astype(np.float32)


@given(seed=st.integers(0, 999), rows=st.integers(3, 60), columns=st.integers(1, 12), block=st.integers(1, 61))
@settings(max_examples=40, deadline=None)
def test_the_directions_are_those_of_scikit_learn(seed: int, rows: int, columns: int, block: int) -> None:
    x = correlated(seed, rows, columns)
    space, held = fit((x[i : i + block] for i in range(0, rows, block)), 0.95)
    theirs = SklearnPCA(n_components=0.95 if columns > 1 else 1, svd_solver="full").fit(x.astype(np.float64))
    assert space.mean == pytest.approx(theirs.mean_)
    assert space.components.shape == (columns, theirs.n_components_)
    assert held == pytest.approx(theirs.explained_variance_ratio_.sum())
    reduced = theirs.transform(x.astype(np.float64))
    cosines = reduced @ reduced.T / np.outer(*[np.linalg.norm(reduced, axis=1)] * 2)
    ours = space.project(x)
    assert ours @ ours.T == pytest.approx(cosines, abs=1e-4)


def test_by_hand() -> None:
    # Squares along (1, 1): 2 · (.7 √2)^2; across it: 2 · (.1 √2)^2. The first is 49 of 50 parts.
    x = np.array([[7, 7], [-7, -7], [1, -1], [-1, 1]]) / 10
    space, held = fit([x], 0.95)
    assert held == pytest.approx(49 / 50)
    assert np.abs(space.components[:, 0]) == pytest.approx([0.5**0.5, 0.5**0.5])
    assert space.project(np.array([[2.0, 1.0], [1.0, -1.0]]))[0] @ space.components.T == pytest.approx(
        [0.5**0.5, 0.5**0.5], abs=1e-6
    )
    assert fit([x], 0.99)[0].components.shape == (2, 2)


def test_equal_rows_have_no_direction_and_no_row_has_no_space() -> None:
    space, held = fit([np.ones((5, 3))])
    assert held == 1.0
    assert not space.project(np.ones((2, 3))).any()
    with pytest.raises(ValueError, match="there is nothing to fit"):
        fit([])


def keep(home: Home, sizes: list[int]) -> tuple[dict[str, IndexedDocument], np.ndarray]:
    save_generation(home, GENERATION)
    together = correlated(1, sum(sizes), 10)
    documents = {}
    first = 0
    for number, size in enumerate(sizes):
        for encoder, columns in zip(GENERATION.encoders, (slice(0, 6), slice(6, 10)), strict=True):
            path = vectors_file(home, encoder.fingerprint, f"k{number}")
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, together[first : first + size, columns])
        documents[f"d{number}"] = IndexedDocument(f"k{number}", "", "", "", 1, 0, size)
        first += size
    return documents, together


def test_a_contents_space_is_made_once_and_read_back(home: Home) -> None:
    documents, together = keep(home, [5, 0, 20, 7])
    index = open_pca(home, GENERATION, 1, documents)
    space, held = fit([together])
    assert np.concatenate(list(index.blocks())) == pytest.approx(space.project(together), abs=1e-6)
    folder = home.generations / GENERATION.id / "pca-1"
    manifest = read_json(folder / "manifest.json")
    assert manifest["chunks"] == 32
    assert manifest["dimensions"] == {"encoders": 10, "kept": index.documents.shape[1]}
    assert manifest["variance"]["held"] == pytest.approx(held)
    assert held > 0.95
    before = (folder / "documents.npy").stat().st_mtime_ns
    assert np.array_equal(open_pca(home, GENERATION, 1, {}).documents, index.documents)
    assert (folder / "documents.npy").stat().st_mtime_ns == before


def test_what_fails_leaves_nothing(home: Home) -> None:
    documents, _ = keep(home, [5, 6])
    vectors_file(home, "b" * 64, "k1").unlink()
    with pytest.raises(SpecmineError, match="run `specmine reindex`"):
        open_pca(home, GENERATION, 1, documents)
    assert not list((home.generations / GENERATION.id).glob("pca*"))
    with pytest.raises(SpecmineError, match="the index is empty"):
        open_pca(home, GENERATION, 2, {})


def test_a_damaged_space_says_what_to_do(home: Home) -> None:
    documents, _ = keep(home, [5])
    open_pca(home, GENERATION, 1, documents)
    (home.generations / GENERATION.id / "pca-1" / "mean.npy").write_bytes(b"no array")
    with pytest.raises(SpecmineError, match=r"is damaged .*remove it, and it is made again"):
        open_pca(home, GENERATION, 1, documents)


def test_the_spaces_of_old_contents_go(home: Home) -> None:
    documents, _ = keep(home, [5])
    for content in range(1, 13):
        open_pca(home, GENERATION, content, documents)
    left = {path.name for path in (home.generations / GENERATION.id).glob("pca-*") if is_whole(path)}
    assert left == {"pca-10", "pca-11", "pca-12"}
