"""Compute the figures of ``test_reference_figures.py`` with transformers and nothing of shakegpt's model or inspection.

Run in the checkout after another model has begun to ship, on the text that it learned:

    shakegpt export pretrained pretrained-hf --format hf
    python -m tests.inspection.reference_figures pretrained-hf tinyshakespeare.txt
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

POSITIONS = [range(1), *(range(1 << n, 2 << n) for n in range(7))]
_WINDOWS_PER_BATCH = 20


@torch.inference_mode()
def compute(folder: Path, text: str) -> dict[str, Any]:
    """Return the figures over the last tenth of a text, in windows of the model's context that do not overlap."""
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    ids = torch.tensor(AutoTokenizer.from_pretrained(folder)(text[int(0.9 * len(text)) :])["input_ids"])
    size = model.config.n_positions
    windows = (len(ids) - 1) // size
    inputs, targets = ids[: windows * size].view(windows, size), ids[1 : windows * size + 1].view(windows, size)
    losses = _losses(model, inputs, targets)
    return {
        "mean loss": round(float(losses.mean()), 5),
        "loss by position": {
            f"{span.start} to {span.stop - 1}": round(float(losses[:, list(span)].mean()), 3) for span in POSITIONS
        },
        "attention to the character before": _previous(model, inputs[:200]),
        "cost of muting": _mute_costs(model, inputs[:200], targets[:200]),
        "loss of the lens": _lens_losses(model, inputs[:100], targets[:100]),
    }


def _losses(model: Any, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return each character's loss, (N, T)."""
    pairs = zip(inputs.split(_WINDOWS_PER_BATCH), targets.split(_WINDOWS_PER_BATCH), strict=True)
    return torch.cat([functional.cross_entropy(model(x).logits.mT, y, reduction="none").double() for x, y in pairs])


def _previous(model: Any, inputs: Tensor) -> list[list[float]]:
    sums = 0.0
    for x in inputs.split(_WINDOWS_PER_BATCH):
        attention = torch.stack(model(x, output_attentions=True).attentions).double()  # (L, B, H, T, T)
        sums = sums + attention.diagonal(-1, dim1=3, dim2=4).mean(dim=-1).sum(dim=1)
    return _rounded(sums / len(inputs), 2)


def _mute_costs(model: Any, inputs: Tensor, targets: Tensor) -> list[list[float]]:
    whole, width = _losses(model, inputs, targets).mean(), model.config.n_embd // model.config.n_head
    costs = torch.zeros(model.config.n_layer, model.config.n_head)
    for layer, block in enumerate(model.transformer.h):
        weight = block.attn.c_proj.weight  # (in, out): a head's columns of the usual notation are rows here
        for head in range(model.config.n_head):
            kept = weight.clone()
            weight[head * width : (head + 1) * width] = 0
            costs[layer, head] = _losses(model, inputs, targets).mean() - whole
            weight.copy_(kept)
    return _rounded(costs, 3)


def _lens_losses(model: Any, inputs: Tensor, targets: Tensor) -> list[float]:
    """Return the loss after the embedding and each block, of all characters of a window but its last."""
    sums = torch.zeros(model.config.n_layer + 1, dtype=torch.float64)
    for x, y in zip(inputs.split(_WINDOWS_PER_BATCH), targets.split(_WINDOWS_PER_BATCH), strict=True):
        found = model(x, output_hidden_states=True)
        # The last hidden state is normalised already.
        logits = [model.lm_head(model.transformer.ln_f(state)) for state in found.hidden_states[:-1]] + [found.logits]
        for row, part in enumerate(logits):
            sums[row] += functional.cross_entropy(part[:, :-1].mT, y[:, :-1], reduction="none").double().mean(1).sum()
    return [round(float(value), 2) for value in sums / len(inputs)]


def _rounded(values: Tensor, digits: int) -> list[list[float]]:
    return [[round(value, digits) for value in row] for row in values.tolist()]


if __name__ == "__main__":
    for name, figure in compute(Path(sys.argv[1]), Path(sys.argv[2]).read_text()).items():
        print(f"{name}: {figure}")
