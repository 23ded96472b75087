"""What the engine and the policies share, free of torch: the canvas, the question to the model, the decoders."""

from dlm_length.common import SpecialTokens
from dlm_length.denoising.canvas import Canvas, Positions
from dlm_length.denoising.decoder import Decoder
from dlm_length.denoising.query import Again, Answer, Denoiser, Denoising, Head, Query, Want

__all__ = [
    "Again",
    "Answer",
    "Canvas",
    "Decoder",
    "Denoiser",
    "Denoising",
    "Head",
    "Positions",
    "Query",
    "SpecialTokens",
    "Want",
]
