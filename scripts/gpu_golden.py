"""Parts of gpu_check.py that compare the device with references: golden cases, and the same computation on the CPU."""

import json
import random
import statistics as summary
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from check_device import Check, Found
from safetensors.torch import load_file, save_file
from torch import Tensor

from dlm_length import Engine, MaskPredictor, build_policy, load_model
from dlm_length.common import SpecialTokens
from dlm_length.denoising import Answer, Denoiser, Stat, StatSpec
from dlm_length.engine import Generation
from dlm_length.engine.attention import ATTENTIONS, best_attention
from dlm_length.engine.counter_rng import position_keys
from dlm_length.engine.head import chunk_bytes_for, statistics

TESTS = Path(__file__).parents[1] / "tests"
POLICY_OF = {"llada_fixed": "fixed", "fast_dllm_threshold": "fixed"}
EVERY = Stat.TOKEN | Stat.CONFIDENCE | Stat.EOS | Stat.MARGIN | Stat.ENTROPY
SPECS = {
    "greedy": StatSpec(EVERY | Stat.BEST_UNMASKED | Stat.LOGIT_GAP),
    "Gumbel noise": StatSpec(Stat.TOKEN | Stat.CONFIDENCE, temperature=0.7),
    "nucleus": StatSpec(EVERY, top_p=0.9),
    "Dream's": StatSpec(EVERY, temperature=0.2, top_p=0.95, tempered=True),
    "top k": StatSpec(EVERY, temperature=0.7, top_k=50),
    "suppressed": StatSpec(EVERY, suppress=(1, 7), confidence_without=(2, 3)),
    "divergence": StatSpec(Stat.DIVERGENCE),
}
"""What policies and decoders ask of the vocabulary head."""


@cache
def golden_families() -> ModuleType:
    """The module that knows the families' cases; it is beside them and in no package."""
    sys.path.insert(0, str(TESTS))
    return import_module("golden.families")


def lines(file: Path) -> list[Found]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def generate(engine: Engine, cases: Sequence[Found], policies: Sequence[Denoiser]) -> list[Generation]:
    ids = [case["id"] for case in cases]
    done = engine.generate([case["prompt_ids"] for case in cases], policies, sample_ids=ids)
    return sorted(done, key=lambda g: g.index)


def agreement(one: Sequence[int], other: Sequence[int]) -> float:
    """Share of positions with equal tokens, relative to the longer of two canvases."""
    equal = sum(a == b for a, b in zip(one, other, strict=False))
    return equal / max(len(one), len(other), 1)


def mean_agreement(pairs: Iterable[tuple[Sequence[int], Sequence[int]]]) -> float:
    return round(summary.fmean(agreement(*pair) for pair in pairs), 4)


# exact


def exact(check: Check, found: Found) -> None:
    """Golden cases of the reference implementations, all in one batch."""
    cases = lines(TESTS / "golden" / "cases.jsonl")[:: check.scaled(1, 19)]
    policies = [build_policy(POLICY_OF.get(case["method"], case["method"]), **case["params"]) for case in cases]
    found["cases"] = len(cases)
    answers: dict[str, list[list[int]]] = {}
    for name in (f"{dtype}{how}" for dtype in ("float32", *check.halves) for how in ("", ", not fused")):
        dtype, _, how = name.partition(",")
        model = load_model("embedded:llada-tiny", device=str(check.device), dtype=dtype, fused=not how)
        done = generate(Engine(model), cases, policies)
        same = [g.canvas_ids == case["canvas_ids"] for g, case in zip(done, cases, strict=True)]
        counted = [
            g.ledger.total.nfe == case["nfe"] and g.trajectory == case["lengths"]
            for g, case in zip(done, cases, strict=True)
        ]
        answers[name] = [g.canvas_ids for g in done]
        found[name] = {
            "equal_canvas": sum(same),
            "equal_forwards": sum(counted),
            "equal_tokens": mean_agreement(zip(answers[name], [case["canvas_ids"] for case in cases], strict=True)),
            "different": [case["id"] for case, equal in zip(cases, same, strict=True) if not equal],
        }
        check.say(f"{name}: {sum(same)} of {len(cases)} canvases equal, forwards of {sum(counted)}")
    for half in check.halves:
        pairs = list(zip(answers[half], answers[f"{half}, not fused"], strict=True))
        found[f"{half}, fused against not"] = {
            "equal_canvas": sum(one == other for one, other in pairs),
            "equal_tokens": mean_agreement(pairs),
        }


# families


def families(check: Check, found: Found) -> None:
    """Logits and golden cases of the other model families, and adapters merged on the device."""
    golden = golden_families()
    for folder in sorted(path for path in golden.FOLDER.iterdir() if path.is_dir()):
        cases = golden.cases(folder.name)[:: check.scaled(1, 6)] if (folder / "cases.jsonl").exists() else []
        row: Found = {"cases": len(cases)}
        for dtype in ("float32", check.half_name):
            model = load_model(str(folder / "checkpoint"), device=str(check.device), dtype=dtype)
            row[f"logits, {dtype}"] = largest_difference(model, load_file(folder / "logits.safetensors"))
            if cases:
                done = generate(Engine(model), cases, [golden.policy_for(case) for case in cases])
                finals = [case["answer_ids" if "answer_ids" in case else "canvas_ids"] for case in cases]
                pairs = [(g.canvas_ids, final) for g, final in zip(done, finals, strict=True)]
                row[dtype] = {"equal": sum(a == b for a, b in pairs), "equal_tokens": mean_agreement(pairs)}
        found[folder.name] = row
        check.say(f"{folder.name}: {row}")
    for name in ("dream", "llada_moe"):
        found[f"{name} with an adapter"] = merged(check, golden.FOLDER / name / "checkpoint")
    check.say(f"adapters: { {name: row for name, row in found.items() if 'adapter' in name} }")


def largest_difference(model: MaskPredictor, stored: dict[str, Tensor]) -> float:
    """Between the model's logits and stored ones, as a share of the largest logit."""
    shares = []
    for k in range(sum(name.startswith("ids_") for name in stored)):
        expected = stored[f"logits_{k}"].float()
        found = logits_of(model, stored[f"ids_{k}"].long()).float().cpu()
        shares.append(float((found - expected).abs().max() / expected.abs().max()))
    return float(f"{max(shares):.1e}")


def logits_of(model: MaskPredictor, ids: Tensor) -> Tensor:
    """Logits of one sequence, (tokens, vocabulary)."""
    attend = ATTENTIONS[best_attention(model)]([len(ids)], model.device)
    return model.logits(model.hidden(ids.to(model.device), torch.arange(len(ids), device=model.device), attend))


def merged(check: Check, checkpoint: Path) -> Found:
    """A checkpoint with a random LoRA adapter: the largest difference of logits from those on the CPU, as a share."""
    draw = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        tensors: dict[str, Tensor] = {}
        stored = (pair for file in checkpoint.glob("*.safetensors") for pair in load_file(file).items())
        for name, weight in stored:
            if name.endswith((".q_proj.weight", ".o_proj.weight")):
                module = f"base_model.model.{name.removesuffix('.weight')}"
                tensors[f"{module}.lora_A.weight"] = torch.randn(4, weight.shape[1], generator=draw)
                tensors[f"{module}.lora_B.weight"] = torch.randn(weight.shape[0], 4, generator=draw) / 50
        save_file(tensors, Path(folder) / "adapter_model.safetensors")
        config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none"}
        (Path(folder) / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
        ids = torch.arange(4, 44)
        here, there, plain = (
            logits_of(load_model(str(checkpoint), device=device, adapter=adapter), ids).float().cpu()
            for device, adapter in ((str(check.device), folder), ("cpu", folder), ("cpu", None))
        )
    scale = there.abs().max()
    shares = {"difference": (here - there).abs().max() / scale, "change": (there - plain).abs().max() / scale}
    return {name: float(f"{float(share):.1e}") for name, share in shares.items()}


# caches


def caches(check: Check, found: Found) -> None:
    """Golden cases with kept keys and values; the batch's influence; the speed that caches give the large model."""
    cases = lines(TESTS / "golden" / "caches" / "cases.jsonl")[:: check.scaled(1, 21)]
    found["cases"] = len(cases)
    for dtype in ("float32", *check.halves):
        rows = [cached_cases(check, dtype, name, cases) for name in ("llada-tiny", "llada-mini")]
        found[dtype] = {name: sum(row[name] for row in rows) for name in rows[0]}
        check.say(f"caches, {dtype}: {found[dtype]} of {len(cases)} cases")
    for dtype in ("float32", check.half_name):
        found[f"{dtype}, batch_invariant"] = unaffected(check, dtype, cases)
        check.say(f"caches, {dtype}: {found[f'{dtype}, batch_invariant']} equal under every budget and order")
    found["seconds"] = cached_seconds(check)
    check.say(f"the large model with caches: {found['seconds']} s")


def cache_policy(case: Found) -> Denoiser:
    """The program's own name of a cache differs from ours by a suffix."""
    cache = case["params"]["cache"].removesuffix("_decode")
    return build_policy("fixed", **{**case["params"], "cache": cache})


def cached_cases(check: Check, dtype: str, name: str, cases: Sequence[Found]) -> dict[str, int]:
    """Cases with the reference's canvas, and with that of the reference attention on this device."""
    own = [case for case in cases if case["model"] == name]
    model = load_model(f"embedded:{name}", device=str(check.device), dtype=dtype)
    policies = [cache_policy(case) for case in own]
    done, padded = (generate(Engine(model, attention=kind), own, policies) for kind in (None, "padded"))
    return {
        "equal": sum(g.canvas_ids == case["canvas_ids"] for g, case in zip(done, own, strict=True)),
        "equal_to_padded_attention": sum(a.canvas_ids == b.canvas_ids for a, b in zip(done, padded, strict=True)),
    }


def unaffected(check: Check, dtype: str, cases: Sequence[Found]) -> str:
    """Samples with equal tokens alone, in two sizes of batches, and in another order."""
    own = [case for case in cases if case["model"] == "llada-tiny"][:: check.scaled(3, 1)]
    model = load_model("embedded:llada-tiny", device=str(check.device), dtype=dtype, batch_invariant=True)
    answers = []
    for budget, order in ((1, own), (500, own), (10**6, random.Random(0).sample(own, len(own)))):
        done = generate(Engine(model, budget), order, [cache_policy(case) for case in order])
        answers.append({g.sample_id: g.canvas_ids for g in done})
    return f"{sum(all(each[case['id']] == answers[0][case['id']] for each in answers) for case in own)} of {len(own)}"


def cached_seconds(check: Check) -> Found:
    """Wall-clock of the same samples without a cache and with each."""
    model, canvas = check.large(), check.scaled(256, 32)
    rng = np.random.default_rng(2)
    prompts = [rng.integers(2, check.shape.vocabulary, n).tolist() for n in rng.integers(70, 160, check.scaled(24, 3))]
    seconds: Found = {}
    for cache_name in ("none", "prefix", "dual"):
        policy = build_policy("fixed", length=canvas, block_length=canvas // 8, tokens_per_step=8, cache=cache_name)
        list(Engine(model, 16_384).generate(prompts[:2], policy))  # warm-up
        check.wait()
        start = time.perf_counter()
        done = list(Engine(model, 16_384).generate(prompts, policy))
        seconds[cache_name] = round(time.perf_counter() - start, 2)
        assert all(g.error is None for g in done), [g.error for g in done]
    return seconds


# sampling


def sampling(check: Check, found: Found) -> None:
    """The head's statistics and draws relative to the CPU's, alone relative to together, and their duration."""
    rows, vocabulary = check.scaled(24, 6), check.shape.vocabulary
    drawn = torch.randn(2, rows, vocabulary, generator=torch.Generator().manual_seed(0)) * 4
    for dtype in ("float32", *check.halves):
        logits, against = drawn.to(getattr(torch, dtype))
        for name, head in SPECS.items():
            here = ask(logits.to(check.device), against.to(check.device), head)
            there = ask(logits.float(), against.float(), head)
            row: Found = dict(differences(here, there))
            single = [slice(place, place + 1) for place in range(rows)]
            alone = [ask(logits[one].to(check.device), against[one].to(check.device), head, one) for one in single]
            row["equal_alone"] = f"{sum(same(one, here.among(own)) for one, own in zip(alone, single, strict=True))}"
            found[f"{name}, {dtype}"] = row
            check.say(f"{name}, {dtype}, {rows} rows: {row}")
    states = torch.randn(check.scaled(1024, 8), vocabulary, device=check.device).to(check.dtype)
    for name, head in SPECS.items():
        found[f"{name}, {len(states)} rows"] = {
            "ms": round(check.seconds(lambda head=head: ask(states, states, head), rounds=3) * 1e3, 2)
        }
    check.say(f"{ {name: row['ms'] for name, row in found.items() if 'ms' in row} } ms")


def ask(logits: Tensor, against: Tensor, head: StatSpec, rows: slice = slice(None)) -> Answer:
    """Statistics of given logits, (rows, vocabulary): the head is the identity. `rows`: their places among more."""
    count = rows.stop or len(logits)
    keys = position_keys(5, 1, np.arange(count))[rows]
    places = torch.arange(len(logits), device=logits.device)
    return statistics(
        torch.clone, logits, places, head, SpecialTokens(mask=0, eos=1), keys,
        vocabulary=logits.shape[1], chunk_bytes=chunk_bytes_for(logits.device), against=against,
    ).answer()  # fmt: skip


def differences(one: Answer, other: Answer) -> Iterable[tuple[str, object]]:
    """Per statistic: for tokens how many are equal, for others the largest difference."""
    for name, values in vars(one).items():
        expected = getattr(other, name)
        if values.dtype == np.int64 and len(expected):
            yield name, f"{int((values == expected).sum())} equal"
        elif len(expected):
            yield name, float(f"{np.abs(values - expected).max():.1e}")


def same(one: Answer, other: Answer) -> bool:
    return all(values.tobytes() == getattr(other, name).tobytes() for name, values in vars(one).items())
