"""Every family on transformers' own classes: the reference implementations' logits, tokens and prompts, and errors."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from golden.families import FOLDER, cases
from safetensors.torch import load_file, save_file
from torch.utils.flop_counter import FlopCounterMode

from dlm_length.common import SpecialTokens
from dlm_length.engine.attention import ATTENTIONS
from dlm_length.models import (
    CheckpointError,
    MaskPredictor,
    experts,
    llada2,
    load_architecture,
    load_model,
    load_tokenizer,
)
from dlm_length.models.experts import FixedRowsRouter, RaggedExperts
from dlm_length.models.fused import FusedBackbone

FAMILIES = [
    "a2d_qwen2_mdlm",
    "a2d_qwen3_bd3lm",
    "a2d_qwen3_mdlm",
    "a2d_qwen3_untied",
    "dream",
    "illada",
    "llada2_mini",
    "llada_moe",
    "sdar",
]
PROMPTED = [family for family in FAMILIES if (FOLDER / family / "cases.jsonl").exists()]
TOKENS = {
    "a2d_qwen2_mdlm": SpecialTokens(mask=630, eos=610, eot=608),
    "a2d_qwen3_bd3lm": SpecialTokens(mask=634, eos=610, eot=608),
    "a2d_qwen3_mdlm": SpecialTokens(mask=634, eos=610, eot=608),
    "a2d_qwen3_untied": SpecialTokens(mask=634, eos=610, eot=608),
    "dream": SpecialTokens(mask=623, eos=600, eot=602),
    "illada": SpecialTokens(mask=5, eos=2, eot=None),
    "llada2_mini": SpecialTokens(mask=604, eos=601, eot=607),
    "llada_moe": SpecialTokens(mask=604, eos=601, eot=607),
    "sdar": SpecialTokens(mask=634, eos=608, eot=610),
}
Refusal = Callable[..., str]
Logits = Callable[[MaskPredictor, Any], torch.Tensor]


def checkpoint(family: str) -> Path:
    return FOLDER / family / "checkpoint"


def loaded(family: str, **how: Any) -> MaskPredictor:
    return load_model(str(checkpoint(family)), device="cpu", **how)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_equal_the_reference_implementations(family: str) -> None:
    model, stored = loaded(family), load_file(FOLDER / family / "logits.safetensors")
    for k in range(3):
        ids = stored[f"ids_{k}"].long()
        attend = ATTENTIONS["grouped"]([len(ids)], model.device)
        found = model.logits(model.hidden(ids, torch.arange(len(ids)), attend))
        torch.testing.assert_close(found, stored[f"logits_{k}"], atol=2e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_number_of_a_checkpoint_is_a_parameter_of_its_architecture(family: str) -> None:
    model = loaded(family)
    held = sum(parameter.numel() for parameter in model.backbone.parameters())
    assert model.architecture.parameters == held
    assert load_architecture(str(checkpoint(family))) == model.architecture


@pytest.mark.parametrize("family", FAMILIES)
def test_special_tokens_are_found_wherever_they_are_declared(family: str) -> None:
    assert loaded(family).tokens == TOKENS[family]


@pytest.mark.parametrize("family", PROMPTED)
def test_prompts_equal_the_reference_tokenizers(family: str) -> None:
    tokenizer = load_tokenizer(str(checkpoint(family)))
    for case in cases(family):
        text = tokenizer.chat_text([(turn["role"], turn["content"]) for turn in case["messages"]])
        assert text == case["prompt_text"]
        assert tokenizer.encode(text, templated=True) == case["prompt_ids"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("length", [1, 40])
def test_flops_are_those_that_torch_counts(
    monkeypatch: pytest.MonkeyPatch, attend: Any, family: str, length: int
) -> None:
    """Only experts that are used count; rows that pad a product are left out, as is usual."""
    monkeypatch.setattr(experts, "LEAST_ROWS", 1)
    model = loaded(family)
    ids, positions = torch.arange(length), torch.arange(length)
    with FlopCounterMode(display=False) as counter:
        model.hidden(ids, positions, attend)
    modules = counter.get_flop_counts()
    rotary = sum(sum(by.values()) for name, by in modules.items() if name.endswith("rotary_emb"))
    assert counter.get_total_flops() - rotary == model.architecture.forward_flops(length)


def test_a_position_is_predicted_by_the_one_before_where_logits_are_shifted() -> None:
    positions = torch.arange(4).numpy()
    assert loaded("dream").predicting(positions).tolist() == [0, 0, 1, 2]
    assert loaded("illada").predicting(positions).tolist() == [0, 1, 2, 3]


def test_head_rows_that_the_tokenizer_does_not_know_are_skipped_in_text() -> None:
    tokenizer = load_tokenizer(str(checkpoint("dream")))
    words = tokenizer.encode("two words", templated=True)
    assert tokenizer.decode([*words, 700, 703]) == "two words"


def test_dream_keeps_to_the_context_it_was_trained_with() -> None:
    assert json.loads((checkpoint("dream") / "config.json").read_text())["max_position_embeddings"] == 131072
    assert loaded("dream").architecture.max_length == 2048


def test_thinking_is_off_where_the_authors_have_it_off() -> None:
    assert load_tokenizer(str(checkpoint("a2d_qwen3_mdlm"))).chat_text([("user", "one")]).endswith("</think>\n\n")


@pytest.mark.parametrize(
    ("family", "switch", "value"),
    [
        ("dream", "use_sliding_window", True),
        ("dream", "rope_scaling", {"rope_type": "yarn", "factor": 4.0}),
        ("dream", "full_attn_mask", False),
        ("dream", "hidden_act", "gelu"),
        ("dream", "quantization_config", {"quant_method": "gptq"}),
        ("dream", "head_dim", 32),
        ("illada", "layer_norm_eps", 1e-5),
        ("illada", "attention_bias", True),
        ("illada", "mlp_bias", True),
        ("a2d_qwen3_mdlm", "attention_bias", True),
        ("a2d_qwen2_mdlm", "layer_types", ["full_attention", "sliding_attention", "full_attention"]),
        ("a2d_qwen2_mdlm", "rope_parameters", {"rope_type": "yarn", "factor": 4.0}),
        ("llada_moe", "shared_expert_intermediate_size", 96),
        ("llada_moe", "moe_router_enable_expert_bias", True),
        ("llada_moe", "norm_topk_prob", True),
        ("llada_moe", "clip_qkv", 8.0),
        ("llada_moe", "partial_rotary_factor", 0.5),
        ("llada_moe", "qk_layernorm", False),
        ("llada_moe", "qk_layernorm", None),
        ("llada_moe", "moe_layer_freq", [1, 1, 1]),
        ("llada2_mini", "use_bias", True),
        ("llada2_mini", "norm_head", True),
        ("llada2_mini", "score_function", "softmax"),
        ("llada2_mini", "router_dtype", "bf16"),
        ("llada2_mini", "topk_group", 5),
        ("llada2_mini", "partial_rotary_factor", 1.5),
        ("llada2_mini", "n_group", 16),
    ],
)
def test_a_switch_that_makes_another_network_is_refused_by_name(
    edited: Callable[..., Path], refusal: Refusal, family: str, switch: str, value: object
) -> None:
    message = refusal(edited(family, **{switch: value}))
    assert f"config.json: {switch} is " in message


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("field", ["hidden_size", "num_key_value_heads", "rope_theta", "rms_norm_eps", "vocab_size"])
def test_sizes_are_read_from_the_file_never_assumed(
    edited: Callable[..., Path], refusal: Refusal, family: str, field: str
) -> None:
    assert f"config.json has no field '{field}'" in refusal(edited(family, **{field: ...}))


@pytest.mark.parametrize("family", FAMILIES)
def test_files_that_are_missing_truncated_or_of_another_shape_are_named(
    edited: Callable[..., Path], refusal: Refusal, family: str
) -> None:
    folder = edited(family)
    shard = sorted(folder.glob("*.safetensors"))[-1]
    whole, weights = shard.read_bytes(), load_file(shard)
    name = next(name for name in sorted(weights) if "layers." in name and weights[name].ndim == 2)
    save_file(weights | {name: weights[name][:-1].contiguous()}, shard)
    assert f"1 weight of the wrong shape: {name}" in refusal(folder)
    shard.write_bytes(whole[: len(whole) // 2])
    assert f"{shard.name}: truncated or not safetensors" in refusal(folder)
    shard.unlink()
    assert f"missing: {shard.name}" in (message := refusal(folder)) or "neither model.safetensors nor" in message


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_without_its_tokenizer_or_config_is_refused(
    edited: Callable[..., Path], refusal: Refusal, family: str
) -> None:
    folder = edited(family)
    (folder / ("vocab.json" if family == "dream" else "tokenizer.json")).unlink()
    assert "no tokenizer.json" in refusal(folder)
    (folder / "config.json").unlink()
    assert "no config.json" in refusal(folder)


def test_rope_theta_may_stand_where_newer_transformers_write_it(edited: Callable[..., Path], logits: Logits) -> None:
    ids = list(range(9))
    found = [
        logits(load_model(str(folder), device="cpu"), ids)
        for folder in (
            checkpoint("dream"),
            edited("dream", rope_theta=..., rope_parameters={"rope_type": "default", "rope_theta": 1e6}),
        )
    ]
    assert torch.equal(*found)


def test_experts_distinguish_llada_moe_from_llada(edited: Callable[..., Path]) -> None:
    """Both say `model_type: llada`."""
    for kept in ({"architectures": ...}, {"model_type": "llada_moe"}):
        folder = edited("llada_moe", **kept)
        assert load_architecture(str(folder)).experts == 16
        shutil.rmtree(folder)


def test_a_block_with_one_mlp_among_blocks_of_experts(edited: Callable[..., Path]) -> None:
    sizes = load_architecture(str(edited("llada_moe", moe_layer_freq=[0, 1])))
    assert (sizes.dense_layers, sizes.mlp_width) == (1, 256)
    all_routed = loaded("llada_moe").architecture
    experts_flops = 6 * 96 * 4 * 48 + 2 * 96 * 16
    assert all_routed.forward_flops(1) - sizes.forward_flops(1) == experts_flops - 6 * 96 * 256


@pytest.mark.parametrize("missing", ["mlp.experts.3.up_proj", "mlp.experts.15.down_proj"])
def test_an_expert_that_is_missing_in_part_is_named(
    edited: Callable[..., Path], refusal: Refusal, missing: str
) -> None:
    folder = edited("llada_moe")
    for shard in folder.glob("*.safetensors"):
        weights = load_file(shard)
        kept = {name: weight for name, weight in weights.items() if name != f"model.layers.1.{missing}.weight"}
        save_file(kept, shard)
    stack = "gate_up_proj" if "up" in missing else "down_proj"
    assert f"1 weight missing: layers.1.mlp.experts.{stack}" in refusal(folder)


def test_an_expert_too_many_is_named(edited: Callable[..., Path], refusal: Refusal) -> None:
    folder = edited("llada_moe", num_experts=8)
    assert " of the wrong shape: model.layers.0.mlp.experts." in refusal(folder)
    assert "is of expert 10, expected are 8 experts" in refusal(folder)


def test_a_router_in_16_bits_is_refused(edited: Callable[..., Path], refusal: Refusal) -> None:
    folder = edited("llada2_mini")
    for shard in folder.glob("*.safetensors"):
        weights = load_file(shard)
        save_file({name: w.bfloat16() if name.endswith("expert_bias") else w for name, w in weights.items()}, shard)
    assert "model.layers.1.mlp.gate.expert_bias is bfloat16, expected float32" in refusal(folder)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_router_stays_in_float32(dtype: str) -> None:
    gate = loaded("llada2_mini", dtype=dtype).backbone.get_submodule("layers.1.mlp.gate")
    assert {gate.get_parameter("weight").dtype, gate.get_buffer("e_score_correction_bias").dtype} == {torch.float32}


def test_transformers_whose_groups_of_experts_leak_are_refused(
    monkeypatch: pytest.MonkeyPatch, refusal: Refusal
) -> None:
    assert llada2._TRANSFORMERS == (5, 6)
    monkeypatch.setattr(llada2, "_TRANSFORMERS", (99, 0))
    assert f"needs transformers 99.0 or newer, found {transformers.__version__}" in refusal(checkpoint("llada2_mini"))
    loaded("llada_moe")


def test_a_router_of_one_tensor_gets_fixed_rows_too() -> None:
    """As in Glm4Moe of transformers 5.0, whose block reads the bias of its router."""

    class Router(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("e_score_correction_bias", torch.arange(3.0))

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return rows[:, :3] * 2

    router, rows = FixedRowsRouter(Router()), torch.randn(70, 5)
    torch.testing.assert_close(router(rows), rows[:, :3] * 2)
    assert router.e_score_correction_bias.tolist() == [0, 1, 2]


def test_the_termination_token_can_be_the_end_of_turn(refusal: Refusal) -> None:
    dream = loaded("dream", termination="eot")
    assert dream.tokens == SpecialTokens(mask=623, eos=602, eot=600)
    assert loaded("dream", termination="eos").tokens == TOKENS["dream"]
    assert "model.termination is eot, and the checkpoint has no end-of-turn token" in refusal(
        checkpoint("illada"), termination="eot"
    )
    assert "allowed with a checkpoint of A2DQwen3: eos" in refusal(checkpoint("a2d_qwen3_mdlm"), termination="eot")


def test_a_mask_that_nothing_declares_is_refused(edited: Callable[..., Path], refusal: Refusal) -> None:
    folder = edited("illada")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] != "<[MASK]>"]
    content["model"]["vocab"].pop("<[MASK]>", None)
    (folder / "tokenizer.json").write_text(json.dumps(content))
    assert "no mask token" in refusal(folder)


def test_a_slow_tokenizer_of_another_kind_is_refused(edited: Callable[..., Path]) -> None:
    folder = edited("dream")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"tokenizer_class": "GPT2Tokenizer"}))
    with pytest.raises(CheckpointError, match="tokenizer_class is 'GPT2Tokenizer'"):
        load_tokenizer(str(folder))


@pytest.mark.parametrize("batch_invariant", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_hidden_states_are_equal_to_the_bit_whatever_the_batch(family: str, batch_invariant: bool) -> None:
    """Forwards of 16 tokens or more, as the engine makes them; an expert may get a single token of one."""
    model = loaded(family, batch_invariant=batch_invariant)
    routed = {type(module) for module in model.backbone.modules()}
    assert (RaggedExperts in routed, FixedRowsRouter in routed) == (
        "llada_moe" in family or "llada2" in family,
        ("llada_moe" in family or "llada2" in family) and batch_invariant,
    )
    generator = torch.Generator().manual_seed(0)
    samples = [torch.randint(4, 600, (length,), generator=generator) for length in (37, 16, 80, 300, 21)]

    def states(chosen: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        sizes = [len(ids) for ids in chosen]
        positions = torch.cat([torch.arange(size) for size in sizes])
        return model.hidden(torch.cat(chosen), positions, ATTENTIONS["grouped"](sizes, model.device)).split(sizes)

    together = states(samples)
    for index, sample in enumerate(samples):
        assert torch.equal(states([sample])[0], together[index])
    for first, second in zip(states(samples[:2]), together, strict=False):
        assert torch.equal(first, second)


@pytest.mark.parametrize("family", ["a2d_qwen2_mdlm", "dream", "illada"])
def test_fused_kernels_compute_the_same_network(family: str, logits: Logits) -> None:
    """Qwen2 has biases of query, key and value."""
    model, ids = loaded(family), list(range(40))
    joined = replace(model, fused=FusedBackbone(model.backbone))
    torch.testing.assert_close(logits(joined, ids), logits(model, ids), atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_near(logits: Logits, dtype: str) -> None:
    exact, rounded = (logits(loaded("llada_moe", dtype=each), list(range(30))) for each in ("float32", dtype))
    near = (exact - rounded.float()).abs() < 0.5  # a router at a near-tie chooses another expert
    assert float(near.float().mean()) > 0.75
