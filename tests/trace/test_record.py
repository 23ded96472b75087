"""Recording a sample changes no token, and the frames are correct."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.common import SpecialTokens
from dlm_length.denoising import Answer, Canvas, DenoiseCoroutine, FollowUp, LengthChange, Query, Stat, StatSpec
from dlm_length.engine import Generation
from dlm_length.policies import Policy, policies
from dlm_length.policies.precomputed_lengths import PrecomputedLengths
from dlm_length.trace.record import TAIL, Frame, Traced

GOLDEN = Path(__file__).parents[1] / "golden" / "cases.jsonl"
CASES = {case["id"]: case for case in map(json.loads, GOLDEN.read_text().splitlines())}
NAMES = {"llada_fixed": "fixed", "fast_dllm_threshold": "fixed"}
SMALL = {"length": 24, "max_length": 72, "block_length": 8, "temperature": 0.7}
MASK, EOS, EOT = 9, 1, 2
TOKENS = SpecialTokens(mask=MASK, eos=EOS, eot=EOT)


def small(name: str) -> Policy:
    """The policy of that name with a canvas that is denoised at once, and chance in it where it takes any."""
    fields = policies()[name].model_fields
    given = SMALL | ({"initial_length": 24} if name == "carve" else {})
    policy = build_policy(name, **{field: value for field, value in given.items() if field in fields})
    return policy.with_lengths({"0": 20}) if isinstance(policy, PrecomputedLengths) else policy


def golden(case: dict[str, Any]) -> Policy:
    return build_policy(NAMES.get(case["method"], case["method"]), **case["params"])


def watched(model: MaskPredictor, prompt: list[int], policy: Policy) -> tuple[Generation, list[Frame]]:
    frames: list[Frame] = []
    (generation,) = Engine(model).generate([prompt], Traced(policy, frames.append))
    return generation, frames


def assert_told(frames: list[Frame], generation: Generation) -> None:
    """The frames follow each other without a gap and end in the answer."""
    assert [frame.forward for frame in frames] == list(range(1, generation.ledger.total.nfe + 1))
    assert sum(frame.probe for frame in frames) == generation.ledger.probe.nfe
    assert [len(frame.before) for frame in frames] == generation.trajectory
    assert [c for frame in frames for c in frame.changes] == [c for c in generation.changes if c.forward > 0]
    for frame, following in pairwise(frames):
        assert frame.after.tolist() == following.before.tolist()
    assert frames[-1].after.tolist() == generation.canvas_ids


@pytest.mark.parametrize("name", list(policies()))
def test_recording_changes_no_token(tiny_model: MaskPredictor, name: str) -> None:
    policy, prompt = small(name), CASES["smartcrop-11-003"]["prompt_ids"]
    (alone,) = Engine(tiny_model).generate([prompt], policy)
    generation, frames = watched(tiny_model, prompt, policy)
    assert generation.canvas_ids == alone.canvas_ids
    assert (generation.trajectory, generation.changes) == (alone.trajectory, alone.changes)
    for costs, costs_alone in (
        (generation.ledger.total, alone.ledger.total),
        (generation.ledger.probe, alone.ledger.probe),
    ):
        assert (costs.nfe, costs.length_sum) == (costs_alone.nfe, costs_alone.length_sum)
        assert costs.flops_reference == costs_alone.flops_reference
    shown = sum(len(frame.before) for frame in frames)
    assert generation.ledger.total.head_rows - shown == alone.ledger.total.head_rows
    assert_told(frames, generation)


def cheaper_cases() -> Iterator[dict[str, Any]]:
    """Three cases of each kind, from the half with fewer forwards."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for case in sorted(CASES.values(), key=lambda case: case["nfe"]):
        kinds.setdefault(case["id"].rsplit("-", 2)[0], []).append(case)
    for cases in kinds.values():
        half = len(cases) // 2
        yield from cases[half // 3 : half + 1 : half // 3][:3]


@pytest.mark.parametrize("case", list(cheaper_cases()), ids=lambda case: case["id"])
def test_golden_cases_are_reproduced_when_recorded(tiny_model: MaskPredictor, case: dict[str, Any]) -> None:
    generation, frames = watched(tiny_model, case["prompt_ids"], golden(case))
    assert generation.canvas_ids == case["canvas_ids"]
    assert (generation.ledger.total.nfe, generation.trajectory) == (case["nfe"], case["lengths"])
    assert_told(frames, generation)


@pytest.mark.parametrize("case_id", ["daedal_insert-11-001", "daedal_insert-11-004", "daedal_insert-11-010"])
def test_new_positions_are_the_masks_that_were_inserted(
    tiny_model: MaskPredictor, monkeypatch: pytest.MonkeyPatch, case_id: str
) -> None:
    """Also where the limit cut off the end (the last two cases), which the change of length alone does not tell."""
    inserted: dict[int, list[int]] = {}
    pushed = 0
    expand = Canvas.expand

    def spy(canvas: Canvas, position: int, count: int, limit: int) -> None:
        nonlocal pushed
        pushed += max(len(canvas) + count - 1 - limit, 0)
        inserted[canvas.forwards] = list(range(position, min(position + count - 1, limit)))
        expand(canvas, position, count, limit)

    monkeypatch.setattr(Canvas, "expand", spy)
    case = CASES[case_id]
    _, frames = watched(tiny_model, case["prompt_ids"], golden(case))
    assert inserted
    assert (pushed > 0) == (case_id != "daedal_insert-11-001")
    found = {f.forward: f.new.tolist() for f in frames if any(c.kind == "insert" for c in f.changes)}
    assert found == inserted
    assert sum(len(frame.dropped) for frame in frames) == pushed


def frame(before: list[int], after: list[int], *changes: LengthChange, **fields: Any) -> Frame:
    """A frame by hand, in which the model predicts EOS at the last two positions."""
    length = len(before)
    given = {
        "forward": 3,
        "probe": False,
        "queried": np.array([1, 2]),
        "before": np.array(before),
        "after": np.array(after),
        "token": np.array([5] * (length - 2) + [EOS, EOS]),
        "confidence": np.linspace(0.1, 0.9, length),
        "eos": np.linspace(0.0, 0.5, length),
        "eot": np.zeros(length),
        "changes": changes,
        "tokens": TOKENS,
    }
    return Frame(**given | fields)


def test_commits_are_recorded_on_the_forwarded_canvas() -> None:
    seen = frame([4, MASK, MASK, MASK, EOS], [4, 5, MASK, MASK, MASK, 6, EOS], LengthChange(3, "insert", 2, 5, 7))
    assert seen.origin.tolist() == [0, 1, -1, -1, 2, 3, 4]
    assert seen.new.tolist() == [2, 3]
    assert seen.filled.tolist() == [4, 5, MASK, 6, EOS]
    assert seen.committed.tolist() == [1, 3]
    assert seen.dropped.tolist() == []
    assert (seen.window, seen.masked.tolist(), seen.done) == ((1, 3), [1, 2, 3], 4)


def test_a_crop_drops_and_an_append_adds() -> None:
    cropped = frame([4, MASK, MASK, MASK], [4, 5], LengthChange(3, "crop", 2, 4, 2))
    assert (cropped.dropped.tolist(), cropped.committed.tolist(), cropped.new.tolist()) == ([2, 3], [1], [])
    longer = frame([4, MASK, MASK], [4, MASK, 6, EOS, EOS], LengthChange(3, "append", 3, 3, 5))
    assert (longer.dropped.tolist(), longer.committed.tolist(), longer.new.tolist()) == ([], [2], [3, 4])


def test_eos_signals() -> None:
    seen = frame([4, MASK, MASK, EOS, MASK], [4, MASK, MASK, EOS, MASK])
    assert seen.eos_density == pytest.approx(1 / 3), "of the masks at 1, 2 and 4 the last predicts EOS"
    assert seen.eos_tail == pytest.approx(0.25), "of all positions where there are fewer than TAIL"
    full = frame([4, 4, EOS], [4, 4, EOS])
    assert np.isnan(full.eos_density)
    long = frame([4] * 8 + [MASK] * TAIL, [4] * 8 + [MASK] * TAIL, eos=np.array([1.0] * 8 + [0.5] * TAIL))
    assert long.eos_tail == 0.5


class SubCoroutine:
    """Commits the first mask after two questions about a forward, twice."""

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(3)
        for token in (7, 8):
            first = canvas.masked()[:1]
            answer = yield Query(canvas, first, StatSpec(Stat.TOKEN))
            again = yield FollowUp(first + 1, StatSpec(Stat.EOS))
            assert (answer.token.tolist(), again.eos.tolist()) == ([token], [0.5])
            canvas.commit(first, answer.token)


def test_the_policy_gets_its_own_answers_and_a_frame_when_it_has_done_with_a_forward() -> None:
    frames: list[Frame] = []
    canvas = Canvas(4, TOKENS)
    coroutine = Traced(SubCoroutine(), frames.append).denoise(canvas)
    questions: list[tuple[type, list[int], Stat]] = []

    def answers() -> Iterator[Answer]:
        for token in (7, 8):
            yield Answer(token=np.array([token]))
            yield Answer(*(np.full(3, value) for value in (token, 0.25, 0.1, 0.0)))
            yield Answer(eos=np.array([0.5]))

    question: Query | FollowUp | None = next(coroutine)
    counts = []
    for answer in answers():
        assert question is not None
        questions.append((type(question), question.positions.tolist(), question.head.want))
        canvas.forwards += isinstance(question, Query)
        counts.append(len(frames))
        try:
            question = coroutine.send(answer)
        except StopIteration:
            question = None
    shown = Stat.TOKEN | Stat.CONFIDENCE | Stat.EOS | Stat.EOT
    assert questions == [
        (Query, [0], Stat.TOKEN),
        (FollowUp, [0, 1, 2], shown),
        (FollowUp, [1], Stat.EOS),
        (Query, [1], Stat.TOKEN),
        (FollowUp, [0, 1, 2], shown),
        (FollowUp, [2], Stat.EOS),
    ]
    assert counts == [0, 0, 0, 1, 1, 1]
    assert [seen.queried.tolist() for seen in frames] == [[0], [1]]
    assert [seen.after.tolist() for seen in frames] == [[7, MASK, MASK], [7, 8, MASK]]
    assert [seen.token.tolist() for seen in frames] == [[7] * 3, [8] * 3]
