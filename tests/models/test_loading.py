"""What is refused, and that the message names it; what is never run."""

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
    told = refusal(write_checkpoint(edit=lambda weights: weights.pop(UP)))
    assert "1 weights missing: layers.1.mlp.up_proj.weight." in told
    assert "unexpected" not in told


@pytest.mark.parametrize(
    "name", ["model.transformer.wpe.weight", "model.transformer.blocks.0.q_proj.bias", "lm_head.weight"]
)
def test_an_unexpected_weight_is_named(write_checkpoint: Write, refusal: Refusal, name: str) -> None:
    def add(weights: dict[str, Tensor]) -> None:
        weights[name] = torch.ones(3)

    assert f"1 weights unexpected: {name}." in refusal(write_checkpoint(edit=add))


def test_a_head_beside_tied_weights_is_unexpected(write_checkpoint: Write, refusal: Refusal) -> None:
    def add(weights: dict[str, Tensor]) -> None:
        weights[FF_OUT] = weights[WTE].clone()

    assert f"unexpected: {FF_OUT}." in refusal(write_checkpoint(config={"weight_tying": True}, edit=add))


def test_a_misshapen_weight_is_named_with_both_shapes(write_checkpoint: Write, refusal: Refusal) -> None:
    def transpose(weights: dict[str, Tensor]) -> None:
        weights[UP] = weights[UP].T.contiguous()

    assert f"1 weights of the wrong shape: {UP} is (32, 48), expected (48, 32)." in refusal(
        write_checkpoint(edit=transpose)
    )


def test_weights_of_another_model_are_counted_and_the_first_five_named(
    write_checkpoint: Write, refusal: Refusal
) -> None:
    def rename(weights: dict[str, Tensor]) -> None:
        for number, name in enumerate(sorted(weights)):
            weights[f"decoder.{number:02}"] = weights.pop(name)

    told = refusal(write_checkpoint(edit=rename))
    assert "21 weights missing: " in told
    assert "21 weights unexpected: decoder.00, decoder.01, decoder.02, decoder.03, decoder.04 and 16 more" in told


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
    "text", ["[", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 3}}', '{"weight_map": {"a": null}}', "\xff"]
)
def test_a_broken_index_is_named(write_checkpoint: Write, refusal: Refusal, text: str) -> None:
    index = write_checkpoint(shards=2) / "model.safetensors.index.json"
    index.write_bytes(text.encode("latin-1"))
    assert f"{index}: not a safetensors index" in refusal(index.parent)


def test_a_folder_without_weights_says_what_is_there(write_checkpoint: Write, refusal: Refusal) -> None:
    folder = write_checkpoint()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    told = refusal(folder)
    assert "neither model.safetensors nor model.safetensors.index.json is there" in told
    assert "pytorch_model.bin" in told


def test_a_folder_without_config_is_no_checkpoint(tmp_path: Path, refusal: Refusal) -> None:
    assert f"{tmp_path}: no config.json; is it a checkpoint's folder?" in refusal(tmp_path)


@pytest.mark.parametrize(("text", "told"), [("{", "not JSON"), ("[]", "expected a JSON object, found a list")])
def test_a_config_that_is_none(write_checkpoint: Write, refusal: Refusal, text: str, told: str) -> None:
    file = write_checkpoint() / "config.json"
    file.write_text(text)
    assert f"{file}: {told}" in refusal(file.parent)


@pytest.mark.parametrize("found", ["llama", "dream", None, ...])
def test_another_model_type_is_refused(write_checkpoint: Write, refusal: Refusal, found: object) -> None:
    shown = None if found is ... else found
    assert f"model_type {shown!r} is not supported; LLaDA is." in refusal(
        write_checkpoint(config={"model_type": found})
    )


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
    """Left unseen, each of these would load and give other logits than the checkpoint's own code."""
    assert f"config.json: {switch} is {value!r}, supported is " in refusal(write_checkpoint(config={switch: value}))


def test_switches_may_be_left_out_or_null_where_that_means_off(write_checkpoint: Write) -> None:
    folder = write_checkpoint(config={"alibi": None, "scale_logits": ..., "rope": ..., "clip_qkv": None})
    assert load_architecture(str(folder)).layers == 2


@pytest.mark.parametrize(
    "field",
    ["d_model", "n_heads", "n_layers", "mlp_hidden_size", "max_sequence_length", "rms_norm_eps", "rope_theta"],
)
def test_a_missing_config_field_is_named(write_checkpoint: Write, refusal: Refusal, field: str) -> None:
    folder = write_checkpoint()
    fields = json.loads((folder / "config.json").read_text())
    del fields[field]
    (folder / "config.json").write_text(json.dumps(fields))
    assert f"{folder}: config.json has no field '{field}'." in refusal(folder)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("max_sequence_length", "long", "max_length: Input should be a valid integer, found 'long'"),
        ("n_layers", 0, "layers: Input should be greater than 0, found 0"),
        ("n_heads", 5, "d_model 32 is no multiple of n_heads 5"),
        ("n_kv_heads", 3, "n_heads 4 is no multiple of n_kv_heads 3"),
        ("n_heads", "4", "config.json: "),
        ("n_heads", 0, "config.json: "),
    ],
)
def test_sizes_that_make_no_network(
    write_checkpoint: Write, refusal: Refusal, field: str, value: object, told: str
) -> None:
    folder = write_checkpoint()
    fields = json.loads((folder / "config.json").read_text()) | {field: value}
    (folder / "config.json").write_text(json.dumps(fields))
    assert told in refusal(folder)


@pytest.mark.parametrize(("field", "token"), [("mask_token", "mask"), ("eos_token", "EOS")])
def test_a_checkpoint_without_its_special_token_is_refused(
    write_checkpoint: Write, refusal: Refusal, field: str, token: str
) -> None:
    folder = write_checkpoint(config={f"{field}_id": ...}, tokenizer_config={field: ...})
    assert f"no {token} token ({field}_id in config.json" in refusal(folder)


@pytest.mark.parametrize("value", [-1, 768, "0", [0]])
@pytest.mark.parametrize(("field", "token"), [("mask_token_id", "mask"), ("eos_token_id", "EOS")])
def test_a_special_token_outside_the_vocabulary_is_refused(
    write_checkpoint: Write, refusal: Refusal, field: str, token: str, value: object
) -> None:
    told = refusal(write_checkpoint(config={field: value}))
    assert f"the {token} token is {value!r}, expected an id of the vocabulary, 0 to 767." in told


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
    assert tokens(folder).ends == (1, 768)


def test_an_end_of_turn_that_is_eos_counts_once(write_checkpoint: Write) -> None:
    folder = with_token(write_checkpoint(config={"embedding_size": 832, "eos_token_id": 768}), "<|eot_id|>")
    assert tokens(folder) == SpecialTokens(mask=0, eos=768, eot=None)
    assert tokens(folder).ends == (768,)


def test_an_end_of_turn_without_a_row_in_the_head_is_refused(write_checkpoint: Write, refusal: Refusal) -> None:
    assert "the end-of-turn token is 768" in refusal(with_token(write_checkpoint(), "<|eot_id|>"))


def test_no_tokenizer(write_checkpoint: Write, refusal: Refusal) -> None:
    folder = write_checkpoint()
    (folder / "tokenizer.json").unlink()
    assert f"{folder}: no tokenizer.json; slow tokenizers are not supported." in refusal(folder)


def test_a_broken_tokenizer(write_checkpoint: Write, refusal: Refusal) -> None:
    folder = write_checkpoint()
    (folder / "tokenizer.json").write_text("{}")
    assert f"{folder}: tokenizer cannot be read" in refusal(folder)


def test_an_unknown_embedded_name_is_answered_with_the_nearest(refusal: Refusal) -> None:
    told = refusal("embedded:lada-tiny")
    assert "embedded:lada-tiny: the package ships llada-mini or llada-tiny. Did you mean 'llada-tiny'?" in told
    assert "Did you mean" not in refusal("embedded:zzz")


@pytest.mark.parametrize("path", ["nowhere", "./owner/name", "/no/where", "~/no/where", "a/b/c"])
def test_what_is_neither_a_folder_nor_a_hub_id(refusal: Refusal, path: str) -> None:
    assert f"checkpoint {path!r}: no such folder, and not a hub id (owner/name)." in refusal(path)


def test_a_home_folder_is_found(write_checkpoint: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_checkpoint()
    monkeypatch.setenv("HOME", str(folder.parent))
    assert load_architecture(f"~/{folder.name}").layers == 2


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., str]], None]:
    """Puts a function in the hub's place."""

    def hub(answer: Callable[..., str]) -> None:
        monkeypatch.setattr("huggingface_hub.snapshot_download", answer)

    return hub


def test_an_unreachable_hub_says_what_to_do(hub: Callable[..., None], refusal: Refusal) -> None:
    def fail(*_: object, **__: object) -> str:
        raise ConnectionError("Name or service not known\nand a long story")

    hub(fail)
    told = refusal("GSAI-ML/LLaDA-8B-Base")
    assert "checkpoint 'GSAI-ML/LLaDA-8B-Base': neither a folder here nor to be had from the hub" in told
    assert "(ConnectionError: Name or service not known). Fetch it where there is a network and pass model.path" in told


def test_the_hub_is_asked_for_that_revision_and_for_data_alone(
    hub: Callable[..., None], write_checkpoint: Write
) -> None:
    folder, asked = write_checkpoint(), list[dict[str, Any]]()

    def answer(name: str, **how: Any) -> str:
        asked.append({"name": name, **how})
        return str(folder)

    hub(answer)
    assert load_model("owner/name", device="cpu", revision="abc").name == "owner/name"
    load_architecture("owner/name", "abc")
    load_tokenizer("owner/name", "abc")
    assert [(call["name"], call["revision"]) for call in asked] == [("owner/name", "abc")] * 3
    whole, *small = ({Path(pattern).suffix for pattern in call["allow_patterns"]} for call in asked)
    assert ".safetensors" in whole
    assert not any(".safetensors" in patterns for patterns in small), "planning fetches no weights"
    assert not whole & {".py", ".bin", ".pt", ".pkl"}, "what could run code is not even fetched"


def test_a_folder_comes_before_the_hub(
    hub: Callable[..., None], write_checkpoint: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(lambda *_, **__: pytest.fail("the hub was asked"))
    folder = write_checkpoint()
    monkeypatch.chdir(folder.parent.parent)
    assert load_architecture(f"{folder.parent.name}/{folder.name}").layers == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
def test_cuda_on_a_machine_without_it(refusal: Refusal, device: str) -> None:
    told = refusal("embedded:llada-tiny", device=device)
    assert f"device '{device}': this machine has no CUDA device; choose hardware=cpu." in told
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
    told = refusal("embedded:llada-tiny", dtype=dtype)
    assert told == f"dtype {dtype!r} is not supported; there are float32, bfloat16, float16 or auto."


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


def test_no_code_in_this_room_trusts_remote_code() -> None:
    room = Path(dlm_length.models.loading.__file__).parent
    assert not any("trust_remote_code=True" in file.read_text() for file in room.rglob("*.py"))


def test_a_digest_tells_checkpoints_apart_by_content(write_checkpoint: Write) -> None:
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
