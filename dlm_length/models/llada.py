"""LLaDA (arXiv 2502.09992): Llama with bidirectional attention and other weight names. LLaDA-8B, LLaDA-1.5."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dlm_length.models.architecture import Architecture
from dlm_length.models.config_fields import ConfigFields, shortened
from dlm_length.models.family import Family

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

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
_DEFAULT_EPS = 1e-5
"""Default of `rms_norm_eps` in LLaDA's own configuration class, for a config.json without it."""


class LLaDA(Family):
    """`model_type: llada` without experts; with experts it is `LLaDAMoE`."""

    end_of_turn = "<|eot_id|>"

    def recognises(self, config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == "llada" and config.get("num_experts") is None

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        for switch, llama in _LLAMA.items():
            if (config.get(switch) or False) != llama and switch in config:
                raise ValueError(f"{switch} is {shortened(config[switch])}, supported is {llama!r}")
        if not _unscaled(config.get("rope_scaling")):
            raise ValueError(f"rope_scaling is {shortened(config['rope_scaling'])}, supported is null")
        fields = ConfigFields(config)
        width, heads = fields.size("d_model"), fields.size("n_heads")
        kv_heads = fields.size("n_kv_heads", 1 if fields.switch("multi_query_attention", False) else heads)
        for whole, parts in (("d_model", "n_heads"), ("n_heads", "n_kv_heads")):
            if config.get(parts) and config[whole] % config[parts]:
                raise ValueError(f"{whole} {config[whole]} is not a multiple of {parts} {config[parts]}")
        head_size = width // heads
        if head_size % 2:
            raise ValueError(f"d_model {width} / n_heads {heads} gives an odd head size, {head_size}; RoPE needs even")
        return Architecture(
            layers=fields.size("n_layers"),
            width=width,
            heads=heads,
            head_size=head_size,
            kv_width=kv_heads * head_size,
            mlp_width=fields.size("mlp_hidden_size"),
            vocabulary=fields.size("embedding_size" if config.get("embedding_size") is not None else "vocab_size"),
            max_length=fields.size("max_sequence_length"),
            tied=fields.switch("weight_tying", False),
        )

    def backbone_config(self, config: Mapping[str, Any]) -> "PretrainedConfig":
        from transformers import LlamaConfig

        sizes, fields = self.architecture(config), ConfigFields(config)
        return LlamaConfig(
            vocab_size=sizes.vocabulary,
            hidden_size=sizes.width,
            intermediate_size=sizes.mlp_width,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            num_key_value_heads=sizes.kv_width // sizes.head_size,
            max_position_embeddings=sizes.max_length,
            rms_norm_eps=fields.positive("rms_norm_eps", _DEFAULT_EPS),
            rope_parameters={"rope_type": "default", "rope_theta": fields.positive("rope_theta")},
            tie_word_embeddings=sizes.tied,
            use_cache=False,
        )

    def backbone_class(self) -> "type[PreTrainedModel]":
        from transformers import LlamaModel

        return LlamaModel

    def rename(self, weight: str) -> str | None:
        name = weight.removeprefix(_PREFIX)
        if name in _TOP:
            return _TOP[name]
        block = re.fullmatch(r"blocks\.(\d+)\.(\w+)\.weight", name)
        if block and block[2] in _BLOCK:
            return f"layers.{block[1]}.{_BLOCK[block[2]]}.weight"
        return None


def _unscaled(rope_scaling: object) -> bool:
    """Whether RoPE follows from `rope_theta` alone."""
    kind = rope_scaling.get("rope_type", rope_scaling.get("type")) if isinstance(rope_scaling, dict) else None
    return rope_scaling is None or kind == "default"
