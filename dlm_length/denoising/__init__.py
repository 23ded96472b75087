"""What the engine and the policies share, free of torch: the canvas, the question to the model, the decoders."""

from dlm_length.common import SpecialTokens
from dlm_length.denoising.canvas import Blocks, Canvas, LengthChange, Positions
from dlm_length.denoising.decoder import Decoder, confidence_ranking
from dlm_length.denoising.query import Again, Answer, Asking, Denoiser, Denoising, Head, Query, Rehearsed, Want
from dlm_length.denoising.window import confident_fill, past_filled

__all__ = [
    "Again",
    "Answer",
    "Asking",
    "Blocks",
    "Canvas",
    "Decoder",
    "Denoiser",
    "Denoising",
    "Head",
    "LengthChange",
    "Positions",
    "Query",
    "Rehearsed",
    "SpecialTokens",
    "Want",
    "confidence_ranking",
    "confident_fill",
    "past_filled",
]
