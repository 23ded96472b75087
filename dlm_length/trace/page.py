"""A trace as an HTML page to step through: a single file without further resources.

Its template, style and script are page.html, .css and .js next to this module; `schema.TraceData` is what the script
reads.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlm_length.policies.smartcrop import termination_cdf
from dlm_length.reports.rendering.html_page import render_page
from dlm_length.trace.record import TAIL, Frame, Trace
from dlm_length.trace.schema import FrameData, Segment, TraceData

_PER_MILLE = [np.base_repr(value, 36).lower().rjust(2, "0") for value in range(1001)]
"""Probabilities in thousandths as two base-36 digits, so that 500 frames of 2,000 positions take a few megabytes."""


def trace_page(trace: Trace) -> str:
    """The page as HTML. Prompts and tokens are embedded as data, never as markup."""
    title = f"{trace.sample_id} · {trace.policy['name']} · {trace.model}"
    return render_page(__package__, "page", ".", title=title, data=trace_data(trace).as_json())


def trace_data(trace: Trace) -> TraceData:
    """The trace in the page's schema; frames are stored as differences."""
    first = trace.frames[0]
    return TraceData(
        facts=_facts(trace),
        policy=dict(trace.policy),
        prompt=trace.prompt,
        answer=trace.answer,
        mask=first.tokens.mask,
        ends=first.tokens.ends,
        texts={token: trace.text(token) for token in _used(trace.frames)},
        tau=_tau(trace.policy),
        tail=TAIL,
        first=first.before.tolist(),
        frames=tuple(_frames(trace)),
    )


def _facts(trace: Trace) -> list[tuple[str, str]]:
    return [
        ("sample", trace.sample_id),
        ("benchmark", trace.benchmark),
        ("model", trace.model),
        ("policy", str(trace.policy["name"])),
        ("experiment", trace.experiment),
        ("prompt tokens", f"{trace.prompt_length:,}"),
        ("n_token", f"{len(trace.frames[-1].after):,}"),
        ("e_token", f"{trace.e_token:,}"),
        ("NFE (of them probes)", f"{trace.nfe:,} ({trace.probe_nfe:,})"),
        ("sum of L", f"{trace.length_sum:,}"),
        ("head rows", f"{trace.head_rows:,}"),
    ]


def _tau(policy: Mapping[str, Any]) -> float | None:
    """SmartCrop's threshold; None for a policy that does not crop by it."""
    return policy.get("tau") if policy.get("length_from", "smartcrop") == "smartcrop" else None


def _used(frames: Sequence[Frame]) -> list[int]:
    """Every token id that occurs in a canvas or as a prediction for a mask, ascending."""
    shown = [ids for frame in frames for ids in (frame.before, frame.after, frame.token[frame.masked])]
    used: list[int] = np.unique(np.concatenate(shown)).tolist()
    return used


def _frames(trace: Trace) -> Iterator[FrameData]:
    # The predictions as of the previous frame, (canvas,); -1 for none.
    predicted = np.full(len(trace.frames[0].before), -1, dtype=np.int64)
    for frame in trace.frames:
        origin, masked, committed = frame.origin, frame.masked, frame.committed
        other = masked[predicted[masked] != frame.token[masked]]
        predicted[other] = frame.token[other]
        ends = frame.eos + frame.eot if trace.policy.get("include_eot") else frame.eos
        yield FrameData(
            probe=frame.probe or None,
            window=frame.window,
            committed=_gaps(committed),
            committed_tokens=frame.filled[committed].tolist(),
            confidences=_packed(frame.confidence[masked]),
            eos=_packed(frame.eos[masked]),
            predicted=_gaps(other),
            predicted_tokens=frame.token[other].tolist(),
            eos_density=_rounded(frame.eos_density),
            eos_tail=_rounded(frame.eos_tail),
            segments=tuple(_runs(origin, frame.after)) if frame.changes else None,
            changes=tuple((c.kind, c.position, c.before, c.after) for c in frame.changes) or None,
            recomputed=None if frame.recomputed is None else _gaps(frame.recomputed),
            stops=frame.stops or None,
            termination_cdf=_packed(termination_cdf(ends)) if frame.probe else None,
        )
        predicted = np.append(predicted, -1)[origin]  # -1 for a new position, whose origin is -1


def _packed(probabilities: NDArray[np.float64]) -> str:
    """See `schema.Packed`."""
    return "".join(_PER_MILLE[value] for value in np.rint(1000 * probabilities).astype(int).tolist())


def _gaps(positions: NDArray[np.int64]) -> list[int]:
    """See `schema.Gaps`."""
    gaps: list[int] = np.diff(positions, prepend=0).tolist()
    return gaps


def _rounded(value: float) -> float | None:
    """None for NaN."""
    return None if math.isnan(value) else round(value, 4)


def _runs(origin: NDArray[np.int64], after: NDArray[np.int64]) -> Iterator[Segment]:
    """The canvas after a frame as segments: runs of formerly adjacent positions, or of new ones with equal tokens."""
    start = 0
    for end in range(1, len(origin) + 1):
        if end < len(origin):
            new = origin[start] < 0
            if (origin[end] < 0 and after[end] == after[start]) if new else origin[end] == origin[end - 1] + 1:
                continue
        count = end - start
        yield (-1, count, int(after[start])) if origin[start] < 0 else (int(origin[start]), count)
        start = end
