"""What a length policy is."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from dlm_length.common import Named, Parameters, TokenCount
from dlm_length.denoising import PRESETS, Canvas, Decoder, DenoiseCoroutine
from dlm_length.denoising.stop_rules import StopRule

Role = Literal["method", "control", "baseline"]
"""What a policy is in a comparison."""


class Policy(Named):
    """How long the answer is and how it is denoised: a paper's pseudo-code for one sample, as a coroutine.

    A policy is a frozen set of parameters; everything that changes during a sample lives in its coroutine and canvas.
    """

    label_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that stand beside the name in a label, where two runs of the policy differ in them."""
    symbols: ClassVar[Mapping[str, str]] = MappingProxyType({"length": "L", "tau": "τ", "delta": "δ", "factor": "f"})
    """How readers know its fields where that is another word: `τ = 0.9` for `tau 0.9`."""
    role: ClassVar[Role] = "method"
    """What a report takes its runs for: a baseline is what methods are compared with; a control is no method."""
    lengths_charged: ClassVar[bool] = True
    """Whether the forwards that found its lengths are in its cost; where not, it is on no Pareto front."""
    series_field: ClassVar[str | None] = None
    """The field that its runs are a series over, where it is made to be swept; its default is the value to show."""
    variant_of: ClassVar[str | None] = None
    """Name of the policy that it changes on purpose: with a `series_field`, it is that policy where the field is 0,
    without one that policy with a stop rule."""
    palette_place: ClassVar[int | None] = None
    """Its colour among those of its role, the same in every report; None: one of those that are left."""

    @property
    def depends_on_other_samples(self) -> bool:
        """Whether the answer to a sample depends on which others are asked for: then these decide a run's name."""
        return False

    @property
    def label(self) -> str:
        """The policy in a table's heading, such as `smartcrop 256 tau 0.9`."""
        parts = [self.name]
        for field in self.label_fields:
            value = getattr(self, field)
            bare = isinstance(value, str) or field.endswith("length")
            value = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            parts.append(f"{value}" if bare else f"{field} {value}")
        return " ".join([*parts, *self._decoding_label()])

    def _decoding_label(self) -> Iterator[str]:
        """Decoding fields that are not at their defaults: policies that differ in these alone differ in label."""
        if not isinstance(self, StopRule):
            return
        usual = PRESETS[self.preset] if isinstance(self, Decoder) and self.preset is not None else {}
        for field in self.labelled if isinstance(self, Decoder) else ("stop",):
            value = getattr(self, field)
            if field not in self.label_fields and value != usual.get(field, type(self).model_fields[field].default):
                yield f"{field} {value}"

    @property
    def ends_at_eot(self) -> bool:
        """Whether an answer ends at the end-of-turn token too, where the checkpoint has one apart from EOS."""
        by_stop_rule = getattr(self, "stop", "none") != "none" and getattr(self, "stop_tokens", "eos") == "eos_eot"
        return by_stop_rule or bool(getattr(self, "include_eot", False))

    @property
    def draws(self) -> bool:
        """Whether random numbers decide anything; where not, every seed gives the same answers."""
        temperatures = (getattr(self, field, 0.0) for field in ("temperature", "alg_temp"))
        return any(temperature > 0 for temperature in temperatures) or getattr(self, "remasking", None) == "random"

    @property
    def version(self) -> int:
        """Raised where the same parameters give other tokens than they gave before; above 1 it enters the run's hash.

        2: `threshold` is inclusive (>=), as in Fast-dLLM's program; it was strict.
        """
        return 2 if isinstance(self, Decoder) and self.threshold is not None else 1

    @property
    def undecisive(self) -> frozenset[str]:
        """Fields that do not enter the run's hash: they change nothing, or not from what was before there were any."""
        later = self.later if isinstance(self, Decoder) else StopRule.model_fields
        fields = type(self).model_fields
        same = {field for field in later if field in fields and getattr(self, field) == fields[field].default}
        if isinstance(self, Decoder):
            same.add("preset")
            if self.threshold is None:
                same.add("threshold_is")  # a preset's, which nothing compares by
            if self.temperature == 0:
                same.add("tempered")
        return frozenset(same)

    @model_validator(mode="before")
    @classmethod
    def _positions_stay(cls, given: Any) -> Any:
        """Refuse a cache where the method inserts or moves positions."""
        if isinstance(given, dict) and given.get("cache") not in (None, "none") and "cache" not in cls.model_fields:
            raise ValueError(
                "cache keeps keys and values at fixed positions, and this policy inserts or moves positions: leave"
                " cache out, or choose a policy whose canvas keeps its positions, such as fixed"
            )
        return given

    @abstractmethod
    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        """Fill `canvas`, which comes empty: yields queries, receives answers, leaves no mask behind."""

    def worst_case(self) -> "Policy":
        """A policy that no sample of this one can cost more than, for estimates before a run."""
        return self

    def _refuse_unread(self, unread: Iterable[str], choice: str) -> None:
        """Raise ValueError where a field that `choice` never reads was set: it would change nothing."""
        for field in unread:
            if getattr(self, field) != type(self).model_fields[field].default:
                raise ValueError(f"{field} has no part in {choice}: leave it out")


class LongestCanvas(Parameters):
    """A method that begins with a canvas of a given length."""

    length: TokenCount = 256
    """Canvas length in tokens; where the policy crops, the longest."""


class FullCanvas(Policy, LongestCanvas, Decoder):
    """A policy that begins with a canvas of a given length, and decodes what is left of it."""

    steps: TokenCount | None = None
    """Forwards for the full canvas, of which a cropped one takes its share; None: one for every `tokens_per_step`."""

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        if self.steps is None:
            return self
        if self.factor is not None:
            raise ValueError("steps has no part in the factor rule: leave one of them out")
        if self.commits_by_confidence or self.tokens_per_step != 1:
            raise ValueError("steps, tokens_per_step and threshold are three ways to say the same: give one of them")
        if self.schedule in (
            "dream",
            "origin",
            "mdlm",
        ):  # which may commit none in a forward, and share steps out rounded up
            return self
        blocks, most = self.block_count(self.length), self.length
        if not blocks <= self.steps <= most:
            raise ValueError(
                f"steps must be from {blocks} (one for each block) to {most} (one for each token of the"
                f" canvas), found {self.steps}"
            )
        return self

    def decode_rest(self, canvas: Canvas) -> DenoiseCoroutine:
        """Decode what a crop left of the canvas, in its share of `steps` where given, rounded up."""
        steps = None
        if self.steps is not None:
            steps = max(self.block_count(len(canvas)), -(-self.steps * len(canvas) // self.length))
        yield from self.decode(canvas, steps)
