"""Masks that depend on the seed, the step and the sequence alone, and leave the mean where it was."""

import pytest
import torch

from shakegpt.model.dropout import DeviceDropoutMasks, SequenceDropoutMasks, make_dropout_masks


def mask(seed: int = 1, step: int = 1, rows: range = range(4), probability: float = 0.25) -> torch.Tensor:
    return SequenceDropoutMasks(seed, step, rows).drop(torch.ones(len(rows), 16, 8), probability)


@pytest.mark.parametrize("probability", [0.1, 0.25, 0.5, 0.999])
def test_the_mean_stays_and_the_right_share_is_dropped(probability: float) -> None:
    dropped = SequenceDropoutMasks(3, 1, range(10)).drop(torch.ones(10, 100, 200), probability)
    share = (dropped == 0).double().mean().item()
    assert share == pytest.approx(probability, abs=0.005)  # the probability is rounded to a multiple of 1/256
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.15 if probability > 0.9 else 0.01)
    assert len(dropped.unique()) == 2


def test_no_dropout_changes_nothing() -> None:
    x = torch.rand(4, 8)
    assert torch.equal(SequenceDropoutMasks(1, 1, range(4)).drop(x, 0.0), x)


def test_masks_depend_on_the_seed_and_the_step_alone() -> None:
    first = mask()
    torch.rand(10)
    assert torch.equal(mask(), first)
    assert not torch.equal(mask(seed=2), first)
    assert not torch.equal(mask(step=2), first)


def test_the_masks_of_one_pass_differ() -> None:
    masks, x = SequenceDropoutMasks(1, 1, range(4)), torch.ones(4, 64)
    assert not torch.equal(masks.drop(x, 0.5), masks.drop(x, 0.5))


def test_a_sequence_has_the_same_masks_however_the_batch_is_cut() -> None:
    whole = mask(rows=range(6))
    assert torch.equal(torch.cat([mask(rows=range(2)), mask(rows=range(2, 3)), mask(rows=range(3, 6))]), whole)
    masks = SequenceDropoutMasks(1, 1, range(6))
    parts = [masks.of_rows(rows).drop(torch.ones(len(rows), 16, 8), 0.25) for rows in (range(4, 6), range(4))]
    assert torch.equal(torch.cat([parts[1], parts[0]]), whole)
    assert not torch.equal(whole[0], whole[1])


def test_gradients_are_dropped_with_their_values() -> None:
    x = torch.ones(2, 100, requires_grad=True)
    dropped = SequenceDropoutMasks(1, 1, range(2)).drop(x, 0.5)
    dropped.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, dropped)  # of a one, value and slope are the same


def test_each_kind_of_device_has_its_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_device_module", lambda device: torch)
    assert isinstance(make_dropout_masks(1, 1, 4, torch.device("cpu")), SequenceDropoutMasks)
    assert isinstance(make_dropout_masks(1, 1, 4, torch.device("cuda")), DeviceDropoutMasks)


def test_a_gpus_masks_depend_on_the_seed_the_step_and_the_order_of_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's generator stands in for a GPU's."""
    monkeypatch.setattr(torch, "get_device_module", lambda device: torch)

    def masks(seed: int = 1, step: int = 1, passes: int = 2) -> torch.Tensor:
        masks = DeviceDropoutMasks(seed, step, torch.device("cuda"))
        parts = (masks.of_rows(range(row, row + 8 // passes)) for row in range(0, 8, 8 // passes))
        return torch.cat([part.drop(torch.ones(8 // passes, 500), 0.25) for part in parts])

    first = masks()
    torch.rand(10)
    assert torch.equal(masks(), first)
    assert not any(torch.equal(masks(*other), first) for other in ((2,), (1, 2)))
    assert torch.equal(masks(passes=1), first)
    assert not torch.equal(first[:4], first[4:])
    assert first.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (first == 0).double().mean().item() == pytest.approx(0.25, abs=0.03)
