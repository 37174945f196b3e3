"""The learning rate at a step: linear warm-up, then a cosine down to a floor."""

import math

from shakegpt.config import TrainingConfig


def learning_rate_at(step: int, config: TrainingConfig) -> float:
    """Return the learning rate of optimizer step ``step``, counted from 1 to ``config.steps``.

    Half a cosine period as in SGDR (Loshchilov & Hutter 2017, arXiv:1608.03983), without restarts, after a linear
    warm-up. A run too short for its warm-up spends a tenth of its steps on it.
    """
    warmup = min(config.warmup, config.steps // 10)
    if step <= warmup:  # 1. warming up: the first step already learns, the last reaches the peak
        return config.learning_rate * step / warmup
    if step >= config.steps:  # 2. at the end, and past it: the floor
        return config.min_learning_rate
    progress = (step - warmup) / (config.steps - warmup)  # 3. between: from 1 to 0 along the cosine
    share = 0.5 * (1 + math.cos(math.pi * progress))
    return config.min_learning_rate + share * (config.learning_rate - config.min_learning_rate)
