"""The peer that ``shakegpt bench --against transformers`` measures beside shakegpt: the same model in their hands."""

from typing import Any

import torch
from torch import Tensor

from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.errors import ShakegptError


class TransformersPeer:
    """Hugging Face's ``GPT2LMHeadModel`` with the same shape and dropout, in plain fp32 with AdamW.

    Its trainer's usual step: loss, backward, clipping, AdamW, eager. Faster ways to drive it may exist; this is how it
    comes.

    Args:
        config: the shape.
        training: the learning rate, the betas, the decay and the clipping.
        device: where.

    Raises:
        ShakegptError: transformers is not installed.
    """

    def __init__(self, config: ModelConfig, training: TrainingConfig, device: torch.device) -> None:
        try:
            import transformers
        except ImportError:
            raise ShakegptError(
                "The comparison needs transformers; install it with `pip install 'shakegpt[bench]'`."
            ) from None
        transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        self.version = str(transformers.__version__)
        self._block_size = config.block_size
        self._clip = training.grad_clip
        model: Any = transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                vocab_size=config.vocab_size,
                n_positions=config.block_size,
                n_embd=config.d_model,
                n_layer=config.n_layer,
                n_head=config.n_head,
                n_inner=config.d_ff,
                embd_pdrop=config.dropout,
                resid_pdrop=config.dropout,
                attn_pdrop=config.dropout,
                bos_token_id=0,
                eos_token_id=None,
                pad_token_id=0,
            )
        )
        self._model = model.to(device)
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(),
            lr=training.learning_rate,
            betas=(training.beta1, training.beta2),
            weight_decay=training.weight_decay,
        )

    def train(self, ids: Tensor) -> None:
        """Take one step on a batch, (B, T) int64; it shifts the targets itself."""
        self._model.train()
        loss = self._model(input_ids=ids, labels=ids).loss
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._clip)
        self._optimizer.step()

    def generate(self, temperature: float) -> int:
        """Fill one window from a single character, with its cache, and return how many characters that were."""
        self._model.eval()
        count = self._block_size - 1
        start = torch.zeros((1, 1), dtype=torch.int64, device=self._model.device)
        with torch.inference_mode():
            self._model.generate(
                start,
                attention_mask=torch.ones_like(start),
                max_new_tokens=count,
                min_new_tokens=count,
                do_sample=True,
                temperature=temperature,
                top_k=0,
            )
        return count
