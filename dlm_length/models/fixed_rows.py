"""Matrix products whose rounding does not depend on the number of rows: the batch-invariant mode.

Libraries choose a kernel, and with it the order of summation, by the shape of a product. Here every product has the
same number of rows: larger ones are split, and the last part is padded with zeros. A row's result then depends on that
row alone (He et al., "Defeating Nondeterminism in LLM Inference", 2025, on why batches change it).
"""

import torch
from torch import Tensor, nn

ROWS = {"cuda": 1024, "cpu": 64}
"""Rows per product, by device type: enough to fill the device, few enough that a small batch wastes little."""


def fixed_rows_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`functional.linear`, (..., in) to (..., out), with the same rounding of a row in every batch."""
    size = ROWS.get(x.device.type, ROWS["cuda"])
    rows = x.reshape(-1, x.shape[-1])
    out = rows.new_empty(len(rows), weight.shape[0])
    columns = weight.t()
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        if len(part) == size:
            _product(part, columns, bias, out[start : start + size])
        else:
            filled = rows.new_zeros(size, rows.shape[1])
            filled[: len(part)] = part
            out[start:] = _product(filled, columns, bias, out.new_empty(size, out.shape[1]))[: len(part)]
    return out.view(*x.shape[:-1], weight.shape[0])


class FixedRowsLinear(nn.Module):
    """An `nn.Linear` by `fixed_rows_linear`. Shares the weights of the layer it replaces."""

    def __init__(self, replaced: nn.Linear) -> None:
        super().__init__()
        self.weight = replaced.weight
        self.bias = replaced.bias

    def forward(self, x: Tensor) -> Tensor:
        return fixed_rows_linear(x, self.weight, self.bias)


def fix_rows(backbone: nn.Module) -> None:
    """Replace every linear layer of `backbone`, except experts and routers, which `models.experts` replaces."""
    for name, module in list(backbone.named_modules()):
        if isinstance(module, nn.Linear):
            backbone.set_submodule(name, FixedRowsLinear(module))


def _product(rows: Tensor, columns: Tensor, bias: Tensor | None, out: Tensor) -> Tensor:
    return torch.mm(rows, columns, out=out) if bias is None else torch.addmm(bias, rows, columns, out=out)
