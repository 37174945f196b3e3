"""What each head does: where it looks on real text, whether it copies what came before, and what muting it costs."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from shakegpt.data.corpus import speaker_spans
from shakegpt.errors import UsageError
from shakegpt.inspection.head import Head
from shakegpt.inspection.muting import all_heads, mute
from shakegpt.inspection.parts import forward_parts
from shakegpt.model.gpt import windows_per_batch
from shakegpt.model.language_model import LanguageModel
from shakegpt.system.seeds import derive_seed
from shakegpt.system.threads import ThreadPool

WINDOWS = 200
"""How many windows of a text the heads are measured on."""
_REPEATS = 8  # sequences of the induction score

_NEAR = 8  # distances that are told apart
_MAIN_TARGET = 0.3  # the share of a head's attention that is worth a sentence

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class HeadScores:
    """Where each head looks, on average over a text: (L, H) each, but for ``back``. NaN where nothing was there."""

    back: Scores
    """(L, H, 8): the share of its attention that goes to the character itself, to the one before it, to the one two
    back and so on, over the positions that have one there."""
    newline: Scores
    """The share that goes to the last newline before, over the positions that have one in their window."""
    speaker: Scores
    """The share that goes to the name of the speech's speaker, over the positions that have one in their window."""
    distance: Scores
    """How many characters back it looks, on average."""
    entropy: Scores
    """Bits: how widely it spreads its attention, over 2 ** entropy characters."""
    characters: int
    """How many characters the scores were measured on."""

    @property
    def itself(self) -> Scores:
        """The share that goes to the character itself."""
        return self.back[..., 0]

    @property
    def previous(self) -> Scores:
        """The share that goes to the character before."""
        return self.back[..., 1]

    def main_target(self, head: Head) -> tuple[str, float] | None:
        """Return what a head looks at most and the share that goes there; ``None`` where nothing has a large one."""
        names = ["the character itself", "the character before", *(f"the character {n} back" for n in range(2, _NEAR))]
        targets = dict(zip(names, self.back[head], strict=True))
        targets |= {"the last newline": self.newline[head], "the speaker's name": self.speaker[head]}
        target, share = max(targets.items(), key=lambda item: np.nan_to_num(item[1]))
        return (target, float(share)) if share >= _MAIN_TARGET else None

    def describe(self, head: Head) -> str:
        """Return what a head does in a few words, such as ``looks at the character before: 95 %``."""
        if found := self.main_target(head):
            return f"looks at {found[0]}: {100 * found[1]:.0f} %"
        distance, spread = f"{self.distance[head]:.0f}", f"{2 ** self.entropy[head]:.0f}"
        return f"spreads over about {spread} character{'s' if spread != '1' else ''}, {distance} back on average"


def score_heads(
    language_model: LanguageModel, text: str, *, windows: int = WINDOWS, pool: ThreadPool | None = None
) -> HeadScores:
    """Measure where the heads look, over the first windows of a text, each of ``block_size`` characters.

    Args:
        language_model: the model.
        text: such as a validation split; what is left of it after its last whole window does not count.
        windows: how many to read at most.
        pool: the threads that share the windows; the calling thread where left out.

    Raises:
        UsageError: the text is shorter than a window or has a character that the model does not know.
    """
    model = language_model.model
    inputs, _ = _cut_windows(language_model, text, windows)  # (N, T)
    newlines, names = _newlines_and_names(text, inputs.shape)
    size = windows_per_batch(torch.device("cpu"), model.config.block_size)  # where the parts are kept
    starts = range(0, len(inputs), size)

    @torch.inference_mode()
    def measure(start: int) -> Tensor:
        rows = slice(start, start + size)
        parts = forward_parts(model, inputs[rows])
        return torch.stack(
            [
                _sum_scores(parts.attention(layer).double(), newlines[rows], names[rows])
                for layer in range(model.config.n_layer)
            ]
        )

    N, T = inputs.shape  # noqa: N806
    near = [N * max(0, T - distance) for distance in range(_NEAR)]
    counts = torch.tensor([*near, (newlines >= 0).sum(), (names[..., 0] >= 0).sum(), N * T, N * T])
    sums = torch.stack((pool or ThreadPool()).map(measure, starts)).sum(dim=0)  # (L, _NEAR + 4, H)
    means = (sums / counts[:, None]).transpose(1, 2).numpy()  # nothing of a kind is 0 / 0: NaN
    newline, speaker, distance, entropy = np.moveaxis(means[..., _NEAR:], -1, 0)
    return HeadScores(
        back=means[..., :_NEAR],
        newline=newline,
        speaker=speaker,
        distance=distance,
        entropy=entropy,
        characters=N * T,
    )


def score_previous(language_model: LanguageModel, text: str, *, windows: int) -> Scores:
    """Measure how much each head looks at the character before: ``HeadScores.previous`` alone, in less time.

    Args:
        language_model: the model.
        text: such as a validation split; its first windows count.
        windows: how many to read at most.

    Returns:
        (L, H), from 0 to 1: the mean over the positions that have a character before them in their window.

    Raises:
        UsageError: the text is shorter than a window or has a character that the model does not know.
    """
    inputs, _ = _cut_windows(language_model, text, windows)  # (N, T)
    with torch.inference_mode():
        parts = forward_parts(language_model.model, inputs)
        layers = range(language_model.model.config.n_layer)
        before = [parts.attention(layer).diagonal(-1, dim1=2, dim2=3).double().mean(dim=(0, 2)) for layer in layers]
    result: Scores = torch.stack(before).numpy()
    return result


def score_induction(language_model: LanguageModel, *, seed: int = 0) -> Scores:
    """Measure, on random text that is repeated, how much each head looks at what followed the same character before.

    An induction head finds the earlier occurrence of the current character and looks at the one after it (Olsson et al.
    2022, arXiv:2209.11895). On random text nothing else explains that.

    Args:
        language_model: the model.
        seed: fixes the random characters.

    Returns:
        (L, H), from 0 to 1: the mean over the second time that half a window of characters is read.

    Raises:
        UsageError: the window is shorter than two characters.
    """
    model = language_model.model
    period = model.config.block_size // 2
    if period < 1:
        raise UsageError("A window of one character cannot hold a text twice.")
    generator = torch.Generator().manual_seed(derive_seed(seed, "induction"))
    once = torch.randint(model.config.vocab_size, (_REPEATS, period), generator=generator)

    @torch.inference_mode()
    def measure(ids: Tensor) -> Tensor:
        parts = forward_parts(model, ids)
        # The row of position t, in the second half, has what followed the same character in column t - period + 1.
        followers = [
            parts.attention(layer).diagonal(1 - period, dim1=2, dim2=3)[..., -period:]
            for layer in range(model.config.n_layer)
        ]
        return torch.stack(followers).double().mean(dim=(1, 3))  # (L, H)

    (scores,) = ThreadPool().map(measure, [once.repeat(1, 2)])
    result: Scores = scores.numpy()
    return result


def loss_without(
    language_model: LanguageModel,
    heads: Iterable[Head],
    text: str,
    *,
    windows: int = WINDOWS,
    pool: ThreadPool | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> float:
    """Return the loss with some heads muted, in nats per character, over the first windows of a text.

    Args:
        language_model: the model.
        heads: which ones, as (block, head), both from 0; with none, it is the model's own loss.
        text: as for ``score_heads``; only it needs one character more than its windows.
        windows: how many to read at most.
        pool: the threads that share the windows; the calling thread where left out.
        stop: asked before each batch; once it returns true, the result is NaN.

    Raises:
        UsageError: there is no such head, or the text is too short or has a character that the model does not know.
    """
    inputs, targets = _cut_windows(language_model, text, windows, targets=True)
    model = mute(language_model, heads).model
    device = model.token_embedding.weight.device
    size = windows_per_batch(device, model.config.block_size)

    @torch.inference_mode()
    def sum_losses(start: int) -> float:
        if stop():
            return math.nan
        x, y = (part[start : start + size].to(device) for part in (inputs, targets))
        return float(functional.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum"))

    sums = (pool or ThreadPool()).map(sum_losses, range(0, len(inputs), size))
    return sum(sums) / inputs.numel()


def mute_costs(
    language_model: LanguageModel,
    text: str,
    *,
    windows: int = WINDOWS,
    pool: ThreadPool | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Scores:
    """Return what muting each head alone costs: the loss without it less the loss with all, a pass for each head.

    Args and errors as for ``loss_without``. Costs that are not known when ``stop`` returns true are NaN.

    Returns:
        (L, H), nats per character.
    """

    def loss(heads: list[Head]) -> float:
        return loss_without(language_model, heads, text, windows=windows, pool=pool, stop=stop)

    config, whole = language_model.model.config, loss([])
    costs = [loss([head]) - whole for head in all_heads(config)]
    return np.array(costs).reshape(config.n_layer, config.n_head)


def _cut_windows(
    language_model: LanguageModel, text: str, windows: int, *, targets: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the first windows of a text, and of each character the next, (N, T) each."""
    size = language_model.model.config.block_size
    count = min(windows, (len(text) - targets) // size)
    if count < 1:
        raise UsageError(
            f"The text is too short: it has {len(text):,} characters, and a window takes {size + targets:,}."
        )
    length = count * size
    ids = torch.tensor(language_model.vocabulary.encode(text[: length + targets]))
    return ids[:length].view(count, size), ids[targets:].view(count, size)


def _newlines_and_names(text: str, shape: torch.Size) -> tuple[Tensor, Tensor]:
    """Return where in its window each position's last newline is, (N, T), and its speaker's name, (N, T, 2); else -1.

    A name is given by its first character and the one after its last, and counts from the colon on.
    """
    count, size = shape
    length = count * size
    newlines, names = np.full(length, -1), np.full((length, 2), -1)
    newline, name = -1, (-1, -1)
    spans = {end: (start, end) for start, end in speaker_spans(text)}
    for position in range(length):
        newlines[position] = newline
        name = spans.get(position, name)
        names[position] = name
        if text[position] == "\n":
            newline = position
    window = np.arange(length) // size * size  # where each position's window begins
    newlines = np.where(newlines >= window, newlines - window, -1)
    names = np.where((names[:, 0] >= window)[:, None], names - window[:, None], -1)
    return torch.from_numpy(newlines).view(count, size), torch.from_numpy(names).view(count, size, 2)


def _sum_scores(attention: Tensor, newlines: Tensor, names: Tensor) -> Tensor:
    """Return the sums over positions of each score, in the order of ``HeadScores``: (_NEAR + 4, H).

    Args:
        attention: (B, H, T, T).
        newlines: (B, T), as ``_newlines_and_names`` returns them.
        names: (B, T, 2), likewise.
    """
    T = attention.shape[-1]  # noqa: N806
    back = torch.arange(T)[:, None] - torch.arange(T)
    before = functional.pad(attention.cumsum(dim=-1), (1, 0))  # (B, H, T, T + 1): the share of the first columns

    def share(first: Tensor, last: Tensor) -> Tensor:
        """The share of the columns from ``first`` up to ``last``; nothing where they are -1."""
        edges = torch.stack([first, last], dim=-1).clamp(min=0)[:, None].expand(-1, attention.shape[1], -1, -1)
        low, high = before.gather(-1, edges).unbind(dim=-1)  # (B, H, T)
        return high - low

    scores = [
        *(attention.diagonal(-distance, dim1=2, dim2=3) for distance in range(_NEAR)),
        share(newlines, torch.where(newlines >= 0, newlines + 1, -1)),
        share(names[..., 0], names[..., 1]),
        (attention * back).sum(dim=-1),
        -torch.xlogy(attention, attention).sum(dim=-1) / math.log(2),
    ]
    return torch.stack([score.sum(dim=(0, 2)) for score in scores])
