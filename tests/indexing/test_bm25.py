"""BM25 as sparse vectors: tokens, weights by hand, and the ranking of an independent implementation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.bm25 import AVERAGE_LENGTH, K1, B, document_vector, query_vector, tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The bolts are tightened", ["bolt", "tighten"]),
        ("fault E-217", ["fault", "e-217", "e", "217"]),
        ("clause 5.2.1", ["claus", "5.2.1", "5", "2", "1"]),
        ("MMS_S", ["mms_s", "mms", "s"]),
        ("ＦＵＬＬ width", ["full", "width"]),
        ("トルク設定", ["トル", "ルク", "ク設", "設定"]),
        ("軸", ["軸"]),
        ("M12ボルトの締付", ["m12", "ボル", "ルト", "トの", "の締", "締付"]),
        ("", []),
        ("the of and", []),
    ],
)
def test_tokens(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens


def test_a_japanese_word_is_found_inside_a_compound() -> None:
    assert set(query_vector("設定").indices) <= set(document_vector("トルク設定の手順").indices)


def test_weights_are_bm25_of_frequency_and_length() -> None:
    vector = document_vector("torque torque bolt")
    norm = K1 * (1 - B + B * 3 / AVERAGE_LENGTH)
    assert sorted(vector.values.tolist()) == pytest.approx(
        sorted([2 * (K1 + 1) / (2 + norm), 1 * (K1 + 1) / (1 + norm)]), rel=1e-6
    )


def test_ranking_agrees_with_bm25s() -> None:
    bm25s = pytest.importorskip("bm25s")
    rng = np.random.default_rng(3)
    words = [f"word{i}" for i in range(60)]
    texts = [" ".join(rng.choice(words, size=int(AVERAGE_LENGTH))) for _ in range(40)]
    query = "word3 word17 word41"
    vectors = [document_vector(text) for text in texts]
    asked = query_vector(query)
    found = {int(i): sum(int(i) in vector.indices for vector in vectors) for i in asked.indices}
    # Robertson's idf as Qdrant's modifier has it: ln(1 + (N - n + .5) / (n + .5)).
    idf = {i: math.log(1 + (len(texts) - n + 0.5) / (n + 0.5)) for i, n in found.items()}
    ours = [
        sum(float(value) * idf.get(int(i), 0.0) for i, value in zip(vector.indices, vector.values, strict=True))
        for vector in vectors
    ]
    reference = bm25s.BM25(method="lucene", k1=K1, b=B)
    reference.index([tokenize(text) for text in texts], show_progress=False)
    theirs = reference.get_scores(tokenize(query))
    # "lucene" leaves out the constant factor k1 + 1; every text has the average length, so nothing else differs.
    assert np.allclose(ours, np.asarray(theirs) * (K1 + 1), rtol=1e-4)


@given(st.text(max_size=200))
def test_any_text_gives_a_valid_sparse_vector(text: str) -> None:
    vector = document_vector(text)
    assert vector.indices.dtype == np.uint32 and vector.values.dtype == np.float32
    assert (np.diff(vector.indices.astype(np.int64)) > 0).all()
    assert (vector.values > 0).all() and (vector.values < K1 + 1).all()
