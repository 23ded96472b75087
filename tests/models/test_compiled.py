"""`hardware.compile`: the layers compiled, attention left alone."""

import shutil

import pytest

from dlm_length import Engine, build_policy, load_model


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on a CPU")
def test_a_compiled_model_gives_the_same_answers_in_batches_of_every_shape(write_checkpoint):
    folder = str(write_checkpoint(config={"n_layers": 1}))
    plain, compiled = (load_model(folder, device="cpu", compiled=compiled) for compiled in (False, True))
    prompts = [list(range(4, 4 + length)) for length in (5, 9, 9, 30)]
    policy = build_policy("smartcrop", length=8)
    answers = [
        {g.index: g.canvas_ids for g in Engine(model, 40).generate(prompts, policy)} for model in (plain, compiled)
    ]
    assert answers[0] == answers[1]
    assert compiled.backbone.layers[0]._compiled_call_impl is not None
