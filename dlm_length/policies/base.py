"""What a length policy is."""

from abc import abstractmethod

from dlm_length.common import Named
from dlm_length.denoising import Canvas, Denoising


class Policy(Named):
    """How long the answer is and how it is denoised: a paper's pseudo-code for one sample, as a coroutine.

    A policy is a frozen set of parameters; everything that changes during a sample lives in its coroutine and canvas.
    """

    @abstractmethod
    def denoise(self, canvas: Canvas) -> Denoising:
        """Fill `canvas`, which comes empty: yields queries, receives answers, leaves no mask behind."""
