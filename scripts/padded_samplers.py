"""Straightforward batched samplers, for comparison: as the reference implementations, but with a correct padding mask.

Prompts are padded on the left to a common length, logits and a full softmax are computed at every position of every
sample, and a batch ends with its slowest sample. With the padding mask a sample's tokens equal those it has alone.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaModel

from dlm_length import MaskPredictor
from dlm_length.policies.daedal import Daedal

BATCH = 8


class PaddedModel:
    """transformers' plain backbone on left-padded batches."""

    def __init__(self, model: MaskPredictor) -> None:
        config = LlamaConfig(**model.backbone.config.to_dict())
        config._attn_implementation = "sdpa"
        with torch.device("meta"):
            self.backbone = LlamaModel(config).eval()
        weights = {name: weight for name, weight in model.backbone.state_dict().items() if not name.startswith("head.")}
        self.backbone.load_state_dict(weights, assign=True)  # shared, not copied
        self.backbone.rotary_emb = type(self.backbone.rotary_emb)(config=config).to(model.device)
        self.device = model.device
        self.tokens = model.tokens
        self.head_weight = model.head_weight
        self.forwarded = 0
        """Number of tokens forwarded so far, padding included."""

    def pad(self, prompts: Sequence[Sequence[int]], canvases: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Token ids and which of them are real, both (samples, longest)."""
        longest = max(len(prompt) + len(canvas) for prompt, canvas in zip(prompts, canvases, strict=True))
        ids = torch.full((len(prompts), longest), self.tokens.eos, device=self.device)
        real = torch.zeros_like(ids, dtype=torch.bool)
        for row, (prompt, canvas) in enumerate(zip(prompts, canvases, strict=True)):
            ids[row, longest - len(prompt) - len(canvas) : longest - len(canvas)] = torch.tensor(prompt).to(self.device)
            ids[row, longest - len(canvas) :] = canvas
            real[row, longest - len(prompt) - len(canvas) :] = True
        return ids, real

    def logits(self, ids: Tensor, real: Tensor) -> Tensor:
        """Logits, (samples, longest, vocabulary) float32."""
        return functional.linear(self.hidden(ids, real), self.head_weight).float()

    def hidden(self, ids: Tensor, real: Tensor) -> Tensor:
        """Final hidden states, (samples, longest, width)."""
        self.forwarded += ids.numel()
        positions = (real.cumsum(-1) - 1).clamp(min=0)
        mask = real[:, None, None, :].expand(-1, 1, ids.shape[1], -1)
        states: Tensor = self.backbone(
            input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False
        ).last_hidden_state
        return states


class PaddedFixed:
    """LLaDA's sampler, greedy, pure diffusion; with `probe` SmartCrop's forwards, for given crops."""

    def __init__(
        self,
        model: MaskPredictor,
        canvas: int,
        crops: Sequence[int],
        *,
        probe: bool,
        tokens_per_step: int = 1,
        batch: int = BATCH,
    ) -> None:
        self.model = PaddedModel(model)
        self.canvas = canvas
        self.crops = crops
        self.probe = probe
        self.tokens_per_step = tokens_per_step
        self.batch = batch

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
        answers: list[list[int]] = []
        for start in range(0, len(prompts), self.batch):
            answers += self._batch(prompts[start : start + self.batch], self.crops[start : start + self.batch])
        return answers

    def _batch(self, prompts: Sequence[Sequence[int]], crops: Sequence[int]) -> list[list[int]]:
        mask_id, device = self.model.tokens.mask, self.model.device
        if self.probe:
            ids, real = self.model.pad(prompts, [torch.full((self.canvas,), mask_id, device=device)] * len(prompts))
            self.model.logits(ids, real).softmax(-1)
        ids, real = self.model.pad(prompts, [torch.full((crop,), mask_id, device=device) for crop in crops])
        steps = [-(-crop // self.tokens_per_step) for crop in crops]
        for step in range(max(steps)):
            masked = (ids == mask_id) & real
            logits = self.model.logits(ids, real)
            prediction = logits.argmax(-1)
            confidence = logits.softmax(-1).gather(-1, prediction[..., None])[..., 0]
            order = torch.where(masked, confidence, -torch.inf).argsort(dim=-1, descending=True, stable=True)
            for row, (crop, own) in enumerate(zip(crops, steps, strict=True)):
                if step < own:
                    best = order[row, : crop // own + (step < crop % own)]
                    ids[row, best] = prediction[row, best]
        return [row[-crop:].tolist() for row, crop in zip(ids, crops, strict=True)]


class PaddedDaedal:
    """DAEDAL (docs/methods.md, section 4) in batches: every sample is forwarded until the slowest one is done."""

    def __init__(self, model: MaskPredictor, policy: Daedal, *, batch: int = BATCH) -> None:
        self.model = PaddedModel(model)
        self.policy = policy
        self.batch = batch

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
        answers: list[list[int]] = []
        for start in range(0, len(prompts), self.batch):
            batch = prompts[start : start + self.batch]
            answers += [canvas.tolist() for canvas in self._denoise(batch, self._adjust(batch))]
        return answers

    def _forward(
        self, prompts: Sequence[Sequence[int]], canvases: list[Tensor]
    ) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """For each sample's canvas: predictions, their probabilities, p(EOS), (canvas,) each, and logits."""
        ids, real = self.model.pad(prompts, canvases)
        logits = self.model.logits(ids, real)
        probabilities = logits.softmax(-1)
        confidence, prediction = probabilities.max(-1)
        eos = probabilities[..., self.model.tokens.eos]
        return [
            (prediction[row, -len(c) :], confidence[row, -len(c) :], eos[row, -len(c) :], logits[row, -len(c) :])
            for row, c in enumerate(canvases)
        ]

    def _eos_confidence(self, prediction: Tensor, eos: Tensor) -> float:
        found = eos.flip(0)[prediction.flip(0) == self.model.tokens.eos][: self.policy.eos_window]
        return float(found.double().sum() / self.policy.eos_window)

    def _adjust(self, prompts: Sequence[Sequence[int]]) -> list[Tensor]:
        policy, mask_id = self.policy, self.model.tokens.mask
        device = self.model.device
        canvases = [torch.full((policy.initial_length,), mask_id, device=device) for _ in prompts]
        while True:
            short = [
                self._eos_confidence(prediction, eos) < policy.tau_eos and len(canvas) < policy.max_length
                for canvas, (prediction, _, eos, _) in zip(canvases, self._forward(prompts, canvases), strict=True)
            ]
            if not any(short):
                break
            for row, grows in enumerate(short):
                length = min(len(canvases[row]) + policy.expansion_factor * grows, policy.max_length)
                canvases[row] = torch.full((length,), mask_id, device=device)
        tails = [min(policy.eos_window // 2, policy.max_length - len(canvas)) for canvas in canvases]
        return [
            torch.cat([canvas, torch.full((tail,), self.model.tokens.eos, device=device)])
            for canvas, tail in zip(canvases, tails, strict=True)
        ]

    def _denoise(self, prompts: Sequence[Sequence[int]], canvases: list[Tensor]) -> list[Tensor]:
        cursors = [0] * len(prompts)
        fixed = [False] * len(prompts)
        while any(cursor < len(canvas) for cursor, canvas in zip(cursors, canvases, strict=True)):
            for row, statistics in enumerate(self._forward(prompts, canvases)):
                fixed[row] |= len(canvases[row]) >= self.policy.max_length
                if cursors[row] < len(canvases[row]):
                    canvases[row] = self._step(canvases[row], cursors[row], statistics, may_grow=not fixed[row])
                    cursors[row] = self._advance(canvases[row], cursors[row])
        return canvases

    def _step(
        self, canvas: Tensor, cursor: int, statistics: tuple[Tensor, Tensor, Tensor, Tensor], *, may_grow: bool
    ) -> Tensor:
        policy, mask_id = self.policy, self.model.tokens.mask
        prediction, confidence, eos, logits = statistics
        masked = canvas == mask_id
        masked[:cursor] = False
        masked[cursor + policy.block_length :] = False
        words = masked & (prediction != mask_id)
        fill = words & (confidence > policy.tau_high)
        if not fill.any() and words.any():
            fill[torch.where(words, confidence, -torch.inf).argmax()] = True
        elif not fill.any():
            logits = logits.clone()
            logits[:, mask_id] = -torch.inf
            sure, token = logits.softmax(-1).max(-1)
            place = torch.where(masked, sure, -torch.inf).argmax()
            fill[place] = True
            prediction = prediction.clone()
            prediction[place] = token[place]
        unsure = masked & ~fill & (confidence < policy.tau_low)
        canvas = torch.where(fill, prediction, canvas)
        if may_grow and unsure.any() and self._eos_confidence(statistics[0], eos) < policy.tau_expand:
            place = int(torch.where(unsure, confidence, torch.inf).argmin())
            masks = torch.full((policy.expansion_factor - 1,), mask_id, device=canvas.device)
            canvas = torch.cat([canvas[:place], masks, canvas[place:]])[: policy.max_length]
        return canvas

    def _advance(self, canvas: Tensor, cursor: int) -> int:
        while (
            cursor < len(canvas)
            and not (canvas[cursor : cursor + self.policy.block_length] == self.model.tokens.mask).any()
        ):
            cursor += self.policy.block_length
        return cursor
