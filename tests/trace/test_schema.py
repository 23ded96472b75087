"""The JSON of a trace is what its schema and docs/trace.md say."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.trace.page import trace_page
from dlm_length.trace.record import Frame, Trace, Traced
from dlm_length.trace.schema import FrameData, TraceData
from dlm_length.trace.terminal import line

DOCUMENT = (Path(__file__).parents[2] / "docs" / "trace.md").read_text(encoding="utf-8")
DAEDAL = {"initial_length": 16, "max_length": 64, "block_length": 8, "tau_expand": 1.0, "tau_low": 0.4}


@pytest.fixture
def record(tiny_model: MaskPredictor) -> Callable[..., Trace]:
    """Denoise an answer under a policy, recorded."""

    def record(name: str, **fields: Any) -> Trace:
        frames: list[Frame] = []
        policy = build_policy(name, **fields)
        (done,) = Engine(tiny_model).generate([[5, 6, 7]], Traced(policy, frames.append))
        return Trace(
            experiment="e",
            benchmark="b",
            model="m",
            policy=policy.model_dump(mode="json"),
            sample_id="s",
            prompt="p",
            answer=done.text(),
            prompt_length=3,
            e_token=done.e_token,
            nfe=done.ledger.total.nfe,
            probe_nfe=done.ledger.probe.nfe,
            length_sum=done.ledger.total.length_sum,
            head_rows=done.ledger.total.head_rows,
            frames=frames,
            text=str,
        )

    return record


def json_of(page: str) -> str:
    found = re.search(r'<script type="application/json" id="trace">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("name", "fields"), [("smartcrop", {"length": 16, "tau": 0.3}), ("daedal", DAEDAL), ("fixed", {"length": 8})]
)
def test_a_recorded_trace_keeps_to_the_schema(record: Callable[..., Trace], name: str, fields: dict[str, Any]) -> None:
    recorded = record(name, **fields)
    text = json_of(trace_page(recorded))
    data = TraceData.model_validate_json(text, strict=True)
    assert data.as_json() == json.loads(text), "nothing is lost or added by reading it"
    assert len(data.frames) == len(recorded.frames)
    for read, frame in zip(data.frames, recorded.frames, strict=True):
        assert read.window == frame.window
        assert np.cumsum(read.committed).astype(int).tolist() == frame.committed.tolist()
        assert len(read.confidences) == len(read.eos) == 2 * len(frame.masked)
        assert (read.termination_cdf is not None) == frame.probe
        assert read.changes == (tuple((c.kind, c.position, c.before, c.after) for c in frame.changes) or None)
    if name != "fixed":
        assert any(frame.segments for frame in data.frames), "otherwise no change of the length was seen"


@pytest.mark.parametrize(
    ("fields", "stops"),
    [
        ({"cache": "dual", "stop": "cut"}, ("cut",)),
        ({"cache": "prefix", "early_commit": "prophet", "prophet_gaps": (99.0, 2.0, 1.0)}, ("prophet",)),
    ],
)
def test_recomputed_positions_and_stops_are_shown(
    record: Callable[..., Trace], fields: dict[str, Any], stops: tuple[str, ...]
) -> None:
    recorded = record("fixed", length=24, block_length=8, **fields)
    data = TraceData.model_validate_json(json_of(trace_page(recorded)))
    for place, (frame, read) in enumerate(zip(recorded.frames, data.frames, strict=True)):
        found = None if read.recomputed is None else np.cumsum(read.recomputed).tolist()
        assert found == (None if frame.recomputed is None else frame.recomputed.tolist())
        assert read.stops == (stops if place == len(data.frames) - 1 else None)
    assert data.frames[0].recomputed is None
    partial = recorded.frames[1]
    assert f"computed {8 if fields['cache'] == 'dual' else 24} of 24" in line(partial)
    assert f"ended by {stops[0]}" in line(recorded.frames[-1])


@pytest.mark.parametrize(
    ("key", "value"),
    [("m", "0"), ("m", "zZ"), ("ch", [["grow", 1, 2, 3]]), ("r", [[-2, 4]]), ("new", 1), ("c", None)],
)
def test_what_is_no_frame_is_refused(record: Callable[..., Trace], key: str, value: object) -> None:
    data = json.loads(json_of(trace_page(record("fixed", length=8))))
    data["frames"][0][key] = value
    with pytest.raises(ValidationError, match=rf"frames\.0\.{key}"):
        TraceData.model_validate(data)


@pytest.mark.parametrize(("model", "heading"), [(TraceData, "The trace"), (FrameData, "A frame")])
def test_every_key_is_documented(model: type[BaseModel], heading: str) -> None:
    section = DOCUMENT.split(f"## {heading}\n")[1].split("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
    assert documented == [field.alias or name for name, field in model.model_fields.items()]
