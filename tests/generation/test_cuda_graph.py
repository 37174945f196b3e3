"""The step of fixed shape says what the ordinary one says, at every position and past the window's end."""

import pytest
import torch

from shakegpt.config import ModelConfig
from shakegpt.generation.cuda_graph import FixedStep, graphed_step
from shakegpt.generation.decoder import Decoder
from shakegpt.model.gpt import GPT


def random_ids(rows: int, length: int) -> torch.Tensor:
    return torch.randint(13, (rows, length), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_equals_the_ordinary_step_at_every_position(tiny_model: GPT, rows: int, dtype: torch.dtype) -> None:
    """Two and a half windows, the first three characters at once: what is kept is used by both ways of reading."""
    model = tiny_model.to(dtype)
    ids = random_ids(rows, 20)
    plain, fixed = Decoder(model, batch_size=rows), Decoder(model, batch_size=rows)
    step = FixedStep(model, fixed._keys, fixed._values)
    taken = []

    def note(ids: torch.Tensor, position: int) -> torch.Tensor:
        taken.append(position)
        return FixedStep.step(step, ids, position)  # type: ignore[arg-type]

    step.step = note  # type: ignore[method-assign,assignment]
    fixed._solo, fixed._one_further = None, step
    kept = None
    for start, end in ((0, 3), *((place, place + 1) for place in range(3, 20))):
        expected, logits = plain.read(ids[:, start:end]), fixed.read(ids[:, start:end])
        assert logits.dtype == dtype
        torch.testing.assert_close(logits, expected, atol=1e-4 if dtype == torch.float32 else 0.3, rtol=1e-4)
        if kept is not None:
            assert torch.equal(*kept)  # what was given out is not written over
        kept = logits, logits.clone()
    assert taken == [3, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4]  # after each window, its last half is read at once


def test_where_it_cannot_be_recorded_nothing_is_said(tiny_model: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(step: FixedStep) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(FixedStep, "record", refuse)
    decoder = Decoder(tiny_model)
    assert graphed_step(tiny_model, decoder._keys, decoder._values) is None


def test_a_cpu_records_nothing(tiny_model: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shakegpt.generation.decoder.graphed_step", None)  # not to be called
    assert Decoder(tiny_model).read(random_ids(1, 2)).shape == (1, 13)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
@pytest.mark.parametrize("rows", [1, 3])
def test_a_gpu_replays_it(tiny_config: ModelConfig, rows: int) -> None:
    plain, graphed = (Decoder(GPT(tiny_config, seed=3).to(device), batch_size=rows) for device in ("cpu", "cuda"))
    assert graphed._one_further is not None
    for piece in random_ids(rows, 20).split(1, dim=1):
        torch.testing.assert_close(graphed.read(piece).cpu(), plain.read(piece), atol=1e-4, rtol=1e-4)
