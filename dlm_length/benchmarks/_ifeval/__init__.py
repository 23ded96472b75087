"""The verifier of IFEval, which decides which instructions an answer follows, and can be used on its own:

    verify(["punctuation:no_comma"], [{}], "No commas here.").strict == (True,)

No library is used, for these reasons: the official code is not in a package; lm-eval's copy downloads sentence data
when it is imported, does not seed language detection, and counts a random letter where the prompt asks for `#` or `!`;
if-verifiable drops the text before `</think>`, skips unknown instructions, and needs downloaded sentence data too.
NLTK, which all of them use for sentences and words, counts both differently since 3.10 (sentences in one of 23 answers
by language models, out of 2,597) and has a wall-clock timeout. The rules here are the official ones with NLTK 3.9;
comments mention where those are odd.
"""

from dlm_length.benchmarks._ifeval.patterns import RunawayPatternError
from dlm_length.benchmarks._ifeval.verification import Verdict, instructions_of, verdict, verify

__all__ = ["RunawayPatternError", "Verdict", "instructions_of", "verdict", "verify"]
