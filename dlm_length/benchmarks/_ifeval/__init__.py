"""The verifier of IFEval, usable on its own: which instructions does an answer follow?

    verify(["punctuation:no_comma"], [{}], "No commas here.").strict == (True,)

Written here, not taken from a library, for what was found in the candidates: the official code is in no package;
lm-eval's copy downloads its sentence data when imported, does not seed the language detection and asks about a random
letter where the prompt asks about `#` or `!`; if-verifiable drops the text before `</think>`, skips instructions it
does not know, and needs downloaded sentence data too. NLTK, which all of them call for sentences and words, counts both
otherwise since 3.10 (the sentences of every 23rd answer of 2,597 by language models) and gives up by the clock. The
rules here are the official ones with NLTK 3.9; where those are odd, a comment says so.
"""

from dlm_length.benchmarks._ifeval.patterns import RunawayPatternError
from dlm_length.benchmarks._ifeval.verification import Verdict, instructions_of, verdict, verify

__all__ = ["RunawayPatternError", "Verdict", "instructions_of", "verdict", "verify"]
