"""Branches against whole texts kept apart."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.generation.branches import Branch, Branches, parting

CHARACTERS = "abc"
PROBABILITY = {"a": 0.5, "b": 0.25, "c": 0.125}


def pairs(text: str) -> list[tuple[str, float]]:
    return [(character, PROBABILITY[character]) for character in text]


def first_difference(one: str, other: str) -> int:
    return next((index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), -1)


def grow(data: st.DataObject) -> tuple[Branches, dict[Branch, str]]:
    """Grow a tree by forks and additions drawn at random, beside a whole text for each branch."""
    tree = Branches()
    texts = {tree.root: ""}
    for _ in range(data.draw(st.integers(0, 12))):
        branch = data.draw(st.sampled_from(list(texts)))
        text = texts[branch]
        position = data.draw(st.integers(0, len(text)))
        if position == len(text):
            added = data.draw(st.text(CHARACTERS, max_size=5))
            branch.extend(pairs(added))
            texts[branch] += added
            continue
        begun = text[:position] + data.draw(st.sampled_from(CHARACTERS))
        alike = [other for other, whole in texts.items() if whole.startswith(begun)]
        found = tree.find(branch, position, begun[-1])
        assert (found in alike) if alike else found is None
        if not alike:
            texts[tree.fork(branch, position, begun[-1], PROBABILITY[begun[-1]])] = begun
    return tree, texts


@given(st.data())
def test_a_tree_is_like_whole_texts_kept_apart(data: st.DataObject) -> None:
    tree, texts = grow(data)
    assert sorted(branch.number for branch in tree) == list(range(1, len(texts) + 1))
    seen: list[Branch | None] = [None]
    for branch in tree:
        text = texts[branch]
        assert branch.parent in seen, "a branch comes after the one that it parted from"
        seen.append(branch)
        assert (branch.text, branch.end) == (text, len(text))
        assert branch.log_probability == pytest.approx(sum(math.log(PROBABILITY[letter]) for letter in text))
        start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
        assert "".join(letter for letter, _ in branch.characters(start, end)) == text[start:end]
        assert branch.before(start) == text[:start]
        for other, whole in texts.items():
            assert parting(branch, other) == (len(text) if other is branch else first_difference(text, whole))
    order = list(tree)
    assert [tree.neighbour(branch, 1) for branch in order] == order[1:] + order[:1]


@given(st.data())
def test_what_parted_before_a_forgotten_beginning_is_gone(data: st.DataObject) -> None:
    tree, texts = grow(data)
    branch = data.draw(st.sampled_from(list(texts)))
    position = data.draw(st.integers(0, len(texts[branch])))
    kept = {other for other in texts if other is branch or first_difference(texts[branch], texts[other]) >= position}
    gone = tree.forget_before(branch, position)
    assert set(tree) == kept
    assert set(gone) == set(texts) - kept
    assert len(tree) == len(kept)
    for other in tree:
        assert other.text == texts[other][position:]
        assert other.end == len(texts[other])
        kept_logs = [math.log(PROBABILITY[letter]) for letter in texts[other][position:]]
        assert other.log_probability == pytest.approx(sum(kept_logs))


def test_a_branch_needs_a_character_to_part_from_and_another_to_go_on_with() -> None:
    tree = Branches()
    tree.root.extend(pairs("abc"))
    with pytest.raises(ValueError, match="no character at 3"):
        tree.fork(tree.root, 3, "a", 0.5)
    with pytest.raises(ValueError, match="goes on with 'b' at 1 already"):
        tree.fork(tree.root, 1, "b", 0.25)
    child = tree.fork(tree.root, 1, "c", 0.125)
    assert (child.number, child.depth, child.own) == (2, 1, "c")
    sibling = tree.fork(child, 1, "a", 0.5)
    assert sibling.parent is tree.root, "the root and both of them part in the same place"
    assert sibling.log_probability == pytest.approx(2 * math.log(0.5))
