"""The card of an exported model: what it is, how it was trained and how to use it, in Hugging Face's format."""

import json
import math
import re
from collections.abc import Iterator

from shakegpt import events
from shakegpt.config import SamplingConfig
from shakegpt.data.catalog import DEMO, TINY_SHAKESPEARE
from shakegpt.generation.stream import Stream
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.checkpoint import Checkpoint
from shakegpt.runs.run import RunMetadata
from shakegpt.system.text import escape_control_characters, escape_line

_SAMPLE = SamplingConfig(temperature=0.8, length=240, seed=1)
_ADVICE = "Choose a license for your model and put it in the first lines of this file: it depends on your text."


def model_card(checkpoint: Checkpoint, *, name: str, metadata: RunMetadata | None) -> str:
    """Return the card of a checkpoint, in Markdown after YAML.

    Args:
        checkpoint: what is exported; a sample of it goes on the card.
        name: the model's name, such as ``macbeth@500``.
        metadata: of its run, where that is known.
    """
    config, prompt = checkpoint.config, _prompt(checkpoint)
    new_tokens = max(1, config.block_size - len(prompt))
    rows = "\n".join(f"| {label} | {value} |" for label, value in _figures(checkpoint, metadata))
    return f"""---
{_front_matter(checkpoint, name, metadata)}
---

# {name}

A GPT-2 of {config.parameters:,} weights that writes character by character, trained from scratch with shakegpt.
{"" if _is_shipped_text(metadata) else f"{_ADVICE}{chr(10)}"}
| | |
|---|---|
{rows}

## How to use it

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
ids = tokenizer({prompt!r}, return_tensors="pt")
print(tokenizer.decode(model.generate(**ids, max_new_tokens={new_tokens}, do_sample=True)[0]))
```

A token is one character of the {config.vocab_size} in `tokenizer.json`; any other is an error. The model sees at most
{config.block_size} characters, and `generate` does not slide that window: prompt and new text must fit into it.
In shakegpt there is no such limit: `shakegpt import DIR` makes this folder a run again.

{_how_it_was_trained(checkpoint, metadata)}## What it writes

At temperature {_SAMPLE.temperature}, with seed {_SAMPLE.seed} of shakegpt:

{_sample(checkpoint, prompt)}

## What it cannot do

It has learned which characters follow each other in one text, and knows nothing else: it answers no questions, and
what it says is neither true nor meant. Parts of what it writes may stand word for word in the text it learned from.
"""


def _is_shipped_text(metadata: RunMetadata | None) -> bool:
    """Return whether it learned from a text that may be passed on: in the public domain, or shakegpt's own."""
    return metadata is not None and metadata.corpus in (TINY_SHAKESPEARE, DEMO) and metadata.corpus_file is None


def _front_matter(checkpoint: Checkpoint, name: str, metadata: RunMetadata | None) -> str:
    known, loss = _is_shipped_text(metadata), checkpoint.manifest.val_loss
    values: dict[str, object] = {"language": ["en"]} if known else {}
    values |= {
        "license": "mit" if known else "unknown",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["shakegpt", "gpt2", "character-level", "text-generation"],
    }
    if known and metadata is not None and metadata.corpus == TINY_SHAKESPEARE:
        values["datasets"] = ["karpathy/tiny_shakespeare"]
    values["metrics"] = ["perplexity"]
    if loss is not None:
        corpus = "unknown" if metadata is None else metadata.corpus
        figures = {
            "perplexity": ("perplexity per character", events.perplexity(loss)),
            "loss": ("cross-entropy, nats per character", loss),
            "bits_per_character": ("bits per character", events.bits_per_character(loss)),
        }
        metrics = [
            {"type": kind, "name": label, "value": round(value, 4)}
            for kind, (label, value) in figures.items()
            if math.isfinite(value)
        ]
        result = {
            "task": {"type": "text-generation", "name": "Text generation"},
            "dataset": {"type": corpus, "name": corpus, "split": "validation"},
            "metrics": metrics,
        }
        values["model-index"] = [{"name": name, "results": [result]}]
    return "\n".join(_to_yaml(values))


def _to_yaml(values: dict[str, object]) -> Iterator[str]:
    """Yield the lines of a mapping. What is nested is written as JSON, which YAML reads."""
    for key, value in values.items():
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            yield f"{key}:"
            yield from (f"- {entry}" for entry in value)
        else:
            yield f"{key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def _figures(checkpoint: Checkpoint, metadata: RunMetadata | None) -> Iterator[tuple[str, str]]:
    config, manifest = checkpoint.config, checkpoint.manifest
    blocks = "1 block" if config.n_layer == 1 else f"{config.n_layer} blocks"
    yield (
        "architecture",
        f"GPT-2, pre-norm: {blocks}, {config.n_head} heads, d_model {config.d_model}, "
        f"d_ff {config.d_ff}, context {config.block_size}, dropout {config.dropout:g}, tied head, learned positions",
    )
    yield "parameters", f"{config.parameters:,}"
    yield "vocabulary", f"{config.vocab_size} characters"
    if metadata is not None:
        yield "text", f"{escape_line(metadata.corpus)}, SHA-256 {metadata.corpus_sha256}"
    if (loss := manifest.val_loss) is not None:
        yield (
            "validation loss",
            f"{loss:.4f} nats per character, over the last 10 % of the text, which it never learned from",
        )
        yield "perplexity", f"{events.perplexity(loss):.4f} per character"
        yield "bits per character", f"{events.bits_per_character(loss):.4f}"
    if metadata is not None:
        steps, batch = metadata.training.steps, metadata.training.batch_size
        characters = manifest.step * batch * config.block_size
        yield (
            "steps",
            f"{manifest.step:,} of {steps:,}, of {batch} x {config.block_size} characters: {characters:,} in all",
        )
        yield "time", f"{manifest.seconds / 60:,.1f} minutes"
        yield "versions", escape_line(", ".join(f"{what} {version}" for what, version in metadata.versions.items()))


def _how_it_was_trained(checkpoint: Checkpoint, metadata: RunMetadata | None) -> str:
    if metadata is None:
        return ""
    training = metadata.training
    recipe = [
        f"AdamW (betas {training.beta1:g} and {training.beta2:g}, decay {training.weight_decay:g} on matrices)",
        f"a linear warm-up of {training.warmup:,} steps to {training.learning_rate:.1e}",
        f"then a cosine to {training.min_learning_rate:.1e}",
        f"dropout {checkpoint.config.dropout:g}",
        *([f"gradient norm clipped at {training.grad_clip:g}"] if training.grad_clip else []),
        f"seed {training.seed}",
        f"preset `{escape_line(metadata.preset)}`",
    ]
    forked = f" It went on from `{escape_line(metadata.resumed_from)}`." if metadata.resumed_from else ""
    return f"## How it was trained\n\n{', '.join(recipe)}.{forked}\n\n"


def _prompt(checkpoint: Checkpoint) -> str:
    characters = checkpoint.vocabulary.characters
    return "ROMEO:" if set("ROMEO:") <= set(characters) else next(filter(str.isprintable, characters), characters[0])


def _sample(checkpoint: Checkpoint, prompt: str) -> str:
    """Return a text that the model writes, in a fence that nothing in it can close."""
    model = LanguageModel(model=checkpoint.model(), vocabulary=checkpoint.vocabulary, name="")
    written = "".join(character.text for character in Stream(model, prompt, _SAMPLE))
    text = escape_control_characters(prompt + written).rstrip()
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"
