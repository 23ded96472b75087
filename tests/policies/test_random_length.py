"""Random length: SmartCrop's lengths, permuted over the prompts."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.common import UserError

QUESTIONS = [
    "What is a lamp? Explain in one sentence.",
    "What is a lamp? Explain in four sentences.",
    "Repeat the word warm exactly 3 times.",
    "Repeat the word warm exactly 21 times.",
    "Write f4(x): take x, add 7, and return it.",
    "Tom has 12 coins. Tom finds 30. How many coins does Tom have now?",
]
SETTINGS = {"length": 36, "tau": 0.7, "round_to": 2}


@pytest.fixture(scope="module")
def lengths(tiny_model: MaskPredictor, ask: Callable) -> Callable[..., dict[str, int]]:
    """Canvas lengths by sample id that come out of a policy; at most four questions to keep it short."""

    def lengths(name: str, order: list[int] | None = None, **parameters: object) -> dict[str, int]:
        chosen = order or list(range(len(QUESTIONS)))
        prompts, ids = [ask(QUESTIONS[i]) for i in chosen], [f"sample {i}" for i in chosen]
        policy = build_policy(name, **SETTINGS, tokens_per_step=36, **parameters)
        return {g.sample_id: g.n_token for g in Engine(tiny_model).generate(prompts, policy, sample_ids=ids)}

    return lengths


def test_the_lengths_are_smartcrops_permuted(lengths: Callable):
    own, dealt = lengths("smartcrop"), lengths("random_length")
    assert len(set(own.values())) > 3, "lengths that are all alike would show nothing"
    assert sorted(dealt.values()) == sorted(own.values())
    assert dealt != own


def test_does_not_depend_on_the_order_of_the_prompts(lengths: Callable):
    assert lengths("random_length", [4, 2, 0, 5, 1, 3]) == lengths("random_length")


def test_the_permutation_depends_on_the_seed_alone(lengths: Callable):
    by_seed = [lengths("random_length", permutation_seed=seed) for seed in (0, 1, 0)]
    assert by_seed[0] == by_seed[2] != by_seed[1]
    assert sorted(by_seed[0].values()) == sorted(by_seed[1].values())


def test_decodes_its_length_as_smartcrop_would_and_pays_for_no_probe(tiny_model: MaskPredictor, ask: Callable):
    prompts = [ask(question) for question in QUESTIONS[:3]]
    policy = build_policy("random_length", **SETTINGS, block_length=8)
    steps = []
    done = {g.index: g for g in Engine(tiny_model, seed=2).generate(prompts, policy, on_step=steps.append)}
    assert sum(step.samples for step in steps) == sum(g.ledger.total.nfe for g in done.values())
    for index, g in done.items():
        assert g.trajectory == [g.n_token] * g.n_token
        assert g.ledger.probe.nfe == g.ledger.probe.head_rows == 0
        same = build_policy("fixed", length=g.n_token, block_length=8)
        (fixed,) = Engine(tiny_model, seed=2).generate([prompts[index]], same, sample_ids=[str(index)])
        assert g.canvas_ids == fixed.canvas_ids


def test_a_sample_that_cannot_be_run_gives_no_length(tiny_model: MaskPredictor, ask: Callable):
    """SmartCrop found no length for it, and its full canvas is not of SmartCrop's distribution."""
    prompts = [ask(QUESTIONS[0]), [5] * 1020, ask(QUESTIONS[3])]
    settings = SETTINGS | {"tokens_per_step": 36}
    own, dealt = (
        {g.index: g for g in Engine(tiny_model).generate(prompts, build_policy(name, **settings))}
        for name in ("smartcrop", "random_length")
    )
    assert own[1].error is not None
    assert dealt[1].error == own[1].error
    assert sorted([dealt[0].n_token, dealt[2].n_token]) == sorted([own[0].n_token, own[2].n_token])


def test_steps_are_shared_as_by_a_crop(tiny_model: MaskPredictor, ask: Callable):
    policy = build_policy("random_length", length=36, steps=9, lengths={"0": 8, "1": 36})
    done = {g.index: g for g in Engine(tiny_model).generate([ask(q) for q in QUESTIONS[:2]], policy)}
    assert done[0].trajectory == [8] * 2
    assert done[1].trajectory == [36] * 9


def test_given_lengths_are_taken_without_any_probe(tiny_model: MaskPredictor, ask: Callable):
    forwarded: list[int] = []

    class Counting(type(tiny_model)):
        def hidden(self, token_ids, positions, attend):
            forwarded.append(len(token_ids))
            return super().hidden(token_ids, positions, attend)

    policy = build_policy("random_length", length=36, lengths={"a": 2})
    (g,) = Engine(Counting(**vars(tiny_model))).generate([ask(QUESTIONS[0])], policy, sample_ids=["a"])
    assert (g.n_token, len(forwarded)) == (2, 2)


def test_a_sample_without_a_given_length_is_named(tiny_model: MaskPredictor):
    policy = build_policy("random_length", lengths={"a": 2})
    with pytest.raises(UserError, match=r"policy\.lengths: no length is given for sample 'b'"):
        list(Engine(tiny_model).generate([[5]], policy, sample_ids=["b"]))


def test_missing_lengths_are_refused(tiny_model: MaskPredictor):
    """One policy a prompt: there is no set of samples to find them over."""
    with pytest.raises(UserError, match="needs a length for every sample before it begins"):
        list(Engine(tiny_model).generate([[5]], [build_policy("random_length")]))


@given(
    st.dictionaries(st.text(max_size=4), st.none() | st.integers(1, 256), max_size=12),
    st.integers(0, 2**32),
    st.randoms(use_true_random=False),
)
def test_the_permutation_does_not_depend_on_the_order(found: dict, seed: int, random: object):
    policy = build_policy("random_length", permutation_seed=seed)
    dealt = policy.after_length_pass(found).lengths
    assert dealt.keys() == found.keys()
    crops = [length for length in found.values() if length is not None]
    assert sorted(dealt[name] for name in found if found[name] is not None) == sorted(crops)
    assert all(dealt[name] == 256 for name in found if found[name] is None)
    shuffled = list(found.items())
    random.shuffle(shuffled)
    assert policy.after_length_pass(dict(shuffled)).lengths == dealt
