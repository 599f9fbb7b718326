"""The loop on a real, tiny BERT with dropout: it learns, resumes exactly, keeps the best, and changes no document."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from indexing.encoders.query import QueryEncoder, load_query_encoder
from indexing.geometry import Geometry
from indexing.home import Home, SpecmineError
from indexing.specs import DirectorySource, EncoderSpec
from training import query_training
from training.device import CPU
from training.evaluations import Watch
from training.losses import LOSSES, TAUGHT
from training.query_training import batches, train
from training.targets import Example
from training.train_settings import TrainSettings

# A document is about three of 15 topics; a query asks for them by the tiny model's words w18 … w32.
DOCUMENTS = 40
NOTHING = np.zeros(0, dtype=np.int64)
SETTINGS = TrainSettings(
    learning_rate=1e-2,
    temperature=0.1,
    batch_size=8,
    epochs=6,
    evaluations=2,
    patience=100,
    precision="float32",
)


@pytest.fixture
def spec(tmp_path: Path, make_encoder: Callable[..., Path]) -> EncoderSpec:
    return EncoderSpec("tiny", DirectorySource(str(make_encoder(tmp_path / "model"))), max_tokens=16)


def topics() -> list[tuple[int, ...]]:
    random = np.random.default_rng(0)
    found: dict[tuple[int, ...], None] = {}
    while len(found) < DOCUMENTS:
        found[tuple(sorted(random.choice(15, 3, replace=False).tolist()))] = None
    return list(found)


def asked(topic: Sequence[int], seed: int) -> str:
    return " ".join(f"w{18 + word}" for word in np.random.default_rng(seed).permutation(topic))


def matrix() -> np.ndarray:
    """Frozen document vectors: the sum of a random vector for each word of the document."""
    of_word = np.random.default_rng(7).normal(size=(15, 32))
    vectors = np.stack([of_word[list(topic)].sum(axis=0) for topic in topics()])
    vectors = np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
    vectors.flags.writeable = False
    return vectors


def examples() -> list[Example]:
    return [
        Example(f"q{number}-{copy}", asked(topic, 10 * number + copy), np.array([number]), NOTHING, NOTHING)
        for number, topic in enumerate(topics())
        for copy in range(3)
    ]


def score_on(documents: np.ndarray) -> Callable[[QueryEncoder], float]:
    """Mean reciprocal rank of one held-out wording for each document."""
    held_out = [asked(topic, 10 * number + 9) for number, topic in enumerate(topics())]

    def score(encoder: QueryEncoder) -> float:
        similarity = encoder.embed(held_out) @ documents.T
        own = similarity[np.arange(DOCUMENTS), np.arange(DOCUMENTS)]
        return float((1 / (1 + (similarity > own[:, None]).sum(axis=1))).mean())

    return score


def stop_by(documents: np.ndarray) -> Watch:
    return Watch(score_on(documents))


def weights(encoder: QueryEncoder) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in encoder.module.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def silent(stage: str, done: int, total: int) -> None:
    pass


class Killed(Exception):
    pass


def kill_after(step: int) -> Callable[[str, int, int], None]:
    def progress(stage: str, done: int, total: int) -> None:
        if done == step:
            raise Killed

    return progress


def test_training_raises_the_held_out_measure_and_leaves_the_documents_alone(
    spec: EncoderSpec, home: Home, tmp_path: Path
) -> None:
    documents = matrix()
    checksum = hashlib.sha256(documents.tobytes()).hexdigest()
    encoder = load_query_encoder(spec, home)
    told: list[tuple[str, int, int]] = []
    settings = replace(SETTINGS, epochs=10)
    trained = train(
        encoder,
        documents,
        examples(),
        settings,
        tmp_path / "run",
        lambda *t: told.append(t),
        watch=stop_by(documents),
    )
    assert trained.before.score < 0.3
    assert trained.best.score > trained.before.score + 0.3
    assert score_on(documents)(encoder) == trained.best.score
    assert hashlib.sha256(documents.tobytes()).hexdigest() == checksum
    assert not encoder.module.training
    # 120 queries in batches of 8, ten times
    assert trained.planned_steps == 15 * 10
    assert told[-1] == ("training tiny", 150, 150)
    assert [entry.step for entry in trained.history][:6] == [0, 8, 15, 23, 30, 38]
    assert trained.history[0].loss is None
    assert trained.history[1].loss > trained.history[-1].loss > 0  # type: ignore[operator]


@pytest.mark.parametrize(
    ("killed_at", "synthesis"), [((3,), "none"), ((8,), "none"), ((17, 40), "none"), ((17, 40), "gca")]
)
def test_a_killed_training_continues_to_the_same_result(
    spec: EncoderSpec, home: Home, tmp_path: Path, killed_at: tuple[int, ...], synthesis: str
) -> None:
    documents = matrix()
    settings = replace(SETTINGS, epochs=3, synthesis=synthesis, synthetic=4)
    whole = load_query_encoder(spec, home)
    expected = train(whole, documents, examples(), settings, tmp_path / "whole", silent, watch=stop_by(documents))
    for step in killed_at:
        with pytest.raises(Killed):
            train(
                load_query_encoder(spec, home),
                documents,
                examples(),
                settings,
                tmp_path / "killed",
                kill_after(step),
                watch=stop_by(documents),
            )
    steps: list[int] = []
    resumed = load_query_encoder(spec, home)
    found = train(
        resumed,
        documents,
        examples(),
        settings,
        tmp_path / "killed",
        lambda *t: steps.append(t[1]),
        watch=stop_by(documents),
    )
    assert found.history == expected.history
    assert same(weights(resumed), weights(whole))
    if max(killed_at) > 15:
        assert steps[0] > 15  # it did not begin again


def test_a_training_that_was_over_is_not_repeated(spec: EncoderSpec, home: Home, tmp_path: Path) -> None:
    documents = matrix()
    settings = replace(SETTINGS, epochs=1)
    first, second = load_query_encoder(spec, home), load_query_encoder(spec, home)
    train(first, documents, examples(), settings, tmp_path / "run", silent, watch=stop_by(documents))
    again = train(second, documents, examples(), settings, tmp_path / "run", kill_after(1), watch=stop_by(documents))
    assert again.seconds == 0
    assert same(weights(first), weights(second))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    spec: EncoderSpec, home: Home, tmp_path: Path
) -> None:
    documents = matrix()
    found = []
    for number, seed in enumerate((1, 1, 2)):
        torch.manual_seed(number)  # what the caller did before does not matter
        encoder = load_query_encoder(spec, home)
        settings = replace(SETTINGS, epochs=1, seed=seed)
        train(encoder, documents, examples(), settings, tmp_path / str(number), silent, watch=stop_by(documents))
        found.append(weights(encoder))
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def scripted(scores: Sequence[float], seen: list[dict[str, torch.Tensor]]) -> Callable[[QueryEncoder], float]:
    """A measure whose values are given; it remembers the weights it saw."""

    def score(encoder: QueryEncoder) -> float:
        seen.append(weights(encoder))
        return scores[len(seen) - 1]

    return score


def test_the_weights_of_the_best_evaluation_are_kept(spec: EncoderSpec, home: Home, tmp_path: Path) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    encoder = load_query_encoder(spec, home)
    score = scripted([0.1, 0.3, 0.5, 0.5, 0.2, 0.4, 0.1], seen)
    settings = replace(SETTINGS, epochs=3)
    trained = train(encoder, matrix(), examples(), settings, tmp_path / "run", silent, watch=Watch(score))
    assert trained.best.step == 15
    assert same(weights(encoder), seen[2])
    assert not same(seen[2], seen[6])
    kept = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert kept == ["step-00000015", "step-00000045"]


def test_without_held_out_queries_the_last_weights_are_kept(spec: EncoderSpec, home: Home, tmp_path: Path) -> None:
    encoder, scored = load_query_encoder(spec, home), load_query_encoder(spec, home)
    settings = replace(SETTINGS, epochs=3)
    trained = train(encoder, matrix(), examples(), settings, tmp_path / "unscored", silent)
    rising = scripted([step / 10 for step in range(7)], [])
    train(scored, matrix(), examples(), settings, tmp_path / "scored", silent, watch=Watch(rising))
    assert trained.best == trained.history[-1]
    assert trained.best.step == trained.planned_steps
    assert {entry.score for entry in trained.history} == {None}
    assert same(weights(encoder), weights(scored))


def test_a_harmful_training_ends_early_and_leaves_the_encoder_as_it_was(
    spec: EncoderSpec, home: Home, tmp_path: Path
) -> None:
    encoder = load_query_encoder(spec, home)
    before = weights(encoder)
    score = scripted([0.5, 0.4, 0.3, 0.2], [])
    settings = replace(SETTINGS, patience=3)
    trained = train(encoder, matrix(), examples(), settings, tmp_path / "run", silent, watch=Watch(score))
    assert [entry.step for entry in trained.history] == [0, 8, 15, 23]  # of 90 steps
    assert trained.best == trained.before
    assert same(weights(encoder), before)


def test_the_random_state_of_the_caller_is_left_alone(spec: EncoderSpec, home: Home, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    documents = matrix()
    settings = replace(SETTINGS, epochs=1)
    encoder = load_query_encoder(spec, home)
    train(encoder, documents, examples(), settings, tmp_path / "run", silent, watch=stop_by(documents))
    assert torch.equal(torch.rand(3), expected)


def test_bfloat16_autocast_learns_too(spec: EncoderSpec, home: Home, tmp_path: Path) -> None:
    documents = matrix()
    settings = replace(SETTINGS, epochs=6, precision="bfloat16")
    encoder = load_query_encoder(spec, home)
    trained = train(encoder, documents, examples(), settings, tmp_path / "run", silent, watch=stop_by(documents))
    assert trained.precision == "bfloat16"
    assert trained.best.score > trained.before.score + 0.1
    assert all(parameter.dtype == torch.float32 for parameter in encoder.module.parameters())


def test_the_faster_precision_is_measured_and_remembered(
    spec: EncoderSpec, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = matrix()
    settings = replace(SETTINGS, epochs=1, precision="auto")
    run = tmp_path / "run"
    with pytest.raises(Killed):
        encoder = load_query_encoder(spec, home)
        train(encoder, documents, examples(), settings, run, kill_after(9), watch=stop_by(documents))
    # What it measured before the kill holds afterwards, whatever the machine would measure now.
    monkeypatch.setattr(query_training, "faster_precision", lambda module, costs: "none")
    trained = train(encoder, documents, examples(), settings, run, silent, watch=stop_by(documents))
    assert trained.precision in ("float32", "bfloat16")


def test_a_loss_that_is_no_number_is_one_line(spec: EncoderSpec, home: Home, tmp_path: Path) -> None:
    documents = matrix()
    encoder = load_query_encoder(spec, home)

    def spoil(stage: str, done: int, total: int) -> None:
        with torch.no_grad():
            for parameter in encoder.module.parameters():
                parameter.fill_(float("nan"))

    with pytest.raises(SpecmineError, match=r"^training tiny: the loss is nan at step 2; lower learning_rate .*$"):
        train(encoder, documents, examples(), SETTINGS, tmp_path / "run", spoil, watch=stop_by(documents))


@given(st.lists(st.integers(1, 500), min_size=1, max_size=300), st.integers(1, 40), st.integers(0, 99))
def test_batches_hold_every_query_once(lengths: list[int], size: int, seed: int) -> None:
    cut = batches(lengths, size, np.random.default_rng(seed))
    assert sorted(np.concatenate(cut).tolist()) == list(range(len(lengths)))
    assert len(cut) == -(-len(lengths) // size)
    assert sum(len(batch) < size for batch in cut) <= 1


def test_batches_save_most_of_the_padding() -> None:
    lengths = np.random.default_rng(0).integers(1, 300, 2000)

    def padded(cut: Sequence[np.ndarray]) -> int:
        return sum(int(lengths[batch].max()) * len(batch) for batch in cut)

    unsorted = padded(np.split(np.arange(1984), 62))
    assert padded(batches(lengths.tolist(), 32, np.random.default_rng(1))) < 0.6 * unsorted
    assert padded(batches(lengths.tolist(), 32, np.random.default_rng(1))) < 1.1 * lengths.sum()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"loss": "magic"}, r"unknown loss 'magic'; known: full_softmax, infonce, lce"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, not 0.0"),
        ({"temperature": float("nan")}, "temperature must be above 0, not nan"),
        ({"batch_size": 0}, "batch_size must be 1 to 4096, not 0"),
        ({"epochs": 0}, "epochs must be 1 to 1000"),
        ({"evaluations": 0}, "evaluations must be 1 to 100"),
        ({"patience": 0}, "patience must be 1 to 100000"),
        ({"warmup": 1.0}, "warmup is a share of the steps"),
        ({"weight_decay": -0.1}, "weight_decay must be 0 to below 1"),
        ({"seed": -1}, "seed must be 0 to"),
        ({"geometry": "flat"}, "geometry must be one of auto, cosine, hyperbolic, hybrid, not 'flat'"),
        ({"loss": "hybrid", "synthesis": "mix"}, "loss 'hybrid' reads lengths, which synthetic negatives have not"),
    ],
)
def test_impossible_settings_are_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainSettings(**changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("chosen", "kind"),
    [
        ({}, "cosine"),
        ({"loss": "hyperbolic"}, "hyperbolic"),
        ({"loss": {"infonce": 1.0, "hyperbolic": 0.5}}, "cosine"),
        ({"loss": {"infonce": 1.0, "hybrid": 0.5}}, "hybrid"),
        ({"loss": "hybrid", "geometry": "cosine"}, "cosine"),
    ],
)
def test_the_loss_decides_by_what_documents_are_found(chosen: dict[str, object], kind: str) -> None:
    settings = TrainSettings(**chosen, curvature=0.2, temperature=0.1, hyperbolic_temperature=0.5)  # type: ignore[arg-type]
    # λ τ / τ_h
    assert settings.searched_by == Geometry(kind, 0.2, 0.5 * 0.1 / 0.5)  # type: ignore[arg-type]


SYSTEMS = {
    **{name: {"loss": name} for name in sorted(LOSSES.keys() - TAUGHT)},
    "margin_mse": {"loss": "margin_mse", "epochs": 16},
    "kl": {"loss": "kl"},
    "histogram beside a softmax": {"loss": {"full_softmax": 1.0, "histogram": 0.5}},
    "mix": {"loss": "hard_debiased", "synthesis": "mix", "synthetic": 4, "hardest": 8},
    "mochi": {"loss": "infonce", "synthesis": "mochi", "synthetic": 4, "hardest": 8},
    "gca": {"loss": "infonce", "synthesis": "gca", "synthetic": 4},
    "gca over the corpus": {"loss": "full_softmax", "synthesis": "gca", "synthetic": 4},
    "from easy to hard": {"loss": "infonce", "negatives": (("random",), ("in_batch",), ("live",))},
    "a head": {"form": "head:8", "loss": "full_softmax"},
    "low rank": {"form": "lora:8", "loss": "full_softmax", "learning_rate": 2e-2, "epochs": 24},
    "the last layer": {"form": "last:1", "loss": "full_softmax", "average": (0.5,)},
    "two batches a step": {"loss": "full_softmax", "batch_size": 4, "accumulate": 2},
}


def taught(example: Example) -> Example:
    """A cross-encoder that knows what is relevant."""
    rows = np.concatenate([example.positives, example.ledger])
    return replace(example, taught=rows, logits=np.where(np.isin(rows, example.positives), 6.0, 0.0).astype("f4"))


def test_a_loss_without_the_scores_it_learns_from_is_refused(spec: EncoderSpec, home: Home, tmp_path: Path) -> None:
    with pytest.raises(
        SpecmineError, match=r"loss 'kl' learns from the cross-encoder's scores and the ledger holds none"
    ):
        train(
            load_query_encoder(spec, home),
            matrix(),
            examples(),
            replace(SETTINGS, loss="kl"),
            tmp_path / "run",
            lambda *_: None,
        )


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_learns(name: str, spec: EncoderSpec, home: Home, tmp_path: Path) -> None:
    chosen = {"batch_size": 20, "epochs": 8, **SYSTEMS[name]}
    settings = replace(SETTINGS, bins=41, hyperbolic_temperature=0.1, evaluations=1, **chosen)  # type: ignore[arg-type]
    encoder = load_query_encoder(spec, home)
    documents = matrix()
    others = np.random.default_rng(1)
    mined = [
        replace(one, ledger=np.setdiff1d(others.choice(DOCUMENTS, 9, replace=False), one.positives))
        for one in examples()
    ]
    if settings.losses.keys() & TAUGHT:
        mined = [taught(one) for one in mined]
    folder, score = tmp_path / "run", score_on(documents)
    trained = train(encoder, documents, mined, settings, folder, lambda *_: None, np.ones(DOCUMENTS), Watch(score))
    assert trained.best.score is not None and trained.before.score is not None
    assert trained.best.score > 1.5 * trained.before.score
    if settings.synthesis != "none":
        assert set(trained.history[-1].audit) >= {"harder", "synthetic_cosine", "nearest_cosine"}
    if settings.synthesis == "gca":
        audits = [entry.audit for entry in trained.history[1:]]
        assert audits[0]["pull"] > 0.999 > audits[-1]["pull"] > 0
        assert audits[0]["synthetic_weight"] < 0.001 < 0.5 < audits[-1]["synthetic_weight"]
    if "hard_debiased" in settings.losses:
        assert 0 <= trained.history[-1].audit["clamped"] <= 1


def test_two_batches_a_step_are_one_of_twice_the_size(spec: EncoderSpec, home: Home, tmp_path: Path) -> None:
    """Without dropout the gradients add up to that of the larger batch, for a loss of queries one by one."""
    gradients = []
    for size, accumulate in ((8, 1), (4, 2)):
        settings = replace(SETTINGS, batch_size=size, accumulate=accumulate)
        encoder = load_query_encoder(spec, home)
        for module in encoder.module.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        run = query_training._Run(encoder, matrix(), examples(), settings, tmp_path / f"{size}", None, Watch(), CPU)
        run.begin()
        run.advance()
        gradients.append([p.grad.clone() for p in encoder.module.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
