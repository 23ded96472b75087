"""The base classes of length policies."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self, get_args

from pydantic import model_validator

from dlm_length.common import Named, Parameters, TokenCount
from dlm_length.denoising import Canvas, Decoder, DenoiseCoroutine
from dlm_length.denoising.stop_rules import StopRule

Role = Literal["method", "control", "baseline"]
"""The role of a policy in a comparison."""


class Policy(Named):
    """How long the answer is and how it is denoised: a paper's pseudo-code for one sample, as a coroutine.

    A policy is a frozen set of parameters; the state of a sample is in its coroutine and canvas.
    """

    label_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that follow the name in a label."""
    symbols: ClassVar[Mapping[str, str]] = MappingProxyType({"length": "L", "tau": "τ", "delta": "δ", "factor": "f"})
    """Symbols of fields in publications: `τ = 0.9` for `tau 0.9`."""
    role: ClassVar[Role] = "method"
    """The role of its runs in a report: methods are compared with a baseline; a control is not a method."""
    lengths_charged: ClassVar[bool] = True
    """Whether the forwards that determine its lengths are in its cost; if not, it is excluded from Pareto fronts."""
    series_field: ClassVar[str | None] = None
    """The field that is usually swept, so that its runs form a series; its default is the value that is shown alone."""
    variant_of: ClassVar[str | None] = None
    """Name of the policy that it is a variant of: with a `series_field`, it equals that policy where the field is 0;
    without one, it is that policy with a stop rule."""
    step_seconds: ClassVar[float] = 60.0
    """Most CPU time between two forwards, in seconds, before a policy from outside the package is refused as one whose
    loop does not end; checked before a run, in its first step and where its cost is estimated."""
    palette_place: ClassVar[int | None] = None
    """Index of its colour among those of its role, the same in every report; None: any free one."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if cls.role not in get_args(Role):
            raise TypeError(f"{cls.__name__}.role is {cls.role!r}; allowed: {', '.join(get_args(Role))}")

    @property
    def depends_on_other_samples(self) -> bool:
        """Whether a sample's answer depends on which other samples are in the run: then these enter a run's hash."""
        return False

    @property
    def label(self) -> str:
        """The policy's name in tables, such as `smartcrop 256 tau 0.9`."""
        parts = [self.name]
        for field in self.label_fields:
            value = getattr(self, field)
            bare = isinstance(value, str) or field.endswith("length")
            value = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            parts.append(f"{value}" if bare else f"{field} {value}")
        return " ".join([*parts, *self._decoding_label()])

    def _decoding_label(self) -> Iterator[str]:
        """Decoding fields that are not at their defaults, so that labels differ where only decoding does."""
        if not isinstance(self, StopRule):
            return
        usual = self.preset_fields(self.preset) if isinstance(self, Decoder) and self.preset is not None else {}
        for field in self.labelled if isinstance(self, Decoder) else ("stop",):
            value = getattr(self, field)
            if field not in self.label_fields and value != usual.get(field, type(self).model_fields[field].default):
                yield f"{field} {value}"

    @property
    def ends_at_eot(self) -> bool:
        """Whether an answer also ends at the end-of-turn token, if the checkpoint has one other than EOS."""
        by_stop_rule = getattr(self, "stop", "none") != "none" and getattr(self, "stop_tokens", "eos") == "eos_eot"
        return by_stop_rule or bool(getattr(self, "include_eot", False))

    @property
    def draws(self) -> bool:
        """Whether answers depend on random numbers; if not, every seed gives the same answers."""
        temperatures = (getattr(self, field, 0.0) for field in ("temperature", "alg_temp"))
        return any(temperature > 0 for temperature in temperatures) or getattr(self, "remasking", None) == "random"

    @property
    def version(self) -> int:
        """Incremented when the same parameters give other tokens than before; if above 1, it enters the run's hash.

        2: `threshold` is inclusive (>=), as in Fast-dLLM's implementation; it was strict. 3: a threshold of 1 is
        reached by confidences that are 1 in float64, as there, and no longer by those that are 1 in float32. For the
        same reason a crop at tau 1 has version 2. Elsewhere this changed at most the order among confidences above
        1 - 6e-8, as rounding does between two processors, for which versions are not raised.
        """
        version = 2 if getattr(self, "tau", None) == 1 else 1
        if not isinstance(self, Decoder) or self.threshold is None:
            return version
        return 3 if self.threshold == 1 and self.schedule != "quota" else 2

    @property
    def undecisive(self) -> frozenset[str]:
        """Fields that do not enter the run's hash: those without effect, and later additions at their defaults."""
        later = self.later if isinstance(self, Decoder) else StopRule.model_fields
        fields = type(self).model_fields
        neutral = {field for field in later if field in fields and getattr(self, field) == fields[field].default}
        if isinstance(self, Decoder):
            neutral.add("preset")
            if self.threshold is None:
                neutral.add("threshold_is")  # set by a preset, but unused
            if self.temperature == 0:
                neutral.add("tempered")
        return frozenset(neutral)

    @model_validator(mode="before")
    @classmethod
    def _positions_stay(cls, given: Any) -> Any:
        """Raise ValueError for a cache if the method inserts or moves positions."""
        if isinstance(given, dict) and given.get("cache") not in (None, "none") and "cache" not in cls.model_fields:
            raise ValueError(
                "cache keeps keys and values at fixed positions, and this policy inserts or moves positions: leave"
                " cache out, or choose a policy whose canvas keeps its positions, such as fixed"
            )
        return given

    @abstractmethod
    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        """Fill `canvas`, which is empty at first: yields queries, receives answers, leaves no mask."""

    def worst_case(self) -> "Policy":
        """A policy whose cost is an upper bound of this one's for every sample, for estimates before a run."""
        return self

    def _refuse_unread(self, unread: Iterable[str], choice: str) -> None:
        """Raise ValueError if one of the fields, which `choice` does not use, is set."""
        for field in unread:
            if getattr(self, field) != type(self).model_fields[field].default:
                raise ValueError(f"{field} has no effect with {choice}: leave it out")


class LongestCanvas(Parameters):
    """A method whose first canvas has a given length."""

    length: TokenCount = 256
    """Canvas length in tokens; for policies that crop, the length before the crop."""


class FullCanvas(Policy, LongestCanvas, Decoder):
    """A policy whose first canvas has a given length, and which decodes that canvas or the part that a crop leaves."""

    steps: TokenCount | None = None
    """Forwards for the full canvas, proportionally fewer for a cropped one; None: one per `tokens_per_step` tokens."""

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        if self.steps is None:
            return self
        if self.factor is not None:
            raise ValueError("steps has no effect with the factor rule: leave one of them out")
        if self.commits_by_confidence or self.tokens_per_step != 1:
            raise ValueError("steps, tokens_per_step and threshold are alternatives: give one of them")
        # These schedules may commit nothing in a forward, and round the steps of a block up.
        if self.schedule in ("dream", "origin", "mdlm"):
            return self
        blocks, most = self.block_count(self.length), self.length
        if not blocks <= self.steps <= most:
            raise ValueError(
                f"steps must be from {blocks} (one for each block) to {most} (one for each token of the"
                f" canvas), found {self.steps}"
            )
        return self

    def decode_rest(self, canvas: Canvas) -> DenoiseCoroutine:
        """Decode the canvas that a crop left, in its share of `steps` if given, rounded up."""
        steps = None
        if self.steps is not None:
            steps = max(self.block_count(len(canvas)), -(-self.steps * len(canvas) // self.length))
        yield from self.decode(canvas, steps)
