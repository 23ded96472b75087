from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.benchmarks import _arithmetic
from dlm_length.benchmarks._numbers import EXTRACTIONS, boxed, flexible, plain, reference, strict, value


@pytest.mark.parametrize(
    ("text", "number", "worth"),
    [
        ("The answer is 18.", "18", 18),
        ("so $1,450,000.", "$1,450,000", 1_450_000),
        ("-$5", "-$5", -5),
        ("$-5", "$-5", -5),
        ("\u22127 degrees", "\u22127", -7),
        ("that makes 25%.", "25%", 25),
        ("0.1 + 0.2 = 0.30", "0.30", Fraction(3, 10)),
        (".5", ".5", Fraction(1, 2)),
        ("3/4 of it", "3/4", Fraction(3, 4)),
        ("10-3", "3", 3),
        ("x-1", "1", 1),
        ("(4)-2", "2", 2),
        ("10 -3", "-3", -3),
        ("- 12 apples", "12", 12),
        ("1,2,3", "3", 3),
        ("1,234,5678", "5678", 5678),
        ("5/0", "0", 0),
        ("**42**", "42", 42),
        (r"\frac{1}{2}", "1/2", Fraction(1, 2)),
        (r"\$1{,}450", "$1,450", 1450),
        (r"12\,500 m", "12,500", 12_500),
        ("18.00", "18.00", 18),
        (r"\frac12", "1/2", Fraction(1, 2)),
        (r"\frac1{12}", "1/12", Fraction(1, 12)),
        (r"x = \frac{-1}{2}", "-1/2", Fraction(-1, 2)),
        (r"\frac{1,000}{2}", "1000/2", 500),
        (r"\tfrac{1.5}{2}", "1.5/2", Fraction(3, 4)),
        ("10/2.5", "10/2.5", 4),
        (r"1\frac{1}{2}", "1 1/2", Fraction(3, 2)),
        (r"3\,\frac12", "3 1/2", Fraction(7, 2)),
        ("so 1 1/2.", "1 1/2", Fraction(3, 2)),
        ("-$2 3/4", "-$2 3/4", Fraction(-11, 4)),
        ("2 10/5", "2 10/5", None),
        ("1 000 000", "1,000,000", 1_000_000),
        ("1 250 000.5 m", "1,250,000.5", Fraction(2_500_001, 2)),
        ("5 100 200", "200", 200),
        ("12\u202f500", "12,500", 12_500),
        ("1e3", "1e3", 1000),
        ("1.5E-3", "1.5E-3", Fraction(3, 2000)),
        ("1e99999", "1e99999", None),
        ("3e apples", "3", 3),
        ("Rs. 1,25,000", "1,25,000", 125_000),
        ("1,00,00,000", "1,00,00,000", 10_000_000),
        ("1,0000,0000", "1,0000,0000", 100_000_000),
        ("12,50", "12,50", Fraction(25, 2)),
        ("0,125 l", "0,125", Fraction(1, 8)),
        ("1.234,56", "1.234,56", Fraction(123_456, 100)),
        ("1.234.567", "1.234.567", 1_234_567),
        ("1'234'567", "1,234,567", 1_234_567),
        ("1_000", "1,000", 1000),
        ("\u20135 degrees", "\u20135", -5),
        ("\uff0d5", "\uff0d5", -5),
        ("_-5_", "-5", -5),
        ("1\xbd cups", "1 1/2", Fraction(3, 2)),
        ("\xbe", "3/4", Fraction(3, 4)),
        ("on 4.2.2024", "4.2.2024", None),
        ("version 4.2.1", "4.2.1", None),
        ("1.5,2.5", "2.5", Fraction(5, 2)),
        (r"2{,}5", "2.5", Fraction(5, 2)),
    ],
)
def test_the_last_number_is_extracted_as_written_with_its_value(text: str, number: str, worth: Fraction | None) -> None:
    assert flexible(text) == number
    assert value(number) == worth


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("#### 18", "18"),
        ("####18 and 19", "18"),
        ("#### $1,000.50.", "$1,000.50"),
        ("#### 3\n#### 4", "3"),
        ("#### about 3", None),
        ("####\n3", None),
        ("### 3", None),
        ("", None),
        ("#### 12,50", "12,50"),
        ("#### 3, 4", "3"),
        ("#### 4.2.1 and 5", "4.2.1"),
        ("#### 2024-05-01", "2024-05-01"),
        ("#### 5/1/2024", "5/1/2024"),
        ("#### 10:30", "10:30"),
    ],
)
def test_strict_extracts_the_number_directly_after_the_first_mark(text: str, number: str | None) -> None:
    assert strict(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (r"\boxed{18}", "18"),
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{x = 5}", "5"),
        (r"\boxed{.5}", ".5"),
        (r"\boxed{x = .5}", ".5"),
        (r"\boxed{\text{about }.50}", ".50"),
        (r"\boxed{.: 5}", "5"),
        (r"\boxed{18 \text{ m}^2}", "18"),
        (r"\boxed{\$1{,}450} 7", "$1,450"),
        (r"\boxed{-\dfrac{3}{4}}", "-3/4"),
        (r"\boxed{\text{none}}", None),
        (r"\boxed{}", None),
        (r"\boxed{12", "12"),
        (r"\boxed{1\frac{1}{2}}", "1 1/2"),
        (r"\boxed{3 \frac{1}{2}}", "3 1/2"),
        (r"\boxed {18} 7", "18"),
        (r"$\boxed 18$, so 7", "18"),
        (r"\boxed{18} as asked in \boxed.", "18"),
        ("18", None),
        (r"\boxed{18} as asked in \boxed{}, \boxed{...}, \boxed{\text{}} or \boxed{ }", "18"),
        (r"\boxed{18} in a \boxed form", "18"),
        (r"\boxed{5 - 8}", "-3"),
        (r"\boxed{2^3}", "8"),
        (r"\boxed{2^{-1}}", "1/2"),
        (r"\boxed{|-4|}", "4"),
        (r"\boxed{\left|3 - 7\right|}", "4"),
        (r"\boxed{\left\lfloor \frac{7}{2} \right\rfloor}", "3"),
        (r"\boxed{\lceil 3.5 \rceil}", "4"),
        (r"\boxed{\binom{4}{2}}", "6"),
        (r"\boxed{18}, where \boxed{your answer} was asked for", "18"),
        (r"\boxed{\sqrt{4}}", "2"),
        (r"\boxed{\sqrt[3]{27}}", "3"),
        (r"\boxed{4!}", "24"),
        (r"\boxed{84 \div 2}", "42"),
        (r"\boxed{3 \times 4 \text{ apples}}", "12"),
        (r"\boxed{3 \times 4 = 12}", "12"),
        (r"\boxed{12 = x}", "12"),
        (r"\boxed{2(3 + 4)}", "14"),
        (r"\boxed{3 \times 10^4}", "30000"),
        (r"\boxed{-\left(\frac{3}{4}\right)}", "-3/4"),
        (r"\boxed{- 4}", "-4"),
        ("\\boxed{\u2013 4}", "-4"),
        (r"\boxed{\text{Profit: }-4}", "-4"),
        (r"\boxed{\text{minus } 4}", "-4"),
        (r"\boxed{10\,080}", "10,080"),
        (r"\boxed{18 m^2}", "18"),
        (r"\boxed{18\,\mathrm{m^2}}", "18"),
        (r"\boxed{18 km/h}", "18"),
        (r"\boxed{18 \frac{km}{h}}", "18"),
        (r"\boxed{18 \text{ (of 20)}}", "18"),
        (r"\boxed{18^\circ\text{C}}", "18"),
        (r"\boxed{\text{18 apples}}", "18"),
        (r"\boxed{\mathbf{18}}", "18"),
        (r"\boxed{{18}}", "18"),
        (r"\boxed{18.}", "18"),
        (r"\boxed{3,5}", "3,5"),
        (r"\boxed{(3,5 + 1)}", "9/2"),
        (r"\boxed{(1,000)}", "1000"),
        ("\\boxed{18\n</answer> 7", "18"),
    ],
)
def test_boxed_reads_the_last_box(text: str, number: str | None) -> None:
    assert boxed(text) == number


@pytest.mark.parametrize(
    "content",
    [
        "3, 4",
        "1,2,3",
        "(3,4)",
        "(-3,4)",
        r"\left( 3,4 \right)",
        "[3,4)",
        r"3 \text{ and } 4",
        r"5 \text{ hours } 30 \text{ minutes}",
        r"\{3, 4\}",
        "3x",
        "3xy",
        "2n",
        "n^2",
        "x_1",
        r"2\pi",
        r"\sqrt{2}",
        r"\pm 4",
        "10:30",
        "3:2",
        "4.2.2024",
        "1/0",
        "9^{9^{9}}",
        "(-8)^{1/2}",
        "10^{-9999}",
        "500!",
        r"5\% \times 200",
        r"\lfloor 3",
        r"\binom{2}{4}",
    ],
)
def test_content_that_is_not_a_number_is_returned_unchanged_and_has_no_value(content: str) -> None:
    found = boxed(rf"\boxed{{{content}}}")
    assert found == content
    assert value(found) is None


def test_a_reference_is_one_number_or_none() -> None:
    for answer, number in [("#### 1,450", "1450"), ("#### 12,50", "12.50"), ("#### 12 apples\n(see 3)", "12")]:
        found = reference(answer)
        assert found is not None
        assert plain(found) == number
    for answer in ("#### 3, 4", "#### 4.2.2024", "#### 5 - 8", "#### 1,2,3", "####", "12"):
        assert reference(answer) is None


@pytest.mark.parametrize(
    ("expression", "worth"),
    [
        ("2 + 3 * 4", 14),
        ("-2^2", -4),
        ("2^3^2", 512),
        ("4^{1/2}", 2),
        ("(2 + 3)(4)", 20),
        (r"\frac12 + \frac{1}{3}", Fraction(5, 6)),
        (r"1\frac12", Fraction(3, 2)),
        ("3! - 1", 5),
        ("2 ** 3", 8),
        ("0^{-1}", None),
        ("1 +", None),
        ("", None),
        ("(" * 1000, None),
        ("-" * 400 + "1", 1),
        (r"\frac{1}", None),
        ("2 3", None),
    ],
)
def test_an_expression_has_its_exact_value(expression: str, worth: int | Fraction | None) -> None:
    assert _arithmetic.value_of(expression) == worth


@given(st.text(alphabet="0123456789+-*/^!(){}[]. \\fracsqt"))
def test_no_expression_raises(expression: str) -> None:
    found = _arithmetic.value_of(expression)
    assert found is None or isinstance(found, Fraction)


@given(
    st.integers(min_value=-(10**30), max_value=10**30),
    st.sampled_from(["{:,}", "{}", "${:,}", "{:,}.", "{:,}.0", "{:,}%"]),
)
def test_every_integer_is_extracted_in_every_form(number: int, form: str) -> None:
    written = form.format(number)
    for name, text in [
        ("strict", f"so\n#### {written}"),
        ("flexible", f"1 + 2: {written}"),
        ("boxed", rf"\boxed{{{written}}}"),
    ]:
        found = EXTRACTIONS[name](text)
        assert found is not None
        assert value(found) == number


@given(st.text() | st.text(alphabet="0123456789,.-$/# \\{}%bofxedrac"))
def test_extraction_does_not_raise_for_any_text(text: str) -> None:
    for extract in EXTRACTIONS.values():
        found = extract(text)
        assert found is None or value(found) is None or isinstance(value(found), Fraction)


@pytest.mark.parametrize(
    "unit",
    [
        "9",
        "1,",
        "1,111,",
        "-",
        "#",
        "####",
        "#### ",
        r"\boxed{",
        "{",
        "$",
        "1/",
        ".",
        " ",
        "\n",
        "٣",
        r"\frac{1",
        "1{,}",
        "1 000 ",
        "111 ",
        "1 1/",
        "1e",
        "1/0",
        "1~",
        "\\boxed ",
    ],
)
def test_long_texts_are_processed_in_linear_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    for extract in EXTRACTIONS.values():
        for hostile in (text, text + "x", "#### " + text, r"\boxed{" + text):
            found = extract(hostile)
            assert found is None or value(found) is None or len(found) <= 200


def test_digits_of_other_scripts_and_endless_digits_are_not_numbers() -> None:
    assert flexible("٣٤") is None
    assert value("9" * 5000) is None
    assert value("1/0") is None
    assert value("") is None
