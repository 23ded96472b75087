"""Four small benchmarks in the forms of the large ones, made by seeded generators."""

from .functions import function
from .instructions import instruction_prompt
from .item import Generator
from .questions import question
from .word_problems import word_problem

GENERATORS: dict[str, Generator] = {
    "mini_gsm8k": word_problem,
    "mini_humaneval": function,
    "mini_ifeval": instruction_prompt,
    "mini_longformqa": question,
}
"""Each benchmark's generator."""
