"""What engine and policies share, without torch: the canvas, queries to the model and their answers, decoders."""

from dlm_length.common import SpecialTokens
from dlm_length.denoising.canvas import BlockCausalAttention, Canvas, LengthChange, Positions
from dlm_length.denoising.decoder import DECODER_GROUPS, Decoder, DecoderGroup, confidence_ranking
from dlm_length.denoising.presets import PRESETS
from dlm_length.denoising.query import (
    Answer,
    DenoiseCoroutine,
    Denoiser,
    FollowUp,
    Query,
    Stat,
    StatSpec,
    SubCoroutine,
    TwoPass,
)
from dlm_length.denoising.window import next_masked_window, select_confident

__all__ = [
    "DECODER_GROUPS",
    "PRESETS",
    "Answer",
    "BlockCausalAttention",
    "Canvas",
    "Decoder",
    "DecoderGroup",
    "DenoiseCoroutine",
    "Denoiser",
    "FollowUp",
    "LengthChange",
    "Positions",
    "Query",
    "SpecialTokens",
    "Stat",
    "StatSpec",
    "SubCoroutine",
    "TwoPass",
    "confidence_ranking",
    "next_masked_window",
    "select_confident",
]
