"""Four small benchmarks in the forms of the large ones, made by seeded generators."""

from dlm_length.benchmarks._mini.functions import function
from dlm_length.benchmarks._mini.instructions import instruction_prompt
from dlm_length.benchmarks._mini.item import Generator
from dlm_length.benchmarks._mini.questions import question
from dlm_length.benchmarks._mini.word_problems import word_problem

GENERATORS: dict[str, Generator] = {
    "mini_gsm8k": word_problem,
    "mini_humaneval": function,
    "mini_ifeval": instruction_prompt,
    "mini_longformqa": question,
}
"""Each benchmark's generator."""
