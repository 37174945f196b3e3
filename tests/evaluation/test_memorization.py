"""What a model copied, compared with a plain search."""

from hypothesis import given
from hypothesis import strategies as st

from shakegpt.evaluation.memorization import common_window_share, longest_common_substring, measure_memorization

texts = st.text(alphabet="ab\n", max_size=60)


def longest_by_brute_force(generated: str, training: str) -> int:
    """Try every part of ``generated``, longest first."""
    return max(
        end - start
        for start in range(len(generated) + 1)
        for end in range(start, len(generated) + 1)
        if generated[start:end] in training
    )


@given(texts, texts)
def test_the_longest_run_is_the_one_a_plain_search_finds(generated: str, training: str) -> None:
    run = longest_common_substring(generated, training)
    assert run in generated
    assert run in training
    assert len(run) == longest_by_brute_force(generated, training)


@given(texts, texts, st.integers(1, 8))
def test_the_share_counts_windows_of_what_was_generated(generated: str, training: str, width: int) -> None:
    windows = [generated[start : start + width] for start in range(len(generated) - width + 1)]
    expected = sum(window in training for window in windows) / len(windows) if windows else 0.0
    assert common_window_share(generated, training, width) == expected


def test_a_run_longer_than_a_power_of_two_is_found_whole() -> None:
    line = "To be, or not to be: that is the question, whether 'tis nobler in the mind to suffer"
    found = measure_memorization(f"xx{line}yy", f"aa{line}bb")
    assert found.longest_run == line
    assert found.characters == len(line) + 4
    windows = len(line) + 4 - 40 + 1
    assert found.copied_share == (windows - 4) / windows


def test_texts_with_nothing_in_common() -> None:
    assert longest_common_substring("abc", "xyz") == ""
    assert common_window_share("abc", "xyz", 40) == 0.0
