"""A model as a directory that Hugging Face's ``transformers`` loads as a GPT-2, and such a directory as a run.

The architectures are the same; three conventions differ. ``transformers`` keeps the matrices of its ``Conv1D``
layers as (in, out) where ``nn.Linear`` has (out, in); it has other names; and its tokenizer is described by a file:
each character is a word of its own, and a character outside the vocabulary is an error there too.

A directory to import is data from strangers: its files are bounded, and nothing in them is run.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import torch as safetensors_torch
from torch import Tensor

from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import CheckpointError, ShakegptError
from shakegpt.events import Finished
from shakegpt.export.bundle import foreign_names
from shakegpt.model.gpt import GPT
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
_UNKNOWN = "<unknown>"  # no character, so never in the vocabulary: what is not in it is refused
_LARGEST_CONFIG = 1024**2
_LARGEST_TOKENIZER = 64 * 1024**2
_LARGEST_WEIGHTS = 4 * 1024**3
_LARGEST_STEP = 10**9
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
# What some versions of transformers save beside the weights: causal masks, and the head that is the embedding.
_BUFFERS = re.compile(r"(transformer\.)?h\.\d+\.attn\.(masked_)?bias")
_HEAD = "lm_head.weight"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where weights come from, as far as it is known."""

    step: int = 0
    corpus: str = "unknown"
    corpus_sha256: str = "0" * 64


def export_files(checkpoint: Checkpoint, *, name: str, origin: Origin) -> dict[str, bytes]:
    """Return the files of a directory that ``AutoModelForCausalLM`` and ``AutoTokenizer`` load.

    Args:
        checkpoint: what to export.
        name: what its card calls it, such as ``macbeth@500``.
        origin: what an import of the directory may know.
    """
    config = checkpoint.config
    weights = {
        f"transformer.{theirs}": (checkpoint.weights[ours].T if turned else checkpoint.weights[ours]).contiguous()
        for ours, theirs, turned in _names(config)
    }
    described = {
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
    generation = {"bos_token_id": None, "eos_token_id": None}
    return {
        CONFIG_FILE: _json(described),
        WEIGHTS_FILE: safetensors_torch.save(weights, metadata={"format": "pt"}),
        TOKENIZER_FILE: _json(_tokenizer(checkpoint.vocabulary)),
        "tokenizer_config.json": _json(tokenizer_config),
        "generation_config.json": _json(generation),
        "README.md": _card(checkpoint, name).encode(),
    }


def _names(config: ModelConfig) -> Iterator[tuple[str, str, bool]]:
    """Yield (our name, theirs, whether the matrix is turned) for each weight."""
    names = foreign_names(GPT.weight_shapes(config), outer=_OUTER_NAMES, block=_BLOCK_NAMES, prefix="h")
    for ours, theirs in names.items():
        yield ours, theirs, ours.startswith("blocks.") and ours.endswith(".weight") and "norm" not in ours


def _tokenizer(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the ``tokenizers`` library's description of a vocabulary of characters."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {  # every character apart, newlines too
            "type": "Split",
            "pattern": {"Regex": r"[\s\S]"},
            "behavior": "Isolated",
            "invert": False,
        },
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary.stoi, "unk_token": _UNKNOWN},
    }


def _json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()


def _card(checkpoint: Checkpoint, name: str) -> str:
    config, loss = checkpoint.config, checkpoint.manifest.val_loss
    prompt = "ROMEO:" if set("ROMEO:") <= set(checkpoint.vocabulary.characters) else checkpoint.vocabulary.characters[0]
    room = max(1, config.block_size - len(prompt))
    measured = "" if loss is None else f" Its validation loss is {loss:.4f} nats per character."
    return f"""# {name}

A character-level GPT-2 of {config.parameters:,} weights, trained with shakegpt.{measured}

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
ids = tokenizer({prompt!r}, return_tensors="pt")
print(tokenizer.decode(model.generate(**ids, max_new_tokens={room}, do_sample=True)[0]))
```

A token is one character of the {config.vocab_size} in `tokenizer.json`; any other is an error. The model sees at most
{config.block_size} characters, and `generate` does not slide that window: prompt and new text must fit into it.
"""


# Back


@dataclass(frozen=True)
class Imported:
    """A model read from a directory."""

    config: ModelConfig
    vocabulary: Vocabulary
    weights: Mapping[str, Tensor]
    origin: Origin


def read_directory(folder: Path) -> Imported:
    """Read a directory such as ``export_files`` makes and ``save_pretrained`` writes again.

    Raises:
        CheckpointError: it is none, is damaged or hostile, or holds another kind of model; the message says which.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{_where(folder)} is not a folder; name a directory that holds {CONFIG_FILE}.")
    values = _read_json(folder, CONFIG_FILE, _LARGEST_CONFIG)
    tokenizer = _read_json(folder, TOKENIZER_FILE, _LARGEST_TOKENIZER)
    try:
        config = _config(values)
        vocabulary = _vocabulary(tokenizer, config.vocab_size)
        weights = _weights(_read(folder, WEIGHTS_FILE, _LARGEST_WEIGHTS), config)
    except ValueError as error:
        raise CheckpointError(f"{_where(folder)} cannot be imported: {escape_line(str(error))[:300]}") from None
    return Imported(config, vocabulary, weights, _origin(values.get("shakegpt")))


def import_run(store: Store, folder: Path, name: str | None = None) -> Run:
    """Make a finished run, with weights only, of a directory; ``RUN@best`` speaks with them.

    The loss that others claim for their weights is not recorded: only evaluating them tells.

    Args:
        store: where the run goes.
        folder: the directory.
        name: the run's name; one is chosen where none is given.

    Raises:
        CheckpointError: as ``read_directory``.
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
    with run.lock():
        try:
            path = run.checkpoint_path(step)
            contents = CheckpointData(
                config=model.config, vocabulary=model.vocabulary, weights=model.weights, step=step
            )
            write_checkpoint(path, contents)
            read_checkpoint(path)
            run.log.append(Finished(step=step, outcome="finished", best_val_loss=None, best_step=None, seconds=0.0))
            run.log.close()
        except (OSError, CheckpointError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            trouble: ShakegptError = CheckpointError(f"{_where(folder)} was not imported: {reason}")
        else:
            return run
    run.remove()
    raise trouble


def _config(values: Mapping[str, Any]) -> ModelConfig:
    """Return our configuration of theirs. Raises ``ValueError`` for any other kind of model."""
    expected = {
        "model_type": ("gpt2", None),
        "activation_function": (_ACTIVATION, "gelu_new"),
        "layer_norm_epsilon": (_EPSILON, _EPSILON),
        "scale_attn_weights": (True, True),
        "scale_attn_by_inverse_layer_idx": (False, False),
        "add_cross_attention": (False, False),
        "tie_word_embeddings": (True, True),
    }
    for key, (ours, theirs_by_default) in expected.items():
        if (value := values.get(key, theirs_by_default)) != ours:
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


def _vocabulary(tokenizer: Mapping[str, Any], size: int) -> Vocabulary:
    """Return the characters of a tokenizer. Raises ``ValueError`` where its tokens are not characters."""
    model = tokenizer.get("model")
    stoi = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(stoi, dict) or tokenizer.get("normalizer") is not None:
        raise ValueError(f"its {TOKENIZER_FILE} describes no vocabulary of characters.")
    if model.get("merges") or tokenizer.get("added_tokens") or any(len(token) != 1 for token in stoi):
        raise ValueError("its tokens are not single characters, and shakegpt speaks character by character.")
    if sorted(map(str, stoi.values())) != sorted(map(str, range(size))):
        raise ValueError(
            f"its {TOKENIZER_FILE} does not number the {size} characters that its {CONFIG_FILE} speaks of."
        )
    return Vocabulary("".join(sorted(stoi, key=lambda character: int(stoi[character]))))


def _weights(data: bytes, config: ModelConfig) -> dict[str, Tensor]:
    """Return our weights of theirs, as fp32. Raises ``ValueError`` where one is missing, spare or ill-shaped."""
    if config.parameters * 2 > len(data):  # at the least two bytes a weight
        raise ValueError(f"its {WEIGHTS_FILE} is too small for the model that its {CONFIG_FILE} describes.")
    try:
        tensors = safetensors_torch.load(data)
    except Exception as error:  # safetensors has an error class of its own that is no subclass of a standard one
        raise ValueError(f"its {WEIGHTS_FILE} is damaged ({error}).") from None
    found = {
        name.removeprefix("transformer."): tensor for name, tensor in tensors.items() if not _BUFFERS.fullmatch(name)
    }
    head = found.pop(_HEAD, None)
    weights = {}
    shapes = GPT.weight_shapes(config)
    for ours, theirs, turned in _names(config):
        tensor = found.pop(theirs, None)
        shape = shapes[ours][::-1] if turned else shapes[ours]
        if tensor is None or tuple(tensor.shape) != shape or not tensor.dtype.is_floating_point:
            raise ValueError(f"its weight {theirs} is missing, or is not of the shape {shape}.")
        weights[ours] = (tensor.T if turned else tensor).float().contiguous()
        if not bool(torch.isfinite(weights[ours]).all()):
            raise ValueError(f"its weight {theirs} has a number that is not finite.")
    if found:
        raise ValueError(f"it has a weight that shakegpt's models lack: {min(found)}.")
    if head is not None and not torch.equal(head.float(), weights["token_embedding.weight"]):
        raise ValueError("its head is not tied to the token embedding.")
    return weights


def _origin(values: object) -> Origin:
    """Return what a directory says of its past, as far as that makes sense."""
    if not isinstance(values, dict):
        return Origin()
    step, corpus, digest = values.get("step"), values.get("corpus"), values.get("corpus_sha256")
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step <= _LARGEST_STEP:
        step = 0
    if not (isinstance(corpus, str) and is_name(corpus)):
        return Origin(step=step)
    if not (isinstance(digest, str) and _SHA256.fullmatch(digest)):
        return Origin(step=step)
    return Origin(step=step, corpus=corpus, corpus_sha256=digest)


def _read(folder: Path, name: str, most: int) -> bytes:
    try:
        return read_bounded(folder / name, most)
    except FileNotFoundError:
        raise CheckpointError(
            f"{_where(folder)} has no {name}; name a directory made by `shakegpt export` or `save_pretrained`."
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CheckpointError(f"{name} of {_where(folder)} cannot be read: {reason}.") from None


def _read_json(folder: Path, name: str, most: int) -> dict[str, Any]:
    try:
        values = parse_json(_read(folder, name, most))
    except ValueError as error:
        raise CheckpointError(f"{name} of {_where(folder)} is damaged: {escape_line(str(error))[:200]}.") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{name} of {_where(folder)} is damaged: it is no JSON object.")
    return values


def _where(folder: Path) -> str:
    return escape_line(str(folder))
