"""What a model copied, against a plain search."""

from hypothesis import given
from hypothesis import strategies as st

from shakegpt.evaluation.memorization import copied_share_of, longest_common_substring, measure_memorization

texts = st.text(alphabet="ab\n", max_size=60)


def longest_by_brute_force(written: str, learned: str) -> int:
    """Try every part of ``written``, longest first."""
    return max(
        end - start
        for start in range(len(written) + 1)
        for end in range(start, len(written) + 1)
        if written[start:end] in learned
    )


@given(texts, texts)
def test_the_longest_run_is_the_one_a_plain_search_finds(written: str, learned: str) -> None:
    run = longest_common_substring(written, learned)
    assert run in written
    assert run in learned
    assert len(run) == longest_by_brute_force(written, learned)


@given(texts, texts, st.integers(1, 8))
def test_the_share_counts_windows_of_what_was_written(written: str, learned: str, width: int) -> None:
    windows = [written[start : start + width] for start in range(len(written) - width + 1)]
    expected = sum(window in learned for window in windows) / len(windows) if windows else 0.0
    assert copied_share_of(written, learned, width) == expected


def test_a_run_longer_than_a_power_of_two_is_found_whole() -> None:
    line = "To be, or not to be: that is the question, whether 'tis nobler in the mind to suffer"
    found = measure_memorization(f"xx{line}yy", f"aa{line}bb")
    assert found.longest_run == line
    assert found.characters == len(line) + 4
    windows = len(line) + 4 - 40 + 1
    assert found.copied_share == (windows - 4) / windows


def test_texts_with_nothing_in_common() -> None:
    assert longest_common_substring("abc", "xyz") == ""
    assert copied_share_of("abc", "xyz", 40) == 0.0
