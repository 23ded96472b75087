"""A short training of the embedded model: it saves the network that it trained, also when resumed."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from dlm_length import Engine, build_policy, load_model

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_embedded.py"
TOKENIZER = "dlm_length/models/embedded/llada-tiny/tokenizer.json"
ASSISTANT = 3
STEPS = 44


@pytest.fixture(scope="module")
def training() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_embedded", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_embedded"] = module
    spec.loader.exec_module(module)
    trained: dict[int, object] = {}
    train_tokenizer = module.train_tokenizer

    def train_tokenizer_once(plan: Any) -> object:
        """The plan's tokenizer, which depends on nothing but the size of the vocabulary."""
        if plan.vocabulary not in trained:
            trained[plan.vocabulary] = train_tokenizer(plan)
        return trained[plan.vocabulary]

    module.train_tokenizer = train_tokenizer_once  # type: ignore[attr-defined]
    return module


@pytest.fixture(scope="module")
def plan(training: ModuleType) -> Callable[..., object]:
    sizes = {"width": 128, "layers": 2, "heads": 4, "mlp_width": 64, "vocabulary": 400, "tokens": 1024, "parts": 1}
    return lambda steps, **changes: training.Plan(steps=steps, bf16=False, warmup=4, **(sizes | changes))


@pytest.fixture(scope="module")
def trained(training: ModuleType, plan: Callable[..., object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    training.train(plan(STEPS), out)
    return out


def test_a_few_dozen_steps_learn_something(trained: Path) -> None:
    curve = [json.loads(line) for line in (trained / "curve.jsonl").read_text().splitlines()]
    assert curve[-1]["step"] == STEPS
    assert curve[-1]["loss"] < 0.8 * np.log(400), "below a guess among the vocabulary"


def test_the_checkpoint_is_the_network(training: ModuleType, plan: Callable[..., object], trained: Path) -> None:
    """The same hidden states from the trained network and from the package's loader: rotary, norms, names, all."""
    model = load_model(str(trained))
    network = training.Network(plan(STEPS))
    state = torch.load(trained / "training.pt", weights_only=True)["network"]
    network.load_state_dict({name: weight.to(torch.bfloat16).float() for name, weight in state.items()})
    ids = torch.randint(4, 400, (1, 37), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = network.hidden(ids, torch.tensor([37]), torch.float32)[0] @ network.wte.weight.T
        from dlm_length.engine.attention import ATTENTIONS

        hidden = model.hidden(ids[0], torch.arange(37), ATTENTIONS["grouped"]([37], torch.device("cpu")))
        found = model.logits(hidden)
    assert torch.allclose(found, wanted, atol=1e-4)


def test_numbers_take_three_tokens_and_read_as_they_were(training: ModuleType, trained: Path) -> None:
    tokenizer = training.Tokenizer.from_file(str(trained / "tokenizer.json"))
    for number in range(1000):
        assert len(tokenizer.encode(f" {number}").ids) == 3
    for text in ("Now Ben has 43 - 7 = 36 pears.\n#### 136", "return x[3:] + 2024 * 7.5", "0, 00, 12a3"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_an_interrupted_training_goes_on_as_if_it_was_not(
    training: ModuleType, plan: Callable[..., object], trained: Path, tmp_path: Path
) -> None:
    original, training_log, calls = training.LOG_EVERY, training._log, 0

    def stop(*_: object) -> None:
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    training.LOG_EVERY, training._log = 20, stop
    try:
        with pytest.raises(KeyboardInterrupt):
            training.train(plan(STEPS), tmp_path, save_every=9)
    finally:
        training.LOG_EVERY, training._log = original, training_log
        torch.distributed.destroy_process_group()
    assert calls == 1
    (tmp_path / "curve.jsonl").write_text('{"step": 10}\n{"step": 20}\n{"ste')
    training.train(plan(STEPS), tmp_path)
    curve = [json.loads(line)["step"] for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert curve == [10, STEPS], "step 20 was behind the checkpoint of step 18"
    assert (tmp_path / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("steps", "changes", "message"),
    [
        (STEPS, {"rate": 1e-3}, "was trained by .*; choose another --out"),
        (
            STEPS + 20,
            {},
            "too late for 64, as the learning rates would fall from step 16 on; "
            "take --steps 44, or choose another --out",
        ),
    ],
)
def test_another_plan_is_refused(
    training: ModuleType,
    plan: Callable[..., object],
    trained: Path,
    steps: int,
    changes: dict[str, float],
    message: str,
) -> None:
    try:
        with pytest.raises(SystemExit, match=message):
            training.train(plan(steps, **changes), trained)
    finally:
        torch.distributed.destroy_process_group()


def test_a_new_checkpoint_denoises(trained: Path) -> None:
    model = load_model(str(trained))
    prompt = model.tokenizer.encode(model.tokenizer.chat_text([("user", "Describe the otter.")]), templated=True)
    (found,) = Engine(model).generate([prompt], build_policy("smartcrop", length=24))
    assert found.error is None
    assert model.tokens.mask not in found.canvas_ids


def test_the_script_runs_with_two_workers(
    call_script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    options = ("--steps", "2", "--workers", "2", "--float32", "--eager")
    done = call_script(SCRIPT.name, "--out", tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model.safetensors").stat().st_size < 16 * 2**20


def test_two_workers_train_what_one_does(
    training: ModuleType, plan: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))  # where the processes find the module
    for workers in (1, 2):
        training.train(plan(3, parts=2), tmp_path / str(workers), workers=workers)
    one, two = (torch.load(tmp_path / workers / "training.pt", weights_only=True)["network"] for workers in ("1", "2"))
    for name, weight in one.items():
        assert torch.allclose(weight, two[name], atol=1e-5), name


def test_what_is_masked_is_answer_and_eos_and_padding_changes_nothing(
    training: ModuleType, plan: Callable[..., object]
) -> None:
    tokenizer = training.Tokenizer.from_file(str(SCRIPT.parents[1] / TOKENIZER))
    stream = training.batches(plan(training.POOL), tokenizer, 0, 0)
    network = training.Network(plan(8, vocabulary=tokenizer.get_vocab_size()))
    for batch in stream:
        places = torch.arange(batch.ids.shape[1])
        answering = ((batch.ids == ASSISTANT).cumsum(dim=1) > 0) & (batch.ids != ASSISTANT)
        assert batch.ids.shape[1] in training.LENGTHS
        for ordered in (0.0, 0.5, 1.0):
            masked = training.masks(batch, torch.Generator().manual_seed(0), ordered)
            assert not masked[~answering].any(), "the prompt"
            assert not masked[places >= batch.whole[:, None]].any()
            assert masked.any(dim=1).float().mean() > 0.8, "few draw so small a t that nothing is masked"
    with torch.no_grad():
        whole = int(batch.whole[0])
        padded = network.hidden(batch.ids[:1], batch.whole[:1], torch.float32)[0, :whole]
        alone = network.hidden(batch.ids[:1, :whole], batch.whole[:1], torch.float32)[0]
    assert torch.allclose(padded, alone, atol=1e-5)


def test_a_resumed_stream_is_the_same(training: ModuleType, plan: Callable[..., object]) -> None:
    tokenizer = training.Tokenizer.from_file(str(SCRIPT.parents[1] / TOKENIZER))
    steps = training.POOL + 5
    whole, resumed = (list(training.batches(plan(steps), tokenizer, first, 0)) for first in (0, 7))
    assert len(whole) == steps
    for one, other in zip(whole[7:], resumed, strict=True):
        assert torch.equal(one.ids, other.ids)
        assert torch.equal(one.whole, other.whole)


def test_the_network_begins_able_to_copy(training: ModuleType) -> None:
    """Where a neighbour shows what is being copied, the right token is among the likeliest from the first step on."""
    plan = training.Plan()
    torch.manual_seed(0)
    network = training.Network(plan)
    source = torch.arange(100, 124)
    ids = torch.cat([torch.tensor([2]), source, torch.tensor([3]), source])[None]
    masked = torch.zeros_like(ids, dtype=torch.bool)
    masked[0, 30:48:4] = True
    with torch.no_grad():
        hidden = network.hidden(ids.masked_fill(masked, training.MASK_ID), torch.tensor([50]), torch.float32)[0]
        logits = (hidden @ network.wte.weight.T)[masked[0]]
    right = ids[masked]
    ranks = (logits > logits.gather(1, right[:, None])).sum(dim=1)
    assert (ranks <= 30).float().mean() >= 0.8, "of 1,024 tokens"


@pytest.mark.parametrize("bare", [True, False])
def test_exercises_in_sums_are_right_and_hide_their_results(training: ModuleType, bare: bool) -> None:
    tokenizer = training.Tokenizer.from_file(str(SCRIPT.parents[1] / TOKENIZER))
    problems, rng = training.items(training.GENERATORS["mini_gsm8k"], "train", "sums"), Random(0)
    for _ in range(50):
        drawn = training.sums_exercise(tokenizer, problems, rng, bare=bare)
        lines = tokenizer.decode(drawn.answer).splitlines()
        assert len(lines) == training.SUMS
        results = []
        for line in lines:
            words = line.split()
            equals = words.index("=")
            a, operator, b = int(words[equals - 3]), words[equals - 2], int(words[equals - 1])
            results.append(words[equals + 1])
            assert int(results[-1]) == {"+": a + b, "-": a - b, "*": a * b, "/": a // b}[operator]
            assert (len(words) == 5) == bare
        hidden = [token for token, maskable in zip(drawn.answer, drawn.maskable, strict=True) if maskable]
        assert tokenizer.decode(hidden).split() == results


def test_digits_are_masked_apart_from_words_and_some_sequences_wholly(
    training: ModuleType, plan: Callable[..., object]
) -> None:
    tokenizer = training.Tokenizer.from_file(str(SCRIPT.parents[1] / TOKENIZER))
    digits, words, generator = [], [], torch.Generator().manual_seed(0)
    for batch in training.batches(plan(8 * training.POOL, copying=0.0, sums=0.0), tokenizer, 0, 0):
        masked = training.masks(batch, generator)
        for row in range(len(batch.ids)):
            number, other = batch.canvas[row] & batch.digits[row], batch.canvas[row] & ~batch.digits[row]
            if number.sum() >= 8:
                digits.append(masked[row][number].float().mean().item())
                words.append(masked[row][other].float().mean().item())
    assert len(digits) > 50
    wholly = np.array(digits) == 1
    assert 0.02 < wholly.mean() < 0.3
    assert abs(np.corrcoef(np.array(digits)[~wholly], np.array(words)[~wholly])[0, 1]) < 0.3


def test_masks_in_order_hide_what_follows_and_spare_the_last_eos(
    training: ModuleType, plan: Callable[..., object]
) -> None:
    """Half of the sequences have no gap in what is written before some place, digits apart; half nothing behind it."""
    tokenizer = training.Tokenizer.from_file(str(SCRIPT.parents[1] / TOKENIZER))
    whole_so_far, nothing_behind, eos = [], [], []
    for batch in training.batches(plan(8 * training.POOL, copying=0.0, sums=0.0), tokenizer, 0, 0):
        masked = training.masks_in_order(batch, torch.Generator().manual_seed(len(eos)))
        for ids, canvas, hidden, digits in zip(batch.ids, batch.canvas, masked, batch.digits, strict=True):
            ending = canvas & (ids == training.EOS_ID)
            words = hidden[canvas & ~ending & ~digits]
            if len(words) >= 8 and ending.any():
                changes = int((words[1:] != words[:-1]).sum())
                whole_so_far.append(changes == 0 or (changes == 1 and bool(words[-1])))
                nothing_behind.append(bool(words[-1]))
                eos.append(bool(hidden[ending][-1]))
    assert len(eos) > 100
    assert 0.2 < np.mean(whole_so_far) < 0.6, "a quarter has neither gaps nor anything early, others by chance"
    assert np.mean(nothing_behind) > 0.8
    assert 0.35 < np.mean(eos) < 0.6, "in half of them the last EOS is closed"


def test_a_tenth_is_wholly_masked_in_either_order_and_half_in_the_finish(
    training: ModuleType, plan: Callable[..., object]
) -> None:
    """As only such sequences show what a sampler's first forward sees; SmartCrop reads nothing else."""
    tokenizer = training.Tokenizer.from_file(str(SCRIPT.parents[1] / TOKENIZER))
    generator = torch.Generator().manual_seed(0)
    for ordered in (0.0, 0.9):
        for finish in (False, True):
            wholly: dict[bool, list[bool]] = {False: [], True: []}
            for batch in training.batches(plan(8 * training.POOL, copying=0.0, sums=0.0), tokenizer, 0, 0):
                masked = training.masks(batch, generator, ordered, finish=finish)
                enough = batch.canvas.sum(dim=1) >= 40
                for has_sums, hidden in zip(batch.has_sums[enough], (masked == batch.canvas)[enough], strict=True):
                    wholly[bool(has_sums)].append(bool(hidden.all()))
            assert min(map(len, wholly.values())) > 50
            least, most = (0.4, 0.65) if finish else (0.06, 0.2)
            assert least < np.mean(wholly[False]) < most
            assert 0.06 < np.mean(wholly[True]) < 0.2, "what has sums loses them if it is wholly masked so often"


def test_answers_fill_some_canvases_when_the_learning_rates_fall(
    training: ModuleType, plan: Callable[..., object]
) -> None:
    tokenizer = training.Tokenizer.from_file(str(SCRIPT.parents[1] / TOKENIZER))
    cooling = plan(8 * training.POOL, copying=0.0, sums=0.0, cooldown=0.5, finish=0.0)
    spare: dict[bool, list[int]] = {False: [], True: []}
    for step, batch in enumerate(training.batches(cooling, tokenizer, 0, 0)):
        spare[step >= cooling.before_cooling] += (batch.canvas & (batch.ids == training.EOS_ID)).sum(dim=1).tolist()
    assert min(spare[False]) == 1
    assert 0.02 < np.mean(np.array(spare[True]) == 0) < 0.1


def test_masks_change_when_the_learning_rates_fall_and_in_the_finish(
    training: ModuleType, plan: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, they are those of a training without order, so that the plateau's length stays free."""
    requested, masks = [], training.masks
    monkeypatch.setattr(
        training,
        "masks",
        lambda *given, **more: (requested.append((given[2], *more.values())), masks(*given, **more))[1],
    )
    training.train(plan(10, cooldown=0.4, finish=0.2, ordered=0.5), tmp_path)
    assert requested == [(0.0, False)] * 5 + [(0.5, False)] * 3 + [(0.5, True)] * 2
    tokenizer = training.Tokenizer.from_file(str(SCRIPT.parents[1] / TOKENIZER))
    batch = next(training.batches(plan(1), tokenizer, 0, 0))
    drawn = [masks(batch, torch.Generator().manual_seed(7), ordered) for ordered in (0.0, 1e-9, 1.0)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_the_learning_rates_fall_twice(training: ModuleType, plan: Callable[..., object]) -> None:
    rates = [training.rate_factor(plan(100, finish=0.1), step) for step in range(100)]
    assert rates[3:36] == [1.0] * 33, "warm, and 60% of 90 steps before the end of the plateau"
    assert rates[35:90] == sorted(rates[35:90], reverse=True)
    assert rates[89] == pytest.approx(1 / 54)
    assert rates[90:] == pytest.approx([left / 60 for left in range(10, 0, -1)])
