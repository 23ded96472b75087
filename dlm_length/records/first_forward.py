"""first_eos.npz: the EOS probabilities of the first forward on a fixed canvas, before anything is denoised."""

import io
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from dlm_length.records.errors import RecordError
from dlm_length.records.files import write_atomically

FIRST_EOS = "first_eos.npz"

EosProbabilities = Mapping[str, NDArray[np.float32]]
"""Sample id -> EOS probability of every position of the canvas, (canvas,)."""


def write_first_eos(run: Path, probabilities: EosProbabilities) -> Path:
    """Write first_eos.npz into the folder `run` and return its path."""
    file = run / FIRST_EOS
    packed = io.BytesIO()
    np.savez_compressed(packed, ids=np.array(list(probabilities)), eos=np.array(list(probabilities.values())))
    write_atomically(file, packed.getvalue())
    return file


def read_first_eos(run: Path) -> EosProbabilities | None:
    """The content of first_eos.npz; None where there is no file. Raises RecordError for a file of another kind."""
    file = run / FIRST_EOS
    if not file.exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as read:
            return dict(zip(read["ids"].tolist(), read["eos"], strict=True))
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise RecordError(f"run {file}: cannot be read ({error}); `dlmlen probe {run}` writes it again.") from error
