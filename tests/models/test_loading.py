"""Loading errors name their cause, and no code of a checkpoint is run."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import dlm_length.models.loading
from dlm_length.common import SpecialTokens
from dlm_length.models import (
    CheckpointError,
    checkpoint_digest,
    choose_device,
    load_architecture,
    load_model,
    load_tokenizer,
)

Write = Callable[..., Path]
Refusal = Callable[..., str]
WTE, FF_OUT = "model.transformer.wte.weight", "model.transformer.ff_out.weight"
UP = "model.transformer.blocks.1.up_proj.weight"


def test_a_missing_weight_is_named(write_checkpoint: Write, refusal: Refusal) -> None:
    message = refusal(write_checkpoint(edit=lambda weights: weights.pop(UP)))
    assert "1 weight missing: layers.1.mlp.up_proj.weight." in message
    assert "unexpected" not in message


@pytest.mark.parametrize(
    "name", ["model.transformer.wpe.weight", "model.transformer.blocks.0.q_proj.bias", "lm_head.weight"]
)
def test_an_unexpected_weight_is_named(write_checkpoint: Write, refusal: Refusal, name: str) -> None:
    def add(weights: dict[str, Tensor]) -> None:
        weights[name] = torch.ones(3)

    assert f"1 weight unexpected: {name}." in refusal(write_checkpoint(edit=add))


def test_a_head_next_to_tied_weights_is_the_embedding_or_refused(write_checkpoint: Write, refusal: Refusal) -> None:
    def add(weights: dict[str, Tensor]) -> None:
        weights[FF_OUT] = weights[WTE].clone()

    def add_another(weights: dict[str, Tensor]) -> None:
        weights[FF_OUT] = weights[WTE] + 1.0

    tied = {"weight_tying": True}
    assert load_model(str(write_checkpoint(config=tied, edit=add)), device="cpu").architecture.tied
    message = refusal(write_checkpoint(config=tied, edit=add_another))
    assert f"{FF_OUT} differs from {WTE}, though config.json ties the two." in message


@pytest.mark.parametrize(
    "name",
    [
        "model.transformer.position_ids",
        "model.transformer.blocks.0.attention_mask",
        "model.transformer.blocks.1.masked_bias",
    ],
)
def test_buffers_that_follow_from_the_config_are_ignored(write_checkpoint: Write, name: str) -> None:
    def add(weights: dict[str, Tensor]) -> None:
        weights[name] = torch.ones(3)

    assert load_model(str(write_checkpoint(edit=add)), device="cpu").architecture.layers == 2


def test_stored_rotary_frequencies_must_be_those_of_the_config(write_checkpoint: Write, refusal: Refusal) -> None:
    name = "model.transformer.blocks.0.rotary_emb.inv_freq"

    def add(weights: dict[str, Tensor], base: float = 10_000.0) -> None:
        weights[name] = (base ** -(torch.arange(0, 8, 2) / 8)).to(torch.bfloat16)

    assert load_model(str(write_checkpoint(edit=add)), device="cpu").architecture.head_size == 8
    message = refusal(write_checkpoint(edit=lambda weights: add(weights, base=500_000.0)))
    assert f"1 weight unexpected: {name}." in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.to(torch.int32), "is int32, supported are float32, bfloat16, float16 or float64"),
        (lambda w: w.to(torch.bool), "is bool, supported are"),
        (lambda w: w.to(torch.float8_e4m3fn), "is float8_e4m3fn, supported are"),
        (lambda w: w.index_fill(0, torch.tensor([1]), float("nan")), "holds NaN or infinity"),
        (lambda w: w.index_fill(1, torch.tensor([0]), float("-inf")), "holds NaN or infinity"),
    ],
)
def test_weights_that_are_not_finite_are_named(
    write_checkpoint: Write, refusal: Refusal, change: Callable[[Tensor], Tensor], message: str
) -> None:
    def edit(weights: dict[str, Tensor]) -> None:
        weights[UP] = change(weights[UP])

    sentence = refusal(write_checkpoint(edit=edit))
    assert f"1 weight that cannot be used: {UP} {message}" in sentence
    assert "missing" not in sentence
    assert "try" not in sentence


def test_weights_that_a_dtype_cannot_hold_name_one_that_can(write_checkpoint: Write, refusal: Refusal) -> None:
    def edit(weights: dict[str, Tensor]) -> None:
        weights[UP] = weights[UP] * 1e9

    folder = write_checkpoint(edit=edit)
    message = refusal(folder, dtype="float16")
    assert f"{UP} has numbers that float16 cannot hold; choose hardware.dtype=float32" in message
    assert load_model(str(folder), device="cpu", dtype="float32").dtype == torch.float32


@pytest.mark.parametrize(
    "name", ["../model.safetensors", "/etc/passwd", "a/../../b.safetensors", "config.json", "", ".", "a" * 5_000]
)
def test_an_index_names_only_safetensors_files_of_its_own_folder(
    write_checkpoint: Write, refusal: Refusal, name: str
) -> None:
    folder = write_checkpoint(shards=2)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    message = refusal(folder)
    assert "allowed are safetensors files in the checkpoint's own folder" in message
    assert len(message) < 400


def test_an_index_with_a_name_that_no_file_can_have(write_checkpoint: Write, refusal: Refusal) -> None:
    folder = write_checkpoint(shards=2)
    for name in ("\0.safetensors", "a" * 5_000 + ".safetensors"):
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
        assert "1 of 1 shard missing" in refusal(folder)


def test_more_layers_than_there_are_weights_are_refused_before_they_are_built(
    write_checkpoint: Write, refusal: Refusal
) -> None:
    message = refusal(with_fields(write_checkpoint(), n_layers=1_000_000))
    assert "config.json says 1,000,000 layers, the weight files hold 21 tensors" in message


@pytest.mark.parametrize("field", ["d_model", "mlp_hidden_size", "embedding_size"])
def test_sizes_beyond_all_memory_are_refused_before_anything_is_allocated(
    write_checkpoint: Write, refusal: Refusal, field: str
) -> None:
    message = refusal(with_fields(write_checkpoint(), **{field: 2_000_000_000}), dtype="bfloat16")
    assert "GiB of weights in bfloat16, and cpu has" in message
    assert "GiB of memory. Are config.json's sizes right?" in message


def with_fields(folder: Path, **fields: object) -> Path:
    """The folder with other fields in its config.json, its weights as they are."""
    config = json.loads((folder / "config.json").read_text()) | fields
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_misshapen_weight_is_named_with_both_shapes(write_checkpoint: Write, refusal: Refusal) -> None:
    def transpose(weights: dict[str, Tensor]) -> None:
        weights[UP] = weights[UP].T.contiguous()

    assert f"1 weight of the wrong shape: {UP} is (32, 48), expected (48, 32)." in refusal(
        write_checkpoint(edit=transpose)
    )


def test_weights_of_another_model_are_counted_and_the_first_five_named(
    write_checkpoint: Write, refusal: Refusal
) -> None:
    def rename(weights: dict[str, Tensor]) -> None:
        for number, name in enumerate(sorted(weights)):
            weights[f"decoder.{number:02}"] = weights.pop(name)

    message = refusal(write_checkpoint(edit=rename))
    assert "21 weights missing: " in message
    assert "21 weights unexpected: decoder.00, decoder.01, decoder.02, decoder.03, decoder.04 and 16 more" in message


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_named_with_its_size(write_checkpoint: Write, refusal: Refusal, share: float) -> None:
    file = write_checkpoint() / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    assert f"{file}: truncated or not safetensors ({int(share * len(content))} bytes;" in refusal(file.parent)


def test_a_truncated_shard_is_named(write_checkpoint: Write, refusal: Refusal) -> None:
    file = write_checkpoint(shards=3) / "model-00002-of-00003.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    assert f"{file}: truncated" in refusal(file.parent)


def test_missing_shards_are_named(write_checkpoint: Write, refusal: Refusal) -> None:
    folder = write_checkpoint(shards=3)
    (folder / "model-00002-of-00003.safetensors").unlink()
    assert "1 of 3 shards missing: model-00002-of-00003.safetensors." in refusal(folder)


def test_a_shard_without_the_weight_that_the_index_promises_is_a_missing_weight(
    write_checkpoint: Write, refusal: Refusal
) -> None:
    folder, other = write_checkpoint(shards=2), write_checkpoint(shards=2)
    shutil.copy(other / "model-00001-of-00002.safetensors", folder / "model-00002-of-00002.safetensors")
    assert "weights missing: " in refusal(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not JSON"),
        ("[]", "expected a JSON object, found a list"),
        ("\xff", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("{}", "not a safetensors index"),
        ('{"weight_map": []}', "not a safetensors index"),
        ('{"weight_map": {"a": 3}}', "not a safetensors index"),
        ('{"weight_map": {"a": null}}', "not a safetensors index"),
    ],
)
def test_a_broken_index_is_named(write_checkpoint: Write, refusal: Refusal, text: str, message: str) -> None:
    index = write_checkpoint(shards=2) / "model.safetensors.index.json"
    index.write_bytes(text.encode("latin-1"))
    sentence = refusal(index.parent)
    assert str(index) in sentence
    assert message in sentence


def test_a_folder_without_weights_says_what_is_there(write_checkpoint: Write, refusal: Refusal) -> None:
    folder = write_checkpoint()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    message = refusal(folder)
    assert "neither model.safetensors nor model.safetensors.index.json is there" in message
    assert "pytorch_model.bin" in message


def test_a_folder_without_config_is_not_a_checkpoint(tmp_path: Path, refusal: Refusal) -> None:
    assert f"{tmp_path}: no config.json; is it the folder of a checkpoint?" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "expected a JSON object, found a list"),
        ("null", "expected a JSON object, found null"),
        ('{"a":' * 50_000, "not usable JSON (nested too deeply)"),
        ('{"n_layers": ' + "9" * 5_000 + "}", "not JSON"),
    ],
)
def test_a_config_json_that_is_not_an_object_is_refused(
    write_checkpoint: Write, refusal: Refusal, text: str, message: str
) -> None:
    file = write_checkpoint() / "config.json"
    file.write_text(text)
    assert f"{file}: {message}" in refusal(file.parent)


@pytest.mark.parametrize("found", ["llama", "dream", None, ...])  # Dream's has a capital
def test_another_model_type_is_refused(write_checkpoint: Write, refusal: Refusal, found: object) -> None:
    shown = None if found is ... else found
    message = refusal(write_checkpoint(config={"model_type": found}))
    assert f"model_type {shown!r} is not supported; supported are A2DQwen2, A2DQwen3, Dream, " in message


@pytest.mark.parametrize(
    ("switch", "value"),
    [
        ("alibi", True),
        ("rope", False),
        ("rope", None),
        ("block_type", "sequential"),
        ("activation_type", "gelu"),
        ("layer_norm_type", "default"),
        ("include_bias", True),
        ("include_qkv_bias", True),
        ("attention_layer_norm", True),
        ("input_emb_norm", True),
        ("scale_logits", True),
        ("clip_qkv", 8.0),
        ("rope_full_precision", False),
        ("layer_norm_with_affine", False),
    ],
)
def test_a_switch_that_makes_another_network_is_refused(
    write_checkpoint: Write, refusal: Refusal, switch: str, value: object
) -> None:
    """If ignored, each of these would load and give other logits than the checkpoint's own code."""
    assert f"config.json: {switch} is {value!r}, supported is " in refusal(write_checkpoint(config={switch: value}))


def test_switches_may_be_left_out_or_null_where_that_means_off(write_checkpoint: Write) -> None:
    folder = write_checkpoint(config={"alibi": None, "scale_logits": ..., "rope": ..., "clip_qkv": None})
    assert load_architecture(str(folder)).layers == 2


@pytest.mark.parametrize(
    "field",
    ["d_model", "n_heads", "n_layers", "mlp_hidden_size", "max_sequence_length", "rope_theta"],
)
def test_a_missing_config_field_is_named(write_checkpoint: Write, refusal: Refusal, field: str) -> None:
    folder = write_checkpoint()
    fields = json.loads((folder / "config.json").read_text())
    del fields[field]
    (folder / "config.json").write_text(json.dumps(fields))
    assert f"{folder}: config.json has no field '{field}'." in refusal(folder)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("max_sequence_length", "long", "max_sequence_length is 'long'; allowed: an integer from 1 to 2147483647."),
        ("n_layers", 0, "n_layers is 0; allowed: an integer from 1 to"),
        ("n_layers", True, "n_layers is True; allowed: an integer"),
        ("n_layers", 2.0, "n_layers is 2.0; allowed: an integer"),
        ("d_model", "32", "d_model is '32', a number in quotes; allowed: an integer"),
        ("d_model", 8_000_000_000_000, "d_model is 8000000000000; allowed: an integer from 1 to 2147483647."),
        ("d_model", 36, "d_model 36 / n_heads 4 gives an odd head size, 9; RoPE needs even"),
        ("weight_tying", "false", "weight_tying is 'false'; allowed: true or false, without quotes."),
        ("weight_tying", 0, "weight_tying is 0; allowed: true or false"),
        ("rope_theta", "x", "rope_theta is 'x'; allowed: a finite number above 0."),
        ("rope_theta", float("nan"), "rope_theta is nan; allowed: a finite number above 0."),
        ("rope_theta", float("inf"), "rope_theta is inf; allowed: a finite number above 0."),
        ("rms_norm_eps", -1e-5, "rms_norm_eps is -1e-05; allowed: a finite number above 0."),
        ("rope_scaling", {"type": "linear", "factor": 2.0}, "rope_scaling is {'type': 'linear', 'factor': 2.0}, supp"),
        ("rope_scaling", "yarn", "rope_scaling is 'yarn', supported is null"),
        ("block_type", "x" * 5_000, "supported is 'llama'"),
        ("n_heads", 5, "d_model 32 is not a multiple of n_heads 5"),
        ("n_kv_heads", 3, "n_heads 4 is not a multiple of n_kv_heads 3"),
        ("n_heads", "4", "n_heads is '4', a number in quotes; allowed: an integer"),
        ("n_heads", 0, "n_heads is 0; allowed: an integer from 1 to"),
        ("n_kv_heads", 0, "n_kv_heads is 0; allowed: an integer from 1 to"),
    ],
)
def test_sizes_that_make_no_network(
    write_checkpoint: Write, refusal: Refusal, field: str, value: object, message: str
) -> None:
    sentence = refusal(with_fields(write_checkpoint(), **{field: value}))
    assert message in sentence
    assert len(sentence) < 400


@pytest.mark.parametrize("value", [None, {"rope_type": "default"}, {"type": "default"}])
def test_positions_that_are_not_scaled_may_say_so(write_checkpoint: Write, value: object) -> None:
    assert load_architecture(str(write_checkpoint(config={"rope_scaling": value}))).layers == 2


def test_an_eps_that_is_absent_is_the_familys_default(write_checkpoint: Write) -> None:
    model = load_model(str(write_checkpoint(config={"rms_norm_eps": ...})), device="cpu")
    assert model.backbone.config.rms_norm_eps == 1e-5


@pytest.mark.parametrize(("field", "token"), [("mask_token", "mask"), ("eos_token", "EOS")])
def test_a_checkpoint_without_its_special_token_is_refused(
    write_checkpoint: Write, refusal: Refusal, field: str, token: str
) -> None:
    folder = write_checkpoint(config={f"{field}_id": ...}, tokenizer_config={field: ...})
    assert f"no {token} token ({field}_id in config.json" in refusal(folder)


@pytest.mark.parametrize("value", [-1, 768, "0", True, [], ["1"], [1, 2, 3]])
@pytest.mark.parametrize(("field", "token"), [("mask_token_id", "mask"), ("eos_token_id", "EOS")])
def test_a_special_token_outside_the_vocabulary_is_refused(
    write_checkpoint: Write, refusal: Refusal, field: str, token: str, value: object
) -> None:
    message = refusal(write_checkpoint(config={field: value}))
    assert f"the {token} token is {value!r}, expected an id of the vocabulary, 0 to 767." in message


def with_token(folder: Path, token: str) -> Path:
    """The folder's tokenizer with one more special token, after the other 768."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.add_special_tokens([token]) == 1
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def tokens(folder: Path) -> SpecialTokens:
    return load_model(str(folder), device="cpu").tokens


def test_special_tokens_are_the_checkpoints(write_checkpoint: Write) -> None:
    assert tokens(write_checkpoint()) == SpecialTokens(mask=0, eos=1, eot=None)
    assert tokens(write_checkpoint(config={"mask_token_id": 5, "eos_token_id": 7})) == SpecialTokens(5, 7)
    # Where config.json does not say, the tokenizer does.
    assert tokens(write_checkpoint(config={"mask_token_id": ..., "eos_token_id": ...})) == SpecialTokens(0, 1)
    folder = with_token(write_checkpoint(config={"embedding_size": 832}), "<|eot_id|>")
    assert tokens(folder) == SpecialTokens(mask=0, eos=1, eot=768)
    # A list of ends: EOS is the one that the tokenizer declares, in whatever order.
    assert tokens(write_checkpoint(config={"eos_token_id": [7]})) == SpecialTokens(0, 7)
    assert tokens(write_checkpoint(config={"eos_token_id": [7, 1]})) == SpecialTokens(0, 1, 7)
    assert tokens(write_checkpoint(config={"eos_token_id": [1, 1, 7]})) == SpecialTokens(0, 1, 7)
    both = with_token(write_checkpoint(config={"embedding_size": 832, "eos_token_id": [768, 1]}), "<|eot_id|>")
    assert tokens(both) == SpecialTokens(mask=0, eos=1, eot=768)
    assert tokens(folder).ends == (1, 768)


def test_an_end_that_is_the_mask_is_refused(write_checkpoint: Write, refusal: Refusal) -> None:
    message = refusal(write_checkpoint(config={"mask_token_id": 1}))
    assert "the mask token and the EOS token are both 1" in message
    message = refusal(write_checkpoint(config={"eos_token_id": [1, 0]}))
    assert "the mask token and the end-of-turn token are both 0" in message


def test_a_third_end_is_refused(write_checkpoint: Write, refusal: Refusal) -> None:
    folder = with_token(write_checkpoint(config={"embedding_size": 832, "eos_token_id": [1, 7]}), "<|eot_id|>")
    assert "eos_token_id is [1, 7]; supported are one EOS token and the end-of-turn token 768." in refusal(folder)


def test_an_end_of_turn_that_is_eos_counts_once(write_checkpoint: Write) -> None:
    folder = with_token(write_checkpoint(config={"embedding_size": 832, "eos_token_id": 768}), "<|eot_id|>")
    assert tokens(folder) == SpecialTokens(mask=0, eos=768, eot=None)
    assert tokens(folder).ends == (768,)


def test_an_end_of_turn_without_a_row_in_the_head_is_refused(write_checkpoint: Write, refusal: Refusal) -> None:
    assert "the end-of-turn token is 768" in refusal(with_token(write_checkpoint(), "<|eot_id|>"))


def test_no_tokenizer(write_checkpoint: Write, refusal: Refusal) -> None:
    folder = write_checkpoint()
    (folder / "tokenizer.json").unlink()
    message = refusal(folder)
    assert f"{folder}: no tokenizer.json; slow tokenizers are supported where vocab.json and merges.txt are" in message
    assert "nor is there vocab.json or merges.txt" in message


def test_a_broken_tokenizer(write_checkpoint: Write, refusal: Refusal) -> None:
    folder = write_checkpoint()
    (folder / "tokenizer.json").write_text("{}")
    assert f"{folder}: tokenizer cannot be read" in refusal(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
def test_a_tokenizers_file_that_is_not_an_object_is_named(write_checkpoint: Write, refusal: Refusal, name: str) -> None:
    file = write_checkpoint() / name
    for content, message in (("null", "found null"), ("[]", "found a list"), ("[" * 100_000, "nested too deeply")):
        file.write_text(content)
        assert f"checkpoint {file}: " in refusal(file.parent)
        assert message in refusal(file.parent)
    file.unlink()
    file.mkdir()
    assert f"checkpoint {file}: cannot be read (Is a directory)." in refusal(file.parent)


def test_a_folder_in_the_place_of_config(write_checkpoint: Write, refusal: Refusal) -> None:
    file = write_checkpoint() / "config.json"
    file.unlink()
    file.mkdir()
    assert f"checkpoint {file}: cannot be read (Is a directory)." in refusal(file.parent)


def test_a_path_that_no_folder_can_have(refusal: Refusal) -> None:
    message = refusal("a" * 5_000)
    assert "no such folder, and not a hub id" in message
    assert len(message) < 400


def test_an_unknown_embedded_name_is_answered_with_the_nearest(refusal: Refusal) -> None:
    message = refusal("embedded:lada-tiny")
    assert "embedded:lada-tiny: the package ships llada-mini or llada-tiny. Did you mean 'llada-tiny'?" in message
    assert "Did you mean" not in refusal("embedded:zzz")


@pytest.mark.parametrize("path", ["nowhere", "./owner/name", "/no/where", "~/no/where", "a/b/c"])
def test_what_is_neither_a_folder_nor_a_hub_id(refusal: Refusal, path: str) -> None:
    assert f"checkpoint {path!r}: no such folder, and not a hub id (owner/name)." in refusal(path)


def test_a_home_folder_is_expanded(write_checkpoint: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_checkpoint()
    monkeypatch.setenv("HOME", str(folder.parent))
    assert load_architecture(f"~/{folder.name}").layers == 2


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., str]], None]:
    """Replaces the hub's download by a function."""

    def hub(answer: Callable[..., str]) -> None:
        monkeypatch.setattr("huggingface_hub.snapshot_download", answer)

    return hub


def test_an_unreachable_hub_says_what_to_do(hub: Callable[..., None], refusal: Refusal) -> None:
    def fail(*_: object, **__: object) -> str:
        raise ConnectionError("Name or service not known\nand a long story")

    hub(fail)
    message = refusal("GSAI-ML/LLaDA-8B-Base")
    assert "checkpoint 'GSAI-ML/LLaDA-8B-Base': not a folder here, and the hub did not give it" in message
    assert "(ConnectionError: Name or service not known). Download it where there is a network" in message


def test_only_data_of_that_revision_are_requested_from_the_hub(
    hub: Callable[..., None], write_checkpoint: Write
) -> None:
    folder, calls = write_checkpoint(), list[dict[str, Any]]()

    def answer(name: str, **how: Any) -> str:
        calls.append({"name": name, **how})
        return str(folder)

    hub(answer)
    assert load_model("owner/name", device="cpu", revision="abc").name == "owner/name"
    load_architecture("owner/name", "abc")
    load_tokenizer("owner/name", "abc")
    assert [(call["name"], call["revision"]) for call in calls] == [("owner/name", "abc")] * 3
    whole, *small = ({Path(pattern).suffix for pattern in call["allow_patterns"]} for call in calls)
    assert ".safetensors" in whole
    assert not any(".safetensors" in patterns for patterns in small), "planning fetches no weights"
    assert not whole & {".py", ".bin", ".pt", ".pkl"}, "what could run code is not even fetched"


def test_a_folder_comes_before_the_hub(
    hub: Callable[..., None], write_checkpoint: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(lambda *_, **__: pytest.fail("the hub was used"))
    folder = write_checkpoint()
    monkeypatch.chdir(folder.parent.parent)
    assert load_architecture(f"{folder.parent.name}/{folder.name}").layers == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
def test_cuda_on_a_machine_without_it(refusal: Refusal, device: str) -> None:
    message = refusal("embedded:llada-tiny", device=device)
    assert f"device '{device}': this machine has no CUDA device; choose hardware=cpu." in message
    assert choose_device("auto") == torch.device("cpu")


def test_cuda_devices_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(CheckpointError, match="device 'cuda:2': this machine has 2 CUDA devices"):
        choose_device("cuda:2")


@pytest.mark.parametrize("device", ["gpu", "mps", "meta", "", "cuda:x"])
def test_an_unknown_device(device: str) -> None:
    with pytest.raises(CheckpointError, match="not one of cpu, cuda, cuda:N or auto"):
        choose_device(device)


@pytest.mark.parametrize("dtype", ["int8", "float64", "fp16"])
def test_an_unknown_dtype(refusal: Refusal, dtype: str) -> None:
    message = refusal("embedded:llada-tiny", dtype=dtype)
    assert message == f"dtype {dtype!r} is not supported; there are float32, bfloat16, float16 or auto."


def test_no_code_of_the_checkpoint_is_run(write_checkpoint: Write, tmp_path: Path) -> None:
    """A checkpoint in the form of the released ones: with modelling code that its config points to."""
    ran = tmp_path / "ran"
    auto_map = {
        "AutoConfig": "configuration_llada.LLaDAConfig",
        "AutoModel": "modeling_llada.LLaDAModelLM",
        "AutoModelForCausalLM": "modeling_llada.LLaDAModelLM",
        "AutoTokenizer": ["tokenization_llada.LLaDATokenizer", "tokenization_llada.LLaDATokenizer"],
    }
    folder = write_checkpoint(
        config={"auto_map": auto_map},
        tokenizer_config={"auto_map": auto_map, "tokenizer_class": "LLaDATokenizer", "trust_remote_code": True},
    )
    for module in ("configuration_llada", "modeling_llada", "tokenization_llada", "__init__"):
        (folder / f"{module}.py").write_text(f"open({str(ran)!r}, 'w').close()\nraise SystemExit('malicious')\n")
    model = load_model(str(folder), device="cpu")
    assert model.tokenizer.decode(model.tokenizer.encode("a word", templated=True)) == "a word"
    assert not ran.exists()
    assert not any("modeling_llada" in name or "tokenization_llada" in name for name in sys.modules)


def test_no_code_of_the_models_package_trusts_remote_code() -> None:
    package = Path(dlm_length.models.loading.__file__).parent
    assert not any("trust_remote_code=True" in file.read_text() for file in package.rglob("*.py"))


def test_a_digest_distinguishes_checkpoints_by_content(write_checkpoint: Write) -> None:
    folders = [
        write_checkpoint(),
        write_checkpoint(seed=1),
        write_checkpoint(shards=2),
        write_checkpoint(config={"rope_theta": 20000.0}),
        with_token(write_checkpoint(), "<|more|>"),
    ]
    digests = {checkpoint_digest(str(folder)) for folder in folders}
    assert len(digests) == len(folders)
    assert all(len(digest) == 16 for digest in digests)
    assert checkpoint_digest(str(write_checkpoint())) in digests, "the same content elsewhere is the same checkpoint"


def test_products_in_float32_are_in_float32(write_checkpoint: Write):
    """NVIDIA's containers preset TF32, by an environment variable that torch reads at its start."""
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        load_model(str(write_checkpoint()), device="cpu")
        assert torch.get_float32_matmul_precision() == "highest"
    finally:
        torch.set_float32_matmul_precision(before)
