"""A model as a directory that Hugging Face's ``transformers`` loads as a GPT-2, and such a directory as a run.

The architectures are the same; three conventions differ. ``transformers`` stores the matrices of its ``Conv1D``
layers as (in, out) where ``nn.Linear`` has (out, in); the weights have other names; and a file describes the tokenizer:
each character is a word of its own, and a character outside the vocabulary is an error there too.

A directory to import is untrusted: the sizes of its files are limited, and nothing in them is executed.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import torch as safetensors_torch
from torch import Tensor

from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import CheckpointError, error_reason
from shakegpt.events import Finished
from shakegpt.export.bundle import weight_names
from shakegpt.export.model_card import model_card
from shakegpt.runs.checkpoint import Checkpoint, CheckpointData, read_checkpoint, write_checkpoint
from shakegpt.runs.run import Run, RunMetadata, utc_timestamp
from shakegpt.runs.store import Store
from shakegpt.system.files import read_bounded
from shakegpt.system.json_records import parse_json
from shakegpt.system.text import escape_line, is_name
from shakegpt.version import versions

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.json"

_ACTIVATION = "gelu"  # the exact one, as in shakegpt.model.gpt; GPT-2's own "gelu_new" is the tanh approximation
_EPSILON = 1e-5  # of every LayerNorm: torch's default, and GPT-2's
_UNKNOWN = "<unknown>"  # not a single character, so never in the vocabulary: unknown characters are errors
_MAX_CONFIG_BYTES = 1024**2
_MAX_TOKENIZER_BYTES = 64 * 1024**2
_MAX_WEIGHTS_BYTES = 4 * 1024**3
_MAX_STEP = 10**9
_SHA256 = re.compile(r"[0-9a-f]{64}")

_OUTER_NAMES = {"token_embedding": "wte", "position_embedding": "wpe", "final_norm": "ln_f"}
_BLOCK_NAMES = {
    "attention_norm": "ln_1",
    "attention.query_key_value": "attn.c_attn",
    "attention.projection": "attn.c_proj",
    "mlp_norm": "ln_2",
    "mlp.expansion": "mlp.c_fc",
    "mlp.projection": "mlp.c_proj",
}
# What some versions of transformers save beside the weights: causal masks, and the head tied to the embedding.
_BUFFERS = re.compile(r"(transformer\.)?h\.\d+\.attn\.(masked_)?bias")
_HEAD = "lm_head.weight"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where weights come from, as far as it is known."""

    step: int = 0
    corpus: str = "unknown"
    corpus_sha256: str = "0" * 64


def export_files(checkpoint: Checkpoint, *, name: str, metadata: RunMetadata | None = None) -> dict[str, bytes]:
    """Return the files of a directory that ``AutoModelForCausalLM`` and ``AutoTokenizer`` load.

    Args:
        checkpoint: what to export.
        name: the model's name on its card, such as ``macbeth@500``.
        metadata: of its run, where that is known: for the card, and for an import of the directory.
    """
    config = checkpoint.config
    origin = Origin(step=checkpoint.manifest.step)
    if metadata is not None:
        origin = replace(origin, corpus=metadata.corpus, corpus_sha256=metadata.corpus_sha256)
    weights = {
        f"transformer.{theirs}": _transpose(ours, checkpoint.weights[ours]).contiguous()
        for ours, theirs in _weight_names(config).items()
    }
    config_json = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": config.vocab_size,
        "n_positions": config.block_size,
        "n_embd": config.d_model,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_inner": config.d_ff,
        "activation_function": _ACTIVATION,
        "layer_norm_epsilon": _EPSILON,
        "attn_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "resid_pdrop": config.dropout,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": None,
        "dtype": "float32",
        "shakegpt": {"step": origin.step, "corpus": origin.corpus, "corpus_sha256": origin.corpus_sha256},
    }
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config.block_size,
        "clean_up_tokenization_spaces": False,
    }
    generation_config = {"bos_token_id": None, "eos_token_id": None}
    return {
        CONFIG_FILE: _to_json(config_json),
        WEIGHTS_FILE: safetensors_torch.save(weights, metadata={"format": "pt"}),
        TOKENIZER_FILE: _to_json(_describe_tokenizer(checkpoint.vocabulary)),
        "tokenizer_config.json": _to_json(tokenizer_config),
        "generation_config.json": _to_json(generation_config),
        "README.md": model_card(checkpoint, name=name, metadata=metadata).encode(),
    }


def _weight_names(config: ModelConfig) -> dict[str, str]:
    return weight_names(config, outer=_OUTER_NAMES, block=_BLOCK_NAMES, prefix="h")


def _transpose(name: str, weight: Tensor) -> Tensor:
    """Transpose a weight that is (in, out) in transformers; ``t`` leaves biases and norms as they are."""
    return weight.t() if name.startswith("blocks.") else weight


def _describe_tokenizer(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the ``tokenizers`` library's description of a vocabulary of characters."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {  # each character apart, newlines too
            "type": "Split",
            "pattern": {"Regex": r"[\s\S]"},
            "behavior": "Isolated",
            "invert": False,
        },
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary.stoi, "unk_token": _UNKNOWN},
    }


def _to_json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True)
class ImportedModel:
    """A model read from a directory."""

    config: ModelConfig
    vocabulary: Vocabulary
    weights: Mapping[str, Tensor]
    origin: Origin


def read_directory(folder: Path) -> ImportedModel:
    """Read a directory made by ``export_files`` or ``save_pretrained``.

    Raises:
        CheckpointError: it is not such a directory, is damaged, or contains another kind of model.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{_quote(folder)} is not a folder; name a directory that holds {CONFIG_FILE}.")
    values = _read_json(folder, CONFIG_FILE, _MAX_CONFIG_BYTES)
    tokenizer = _read_json(folder, TOKENIZER_FILE, _MAX_TOKENIZER_BYTES)
    try:
        config = _parse_config(values)
        vocabulary = _parse_vocabulary(tokenizer, config.vocab_size)
        weights = _parse_weights(_read(folder, WEIGHTS_FILE, _MAX_WEIGHTS_BYTES), config)
    except ValueError as error:
        raise CheckpointError(f"{_quote(folder)} cannot be imported: {escape_line(str(error))[:300]}") from None
    return ImportedModel(config, vocabulary, weights, _parse_origin(values.get("shakegpt")))


def import_run(store: Store, folder: Path, name: str | None = None) -> Run:
    """Make a finished run from a directory. Its one checkpoint has weights only, and no validation loss.

    Args:
        store: where the run is created.
        folder: the directory.
        name: the run's name; by default a new one is chosen.

    Raises:
        CheckpointError: the directory cannot be imported, as in ``read_directory``.
        ShakegptError: the name is taken, or the store cannot be written.
    """
    if name is not None:
        store.check_new_name(name)
    model = read_directory(folder)
    step = model.origin.step
    run = store.create(
        RunMetadata(
            preset="imported",
            model=model.config,
            training=TrainingConfig(steps=max(1, step)),
            corpus=model.origin.corpus,
            corpus_sha256=model.origin.corpus_sha256,
            created=utc_timestamp(),
            versions=versions(),
        ),
        name,
    )
    data = CheckpointData(config=model.config, vocabulary=model.vocabulary, weights=model.weights, step=step)
    try:
        with run.lock():
            path = run.checkpoint_path(step)
            write_checkpoint(path, data)
            read_checkpoint(path)
            run.log.append(Finished(step=step, outcome="finished", best_val_loss=None, best_step=None, seconds=0.0))
            run.log.close()
    except (OSError, CheckpointError) as error:
        run.remove()
        raise CheckpointError(f"{_quote(folder)} was not imported: {error_reason(error)}") from error
    return run


def _parse_config(values: Mapping[str, Any]) -> ModelConfig:
    """Return the model's configuration. Raises ``ValueError`` for another kind of model."""
    required = {  # ours, and the default of transformers
        "model_type": ("gpt2", None),
        "activation_function": (_ACTIVATION, "gelu_new"),
        "layer_norm_epsilon": (_EPSILON, _EPSILON),
        "scale_attn_weights": (True, True),
        "scale_attn_by_inverse_layer_idx": (False, False),
        "add_cross_attention": (False, False),
        "tie_word_embeddings": (True, True),
    }
    for key, (ours, default) in required.items():
        if (value := values.get(key, default)) != ours:
            raise ValueError(f"its {key} is {value!r}, and shakegpt's models have {ours!r}.")
    width, hidden = values.get("n_embd", 768), values.get("n_inner")
    return ModelConfig(
        vocab_size=values.get("vocab_size", 50_257),
        n_layer=values.get("n_layer", 12),
        n_head=values.get("n_head", 12),
        d_model=width,
        d_ff=4 * width if hidden is None else hidden,
        block_size=values.get("n_positions", 1_024),
        dropout=values.get("resid_pdrop", 0.1),
    )


def _parse_vocabulary(tokenizer: Mapping[str, Any], size: int) -> Vocabulary:
    """Return the characters of a tokenizer. Raises ``ValueError`` if its tokens are not single characters."""
    model = tokenizer.get("model")
    stoi = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(stoi, dict) or tokenizer.get("normalizer") is not None:
        raise ValueError(f"its {TOKENIZER_FILE} describes no vocabulary of characters.")
    if model.get("merges") or tokenizer.get("added_tokens") or any(len(token) != 1 for token in stoi):
        raise ValueError("its tokens are not single characters, and shakegpt's models know only characters.")
    if sorted(map(str, stoi.values())) != sorted(map(str, range(size))):
        raise ValueError(f"its {TOKENIZER_FILE} does not number the {size} characters of its {CONFIG_FILE}.")
    return Vocabulary("".join(sorted(stoi, key=lambda character: int(stoi[character]))))


def _parse_weights(data: bytes, config: ModelConfig) -> dict[str, Tensor]:
    """Return the weights as ours, in fp32. Raises ``ValueError`` for a missing, surplus or misshapen one."""
    if config.parameters * 2 > len(data):  # a weight has at least two bytes
        raise ValueError(f"its {WEIGHTS_FILE} is too small for the model that its {CONFIG_FILE} describes.")
    try:
        tensors = safetensors_torch.load(data)
    except Exception as error:  # SafetensorError derives from Exception alone
        raise ValueError(f"its {WEIGHTS_FILE} is damaged ({error}).") from None
    found = {
        name.removeprefix("transformer."): tensor for name, tensor in tensors.items() if not _BUFFERS.fullmatch(name)
    }
    head = found.pop(_HEAD, None)
    weights = {}
    shapes = config.weight_shapes
    for ours, theirs in _weight_names(config).items():
        tensor = found.pop(theirs, None)
        shape = shapes[ours][::-1] if ours.startswith("blocks.") else shapes[ours]
        if tensor is None or tuple(tensor.shape) != shape or not tensor.dtype.is_floating_point:
            raise ValueError(f"its weight {theirs} is missing, or is not of the shape {shape}.")
        weights[ours] = _transpose(ours, tensor).float().contiguous()
        if not bool(torch.isfinite(weights[ours]).all()):
            raise ValueError(f"its weight {theirs} has a number that is not finite.")
    if found:
        raise ValueError(f"it has a weight that shakegpt's models lack: {min(found)}.")
    if head is not None and not torch.equal(head.float(), weights["token_embedding.weight"]):
        raise ValueError("its head is not tied to the token embedding.")
    return weights


def _parse_origin(values: object) -> Origin:
    """Return what a directory records of its origin, as far as that is valid."""
    if not isinstance(values, dict):
        return Origin()
    step, corpus, digest = values.get("step"), values.get("corpus"), values.get("corpus_sha256")
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step <= _MAX_STEP:
        step = 0
    if not (isinstance(corpus, str) and is_name(corpus)):
        return Origin(step=step)
    if not (isinstance(digest, str) and _SHA256.fullmatch(digest)):
        return Origin(step=step)
    return Origin(step=step, corpus=corpus, corpus_sha256=digest)


def _read(folder: Path, name: str, max_bytes: int) -> bytes:
    try:
        return read_bounded(folder / name, max_bytes)
    except FileNotFoundError:
        raise CheckpointError(
            f"{_quote(folder)} has no {name}; name a directory made by `shakegpt export` or `save_pretrained`."
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{name} of {_quote(folder)} cannot be read: {error_reason(error)}.") from None


def _read_json(folder: Path, name: str, max_bytes: int) -> dict[str, Any]:
    try:
        values = parse_json(_read(folder, name, max_bytes))
    except ValueError as error:
        raise CheckpointError(f"{name} of {_quote(folder)} is damaged: {escape_line(str(error))[:200]}.") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{name} of {_quote(folder)} is damaged: it is not a JSON object.")
    return values


def _quote(folder: Path) -> str:
    return escape_line(str(folder))
