"""Mixtures of experts over ragged batches: a token's output does not depend on which others chose the same experts."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlm_length.models.fixed_rows import ROWS, fixed_rows_linear
from dlm_length.models.fused import Linear

LEAST_ROWS = 16
"""Fewest rows of an expert's matrix products. With fewer, CPUs use another kernel, which rounds differently; an expert
may be chosen by a single token."""


class RaggedExperts(nn.Module):
    """The experts of a transformers block, each applied to the tokens that chose it, padded to `LEAST_ROWS` rows.

    Shares the weights of the module it replaces. Experts are added in the order of their indices, so that a token's sum
    is the same in every batch.
    """

    def __init__(self, replaced: nn.Module, linear: Linear = functional.linear) -> None:
        super().__init__()
        self.gate_up_proj = replaced.get_parameter("gate_up_proj")
        """(experts, 2 * expert width, width), gate first."""
        self.down_proj = replaced.get_parameter("down_proj")
        """(experts, width, expert width)."""
        self.linear = linear

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        """(tokens, width) to (tokens, width); `top_k_index` and `top_k_weights`: (tokens, experts used)."""
        flat = top_k_index.flatten()
        by_expert = flat.argsort(stable=True)
        counts = torch.bincount(flat, minlength=len(self.gate_up_proj)).tolist()
        out = torch.zeros_like(hidden_states)
        for expert, slots in enumerate(torch.split(by_expert, counts)):
            if not len(slots):
                continue
            tokens = slots // top_k_index.shape[1]
            answer = self._expert(expert, hidden_states[tokens])
            weighted = answer * top_k_weights.flatten()[slots, None]
            out.index_add_(0, tokens, weighted.to(out.dtype))  # a token chooses an expert once: no order to depend on
        return out

    def _expert(self, expert: int, rows: Tensor) -> Tensor:
        count = len(rows)
        if (short := LEAST_ROWS - count) > 0:
            rows = torch.cat([rows, rows.new_zeros(short, rows.shape[1])])
        gate, up = self.linear(rows, self.gate_up_proj[expert], None).chunk(2, dim=-1)
        return self.linear(functional.silu(gate) * up, self.down_proj[expert], None)[:count]


class FixedRowsRouter(nn.Module):
    """A transformers router, applied to a fixed number of rows at a time, as in `fixed_rows_linear`."""

    def __init__(self, replaced: nn.Module) -> None:
        super().__init__()
        self.router = replaced
        # In transformers 5.0 the enclosing block reads this attribute of its router.
        self.e_score_correction_bias = dict(replaced.named_buffers()).get("e_score_correction_bias")

    def forward(self, hidden_states: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The router's output for (..., width): one tensor (tokens, ...) or several, by transformers' version."""
        rows = hidden_states.reshape(-1, hidden_states.shape[-1])
        size = ROWS.get(rows.device.type, ROWS["cuda"])
        filled = rows.new_zeros(-(-len(rows) // size) * size, rows.shape[1])
        filled[: len(rows)] = rows
        parts: list[Any] = [self.router(part) for part in torch.split(filled, size)]
        if isinstance(parts[0], Tensor):
            return torch.cat(parts)[: len(rows)]
        return tuple(torch.cat(outputs)[: len(rows)] for outputs in zip(*parts, strict=True))


def use_ragged_experts(backbone: nn.Module, *, batch_invariant: bool = False) -> None:
    """Replace the experts of `backbone`, if it has any, and with `batch_invariant` the routers."""
    for name, module in list(backbone.named_modules()):
        # By their weights: versions of transformers name the classes differently.
        if {"gate_up_proj", "down_proj"} <= module._parameters.keys():
            linear = fixed_rows_linear if batch_invariant else functional.linear
            backbone.set_submodule(name, RaggedExperts(module, linear))
        elif batch_invariant and type(module).__name__.endswith("Router"):
            backbone.set_submodule(name, FixedRowsRouter(module))
