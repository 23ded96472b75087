"""Inspecting a checkpoint without loading its weights."""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from golden.families import FOLDER, cases
from safetensors.torch import load_file, save_file

from dlm_length.models import Architecture, load_model, loading, weights
from dlm_length.models.inspection import CONVERSATION, Reading, inspect_checkpoint
from dlm_length.models.spec import ModelSpec

Edited = Callable[..., Path]
FAMILIES = sorted(folder.name for folder in FOLDER.iterdir())


def readings(path: Path | str, **fields: object) -> dict[str, Reading]:
    return {reading.what: reading for reading in inspect_checkpoint(ModelSpec(path=str(path), **fields))}


def states(found: Iterable[Reading]) -> dict[str, str]:
    return {reading.what: reading.state for reading in found if reading.state != "ok"}


@pytest.fixture
def no_tensor_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test where more of a safetensors file than its header is read."""

    def refuse(*_: object) -> None:
        raise AssertionError("a weight was loaded")

    monkeypatch.setattr(weights, "_tensors", refuse)
    monkeypatch.setattr(loading, "stream_weights", refuse)


@pytest.mark.usefixtures("no_tensor_is_read")
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_read_is_what_is_loaded(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = FOLDER / family / "checkpoint"
    found = readings(folder)
    monkeypatch.undo()
    model = load_model(str(folder), device="cpu")
    assert not [reading for reading in found.values() if reading.state == "broken"]
    tokens = {name: None if found[name].value is None else found[name].value["id"] for name in ("mask", "eos", "eot")}
    assert tokens == {"mask": model.tokens.mask, "eos": model.tokens.eos, "eot": model.tokens.eot}
    assert found["sizes"].value == model.architecture.model_dump() | {
        "kv_heads": model.architecture.kv_width // model.architecture.head_size
    }
    stored = load_sizes(folder)
    assert found["weights"].value["bytes"] == stored
    assert found["parameters"].value["parameters"] == model.architecture.parameters
    assert found["family"].value["attention"] == ("block-causal" if model.block_causal else "bidirectional")
    assert found["family"].value["shifted"] == model.shifted
    assert found["chat template"].value == model.tokenizer.chat_text(CONVERSATION)
    assert found["prompt token ids"].value == model.tokenizer.encode(found["chat template"].value, templated=True)


def load_sizes(folder: Path) -> dict[str, int]:
    """Dtype -> bytes of all weights in the files."""
    sizes: dict[str, int] = {}
    for shard in folder.glob("*.safetensors"):
        for weight in load_file(shard).values():
            name = {torch.bfloat16: "BF16", torch.float32: "F32"}[weight.dtype]
            sizes[name] = sizes.get(name, 0) + weight.nbytes
    return sizes


def test_a_special_token_names_the_file_that_declares_it() -> None:
    by = {family: readings(FOLDER / family / "checkpoint") for family in ("dream", "a2d_qwen3_mdlm", "illada")}
    assert [by[family]["mask"].value["source"] for family in by] == [
        "config.json",
        "tokenizer_config.json",
        "family default",
    ]
    assert [by[family]["mask"].state for family in by] == ["ok", "ok", "unusual"]
    assert by["a2d_qwen3_mdlm"]["termination"].value == {"eos": "<|im_end|>", "ends": ["<|im_end|>", "<|endoftext|>"]}
    assert by["dream"]["bos"].value["ids"] == [600, 622]
    assert {name: by[name]["decoder preset"].value for name in by} == {
        "dream": "dream",
        "a2d_qwen3_mdlm": "mdlm",
        "illada": "illada",
    }


def test_ids_that_disagree_are_shown(edited: Edited) -> None:
    mask = readings(edited("dream", mask_token_id=601))["mask"]
    assert mask.state == "unusual"
    assert "tokenizer_config.json: mask_token: 623" in mask.found


@pytest.mark.parametrize("token", [-1, 10**12, 10**30])
def test_an_id_that_no_vocabulary_has_is_a_reading(edited: Edited, token: int) -> None:
    bos = readings(edited("a2d_qwen2_mdlm", bos_token_id=token))["bos"]
    assert bos.state == "unusual"
    assert f"{token} not in the vocabulary" in bos.found


def test_a_context_that_the_family_shortens_is_unusual() -> None:
    context = readings(FOLDER / "dream" / "checkpoint")["context"]
    assert (context.state, context.value) == ("unusual", 2048)
    assert "config.json says 131,072" in context.found


@pytest.mark.parametrize(
    ("family", "fields", "what", "sentence"),
    [
        ("dream", {"model_type": "gpt2"}, "family", "model_type 'gpt2' is not supported"),
        ("dream", {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "sizes", "rope_scaling is"),
        ("dream", {"quantization_config": {"quant_method": "gptq"}}, "sizes", "quantization_config is"),
        ("dream", {"hidden_size": ...}, "sizes", "no field 'hidden_size'"),
        ("dream", {"mask_token_id": 9999}, "special tokens", "the mask token is 9999"),
        ("dream", {"num_hidden_layers": 4}, "weight names", "weights missing: layers.3."),
        ("a2d_qwen3_untied", {"tie_word_embeddings": True}, "vocabulary head", "loading compares the two"),
    ],
)
def test_what_is_broken_is_one_reading_among_the_others(
    edited: Edited, family: str, fields: dict[str, object], what: str, sentence: str
) -> None:
    found = readings(edited(family, **fields))
    assert sentence in found[what].found
    assert found[what].state == ("unusual" if what == "vocabulary head" else "broken")
    assert found["chat template"].state == "ok"
    assert found["weights"].state == "ok"


def test_shards_that_are_missing_are_named(edited: Edited) -> None:
    folder = edited("dream")
    (folder / "model-00002-of-00002.safetensors").unlink()
    found = readings(folder)
    assert "1 of 2 shards missing: model-00002-of-00002.safetensors" in found["weights"].found
    assert found["weights"].state == "broken"
    assert found["termination"].state == "ok"


def test_a_router_in_16_bits_is_seen_in_the_header(edited: Edited) -> None:
    folder = edited("llada2_mini")
    for shard in folder.glob("*.safetensors"):
        stored = load_file(shard)
        save_file({name: w.bfloat16() if name.endswith("expert_bias") else w for name, w in stored.items()}, shard)
    names = readings(folder)["weight names"]
    assert names.state == "broken"
    assert "mlp.gate.expert_bias is bfloat16, expected float32" in names.found


def test_quantised_weights_are_seen_in_the_header(edited: Edited) -> None:
    folder = edited("illada")
    name = "model.layers.1.mlp.down_proj.weight"
    for shard in folder.glob("*.safetensors"):
        stored = load_file(shard)
        save_file({key: w.to(torch.int8) if key == name else w for key, w in stored.items()}, shard)
    names = readings(folder)["weight names"]
    assert f"1 weight that cannot be used: {name} is I8" in names.found


def test_bos_twice_is_unusual(edited: Edited) -> None:
    """The template begins with BOS, and the tokenizer adds one."""
    folder = edited("illada")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<seed:bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<seed:bos>": {"id": "<seed:bos>", "ids": [0], "tokens": ["<seed:bos>"]}},
    }
    (folder / "tokenizer.json").write_text(json.dumps(content))
    twice = readings(folder)["bos in a prompt"]
    assert (twice.state, "<seed:bos> twice" in twice.found) == ("unusual", True)
    assert "bos in a prompt" not in readings(FOLDER / "illada" / "checkpoint")


def test_a_base_model_has_no_template(edited: Edited) -> None:
    folder = edited("illada")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": None}))
    assert readings(folder)["chat template"].state == "unusual"


def test_the_folder_of_an_adapter_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/base"}')
    family = readings(tmp_path)["family"]
    assert family.state == "broken"
    assert "pass its base model (owner/base)" in family.found


def test_an_adapter_that_is_missing_is_a_reading(tmp_path: Path) -> None:
    found = readings(FOLDER / "dream" / "checkpoint", adapter=str(tmp_path / "none"))
    assert found["adapter"].state == "broken"
    assert found["termination"].state == "ok"


def test_pickled_weights_are_named(edited: Edited) -> None:
    folder = edited("a2d_qwen3_mdlm")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "only in pytorch_model.bin; supported are safetensors" in readings(folder)["weights"].found


def test_an_unreadable_tokenizer_leaves_the_rest(edited: Edited) -> None:
    folder = edited("illada")
    (folder / "tokenizer.json").write_text("{")
    found = readings(folder)
    assert found["tokenizer"].state == "broken"
    assert {found[what].state for what in ("family", "sizes", "weights", "decoder preset")} == {"ok"}


def test_an_absent_checkpoint_is_described_by_its_config_file() -> None:
    sizes = Architecture(
        layers=2, width=8, heads=2, head_size=4, kv_width=8, mlp_width=16, vocabulary=10, max_length=64
    )
    found = readings("./nowhere", architecture=sizes)
    assert found["checkpoint"].state == "broken"
    assert "by the model's config file" in found["sizes"].found


def test_headers_of_a_hubs_checkpoint_come_without_its_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = shutil.copytree(
        FOLDER / "illada" / "checkpoint", tmp_path / "small", ignore=shutil.ignore_patterns("*.safet*")
    )
    names = ("norm", "layers.0.input_layernorm", "layers.1.input_layernorm")
    tensors = {f"model.{name}.weight": SimpleNamespace(shape=[96], dtype="BF16") for name in names}
    requests = []

    def metadata(repo: str, *, revision: str | None) -> SimpleNamespace:
        requests.append((repo, revision))
        return SimpleNamespace(files_metadata={"model.safetensors": SimpleNamespace(tensors=tensors)})

    def snapshot(*_: object, allow_patterns: list[str], **__: object) -> str:
        assert "*.safetensors" not in allow_patterns
        return str(small)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setattr(huggingface_hub, "get_safetensors_metadata", metadata)
    found = readings("owner/name", revision="main")
    assert found["weights"].value == {"tensors": 3, "numbers": {"BF16": 288}, "bytes": {"BF16": 576}}
    assert requests == [("owner/name", "main")]
    assert "weights missing" in found["weight names"].found


def test_the_prompt_that_is_shown_equals_the_reference_tokenizers() -> None:
    """For a conversation of one turn; the prompts of all cases are compared in test_families."""
    text = readings(FOLDER / "sdar" / "checkpoint")["chat template"].value
    (case, *_) = (case for case in cases("sdar") if len(case["messages"]) == 1)
    assert text == case["prompt_text"].replace(case["messages"][0]["content"], CONVERSATION[0][1])
