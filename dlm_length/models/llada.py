"""LLaDA (arXiv 2502.09992): Llama with bidirectional attention and other weight names. LLaDA-8B, LLaDA-1.5."""

import re
from collections.abc import Mapping
from typing import Any

from transformers import LlamaConfig, LlamaModel, PretrainedConfig, PreTrainedModel

from dlm_length.models.architecture import Architecture
from dlm_length.models.family import Family

_PREFIX = "model.transformer."
_TOP = {
    "wte.weight": "embed_tokens.weight",
    "ln_f.weight": "norm.weight",
    "ff_out.weight": "head.weight",
}
_BLOCK = {
    "attn_norm": "input_layernorm",
    "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj",
    "v_proj": "self_attn.v_proj",
    "attn_out": "self_attn.o_proj",
    "ff_norm": "post_attention_layernorm",
    "ff_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "ff_out": "mlp.down_proj",
}
# Switches of LLaDA's config that would make it another network than Llama's, with the only value that is Llama.
_LLAMA = {
    "block_type": "llama",
    "activation_type": "silu",
    "layer_norm_type": "rms",
    "rope": True,
    "rope_full_precision": True,
    "layer_norm_with_affine": True,
    "alibi": False,
    "include_bias": False,
    "include_qkv_bias": False,
    "attention_layer_norm": False,
    "input_emb_norm": False,
    "scale_logits": False,
    "clip_qkv": False,
}


class LLaDA(Family):
    """`model_type: llada`."""

    end_of_turn = "<|eot_id|>"

    def recognises(self, config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == "llada"

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        for switch, llama in _LLAMA.items():
            if (config.get(switch) or False) != llama and switch in config:
                raise ValueError(f"{switch} is {config[switch]!r}, supported is {llama!r}")
        heads, kv_heads = config["n_heads"], config.get("n_kv_heads") or config["n_heads"]
        for whole, parts in (("d_model", "n_heads"), ("n_heads", "n_kv_heads")):
            if parts in config and config[parts] and config[whole] % config[parts]:
                raise ValueError(f"{whole} {config[whole]} is no multiple of {parts} {config[parts]}")
        head_size = config["d_model"] // heads
        return Architecture(
            layers=config["n_layers"],
            width=config["d_model"],
            heads=heads,
            head_size=head_size,
            kv_width=kv_heads * head_size,
            mlp_width=config["mlp_hidden_size"],
            vocabulary=config.get("embedding_size") or config["vocab_size"],
            max_length=config["max_sequence_length"],
            tied=bool(config.get("weight_tying", False)),
        )

    def backbone_config(self, config: Mapping[str, Any]) -> PretrainedConfig:
        sizes = self.architecture(config)
        return LlamaConfig(
            vocab_size=sizes.vocabulary,
            hidden_size=sizes.width,
            intermediate_size=sizes.mlp_width,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            num_key_value_heads=sizes.kv_width // sizes.head_size,
            max_position_embeddings=sizes.max_length,
            rms_norm_eps=config["rms_norm_eps"],
            rope_parameters={"rope_type": "default", "rope_theta": config["rope_theta"]},
            tie_word_embeddings=sizes.tied,
            use_cache=False,
        )

    def backbone_class(self) -> type[PreTrainedModel]:
        return LlamaModel

    def rename(self, weight: str) -> str | None:
        name = weight.removeprefix(_PREFIX)
        if name in _TOP:
            return _TOP[name]
        block = re.fullmatch(r"blocks\.(\d+)\.(\w+)\.weight", name)
        if block and block[2] in _BLOCK:
            return f"layers.{block[1]}.{_BLOCK[block[2]]}.weight"
        return None
