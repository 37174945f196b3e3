"""Configurations of a model, a training run and a generation: every value that a user can choose."""

import inspect
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, get_args

DeviceKind = Literal["auto", "cpu", "cuda", "mps"]
# fmt: off
NumberedGpu = Literal[
    "cuda:0", "cuda:1", "cuda:2", "cuda:3", "cuda:4", "cuda:5", "cuda:6", "cuda:7",
    "cuda:8", "cuda:9", "cuda:10", "cuda:11", "cuda:12", "cuda:13", "cuda:14", "cuda:15",
]
# fmt: on
DeviceName = Literal[DeviceKind, NumberedGpu]
Precision = Literal["fp32", "bf16", "fp16"]
PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]
OnHangup = Literal["continue", "save"]
"""What becomes of a training when its terminal goes away: it goes on without one, or saves and ends."""


def _check(name: str, value: object, *, valid: bool, rule: str) -> None:
    if not valid:
        raise ValueError(f"{name} must be {rule}, not {value!r}.")


def _check_integer(name: str, value: Any, minimum: int, maximum: int = 2**31 - 1) -> None:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    upper = f" and at most {maximum}" if is_integer and value > maximum else ""
    valid = is_integer and minimum <= value <= maximum
    _check(name, value, valid=valid, rule=f"a whole number of at least {minimum}{upper}")


def _check_number(
    name: str,
    value: Any,
    *,
    minimum: float = -math.inf,
    above: float = -math.inf,
    maximum: float = math.inf,
    below: float = math.inf,
) -> None:
    is_number = isinstance(value, int | float) and math.isfinite(value)
    bounds = {"of at least": minimum, "above": above, "at most": maximum, "below": below}
    rule = "a number " + " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound))
    _check(name, value, valid=is_number and minimum <= value <= maximum and above < value < below, rule=rule)


def _check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    _check(name, value, valid=value in choices, rule=f"{', '.join(choices[:-1])} or {choices[-1]}")


def check_device(name: str) -> None:
    """Raise ``ValueError`` where no device can have this name."""
    kinds, last = ", ".join(get_args(DeviceKind)), get_args(NumberedGpu)[-1]
    _check("The device", name, valid=name in get_args(DeviceName), rule=f"{kinds}, or one GPU from cuda:0 to {last}")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The shape of a GPT. Raises ``ValueError`` where the numbers do not fit together."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    vocab_size: int
    """Distinct characters."""
    n_layer: int = 2
    """Transformer blocks."""
    n_head: int = 8
    """Attention heads per block."""
    d_model: int = 256
    """Width of the residual stream."""
    d_ff: int = 1024
    """Width of the hidden layer of each block's MLP; where only d_model is given, four times that."""
    block_size: int = 128
    """Context: the most characters the model sees at once."""
    dropout: float = 0.1
    """Probability that an activation is zeroed in training."""

    def __post_init__(self) -> None:
        _check_integer("The vocabulary size", self.vocab_size, 1, 1_200_000)
        _check_integer("The number of layers", self.n_layer, 1, 1_000)
        _check_integer("The number of heads", self.n_head, 1, 1_000)
        _check_integer("d_model", self.d_model, 1, 100_000)
        _check_integer("d_ff", self.d_ff, 1, 1_000_000)
        _check_integer("The block size", self.block_size, 1, 1_000_000)
        _check_number("Dropout", self.dropout, minimum=0, below=1)
        if self.d_model % self.n_head:
            raise ValueError(f"d_model ({self.d_model}) must be a multiple of the number of heads ({self.n_head}).")

    @property
    def shape(self) -> dict[str, int]:
        """What has to be the same for the weights of one model to fit another, but for the vocabulary."""
        return {name: getattr(self, name) for name in SHAPE_FIELDS}

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each weight of this model, by its name in the GPT's ``state_dict``; the tied head is not one.

        A model need not be built for it, which would take memory, or torch's compiler where it has none.
        """
        C, F = self.d_model, self.d_ff  # noqa: N806
        norm: dict[str, tuple[int, ...]] = {"weight": (C,), "bias": (C,)}

        def linear(inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
            return {"weight": (outputs, inputs), "bias": (outputs,)}

        block = {
            "attention_norm": norm,
            "attention.query_key_value": linear(C, 3 * C),
            "attention.projection": linear(C, C),
            "mlp_norm": norm,
            "mlp.expansion": linear(C, F),
            "mlp.projection": linear(F, C),
        }
        layers: dict[str, dict[str, tuple[int, ...]]] = {
            "token_embedding": {"weight": (self.vocab_size, C)},
            "position_embedding": {"weight": (self.block_size, C)},
            **{f"blocks.{number}.{name}": layer for number in range(self.n_layer) for name, layer in block.items()},
            "final_norm": norm,
        }
        return {f"{name}.{weight}": shape for name, layer in layers.items() for weight, shape in layer.items()}

    @property
    def parameters(self) -> int:
        """The number of weights of this model; the tied head counts once."""
        return sum(math.prod(shape) for shape in self.weight_shapes.values())


SHAPE_FIELDS = ("n_layer", "n_head", "d_model", "d_ff", "block_size")
"""Fields of ``ModelConfig`` that a user may set on top of a preset, and that a checkpoint's weights fix."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a model is trained. Raises ``ValueError`` for a number that makes no sense."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    steps: int = 5_000
    """Optimizer steps of the whole run; the schedule ends here."""
    batch_size: int = 32
    """Sequences per optimizer step, over all micro-batches and devices."""
    accumulate: int = 1
    """Micro-batches that the batch is split into, to save memory; the result is the same within rounding."""
    learning_rate: float = 1e-3
    """Peak learning rate of the schedule."""
    min_learning_rate: float = 1e-4
    """Learning rate that the cosine decays to."""
    warmup: int = 100
    """Steps of linear warm-up, at most a tenth of the run."""
    weight_decay: float = 0.1
    """AdamW's decoupled weight decay, on matrices only."""
    beta1: float = 0.9
    """AdamW's decay of the gradient's running mean."""
    beta2: float = 0.99
    """AdamW's decay of the squared gradient's running mean; small batches need a slow decay."""
    grad_clip: float = 1.0
    """Largest norm of the gradient; 0 turns clipping off."""
    ema: float = 0.0
    """Decay of a moving average of the weights, used where it does better, such as 0.999; 0 keeps none."""
    eval_every: int = 250
    """Steps between passes over the validation split."""
    eval_windows: int = 0
    """Of a longer validation split, evaluate a fixed subset of so many windows; 0 evaluates all."""
    early_stop: int = 0
    """End the run after so many evaluations in a row without a new best; 0 never does."""
    save_every: int = 250
    """Steps between periodic checkpoints."""
    save_seconds: float = 60.0
    """Longest time between checkpoints; 0 saves by the step count alone."""
    keep: int = 3
    """Periodic checkpoints kept beside the best and the last."""
    seed: int = 1337
    """Fixes the weights at the start, every batch, every dropout mask and every sample."""
    device: DeviceName = "auto"
    """Where to train; cuda:N is one GPU of several, and without a number it is the one with the most free memory."""
    precision: PrecisionName = "auto"
    """Number format of the matrix multiplications; weights and optimizer are always fp32."""
    sample_prompt: str = "\n"
    """What the model continues at each evaluation."""
    sample_length: int = 240
    """Characters written at each evaluation; 0 turns samples off."""

    def __post_init__(self) -> None:
        _check_integer("The number of steps", self.steps, 1)
        _check_integer("The batch size", self.batch_size, 1)
        _check_integer("Accumulation", self.accumulate, 1)
        _check_number("The learning rate", self.learning_rate, above=0)
        _check_number("The minimum learning rate", self.min_learning_rate, minimum=0, maximum=self.learning_rate)
        _check_integer("Warm-up", self.warmup, 0)
        _check_number("Weight decay", self.weight_decay, minimum=0)
        _check_number("beta1", self.beta1, minimum=0, below=1)
        _check_number("beta2", self.beta2, minimum=0, below=1)
        _check_number("Gradient clipping", self.grad_clip, minimum=0)
        _check_number("The decay of the average of the weights", self.ema, minimum=0, below=1)
        _check_integer("The evaluation interval", self.eval_every, 1)
        _check_integer("The number of windows to evaluate", self.eval_windows, 0)
        _check_integer("The number of evaluations without a new best", self.early_stop, 0)
        _check_integer("The save interval", self.save_every, 1)
        _check_number("The seconds between saves", self.save_seconds, minimum=0)
        _check_integer("The number of checkpoints to keep", self.keep, 1)
        _check_integer("The seed", self.seed, 0)
        check_device(self.device)
        _check_choice("The precision", self.precision, get_args(PrecisionName))
        _check_integer("The sample length", self.sample_length, 0)
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"The batch size ({self.batch_size}) must be a multiple of the accumulation ({self.accumulate})."
            )


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How the next character is drawn. Raises ``ValueError`` that names the value at fault."""

    temperature: float = 0.8
    """Divides the logits; 0 always takes the likeliest character."""
    top_k: int | None = None
    """Keep the k likeliest characters; ``None`` keeps all, and so does 0, which becomes ``None``."""
    top_p: float = 1.0
    """Keep the smallest set of likeliest characters whose probability reaches p."""
    min_p: float = 0.0
    """Drop characters less probable than this share of the likeliest one's probability."""
    repetition_penalty: float = 1.0
    """Divides the positive and multiplies the negative logits of characters already in the context; 1 is off."""
    seed: int = 1337
    """Fixes every draw."""
    length: int = 400
    """Characters to write, at most."""
    stop: tuple[str, ...] = field(default=())
    """Texts that end the generation, and are left out of it."""

    def __post_init__(self) -> None:
        _check_number("Temperature", self.temperature, minimum=0)
        if self.top_k is not None:
            _check_integer("Top-k", self.top_k, 0)
            object.__setattr__(self, "top_k", self.top_k or None)  # one way to say off inside, two outside
        _check_number("Top-p", self.top_p, above=0, maximum=1)
        _check_number("Min-p", self.min_p, minimum=0, maximum=1)
        _check_number("The repetition penalty", self.repetition_penalty, above=0)
        _check_integer("The seed", self.seed, 0)
        _check_integer("The length", self.length, 0)
        for text in self.stop:
            _check("A stop text", text, valid=isinstance(text, str) and bool(text), rule="at least one character long")


MAX_PASSES = 40
"""Passes over the training text that a run makes by default, at most: more would mostly memorize it."""
EVAL_WINDOWS = 2_048
"""Windows that an evaluation takes by default, at most: more than twice those of Tiny Shakespeare."""
_EVALUATIONS = 10
"""Evaluations of a run that is too short for the interval of its preset."""
_LEAST_EVAL_EVERY = 10

# The model that ships, on the play that ships (29 k characters to train on): the lowest validation loss was 1.49 at the
# preset's own rate, 1.39 at half, 1.34 at a quarter, 1.28 at a tenth, each after at most five passes, and it rose from
# there on: a small text is soon known by heart. With five passes in all, a tenth reached 1.273; a twentieth took twice
# as long to 1.271. So a tenth of the rate, and few passes.
GENTLE_RATE = 0.1
GENTLE_PASSES = 5
"""How training goes on from weights that have learned already."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named model size with the training that suits it."""

    summary: str
    """What the help texts say of it."""
    model: dict[str, Any] = field(default_factory=dict)
    """Fields of ``ModelConfig`` that differ from its defaults."""
    training: dict[str, Any] = field(default_factory=dict)
    """Fields of ``TrainingConfig`` that differ from its defaults."""
    max_passes: int = MAX_PASSES
    """Passes over the training text that a run makes by default, at most."""

    def model_config(self, vocab_size: int, **changes: Any) -> ModelConfig:
        """Return this preset's model for a vocabulary, with ``changes`` that are not ``None`` applied.

        A ``d_model`` of the user's brings a ``d_ff`` of four times that, as in GPT-2, unless that is given too.
        """
        chosen = _without_none(changes)
        if isinstance(width := chosen.get("d_model"), int):
            chosen.setdefault("d_ff", 4 * width)
        return ModelConfig(vocab_size=vocab_size, **{**self.model, **chosen})

    def training_config(self, **changes: Any) -> TrainingConfig:
        """Return this preset's training, with ``changes`` that are not ``None`` applied.

        A learning rate below the preset's minimum lowers the minimum to a tenth of it, unless ``changes`` sets both.
        """
        chosen = {"eval_windows": EVAL_WINDOWS, **self.training, **_without_none(changes)}
        rate = chosen.get("learning_rate", TrainingConfig.learning_rate)
        minimum = chosen.get("min_learning_rate", TrainingConfig.min_learning_rate)
        if changes.get("min_learning_rate") is None and isinstance(rate, int | float) and minimum > rate > 0:
            chosen["min_learning_rate"] = rate / 10
        return TrainingConfig(**chosen)

    def gentle(self) -> "Preset":
        """Return this preset with a training that suits weights which have learned already, from another text."""
        usual = self.training_config()
        rates = {
            "learning_rate": usual.learning_rate * GENTLE_RATE,
            "min_learning_rate": usual.min_learning_rate * GENTLE_RATE,
        }
        return replace(self, training={**self.training, **rates}, max_passes=GENTLE_PASSES)

    def default_steps(self, characters: int, model: ModelConfig, training: TrainingConfig) -> int:
        """Return the steps for a training text of so many characters: the preset's, but no more than ``max_passes``."""
        passes = self.max_passes * characters // (training.batch_size * model.block_size)
        return max(1, min(self.training_config().steps, passes))

    def default_eval_every(self, steps: int) -> int:
        """Return the steps between evaluations in a run of so many: the preset's, or a tenth of a short run."""
        return min(self.training_config().eval_every, max(_LEAST_EVAL_EVERY, -(-steps // _EVALUATIONS)))


def _without_none(changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in changes.items() if value is not None}


PRESETS: dict[str, Preset] = {
    "mini": Preset(
        summary="2 blocks, 8 heads, width 256, context 128: 1.6 M weights; verse in minutes on a CPU",
        # With so many passes over one small text, a high rate and strong weight decay prevent memorization; the recipes
        # tried are in the card of the model that ships, which has this one.
        max_passes=60,
        training={
            "steps": 14_000,
            "learning_rate": 2e-3,
            "min_learning_rate": 2e-5,
            "warmup": 200,
            "weight_decay": 1.6,
        },
    ),
    "nano": Preset(
        summary="1 block, 4 heads, width 64, context 64: seconds; for tests, demos and first steps",
        model={"n_layer": 1, "n_head": 4, "d_model": 64, "d_ff": 256, "block_size": 64, "dropout": 0.0},
        training={
            "steps": 500,
            "batch_size": 16,
            "learning_rate": 3e-3,
            "min_learning_rate": 3e-4,
            "warmup": 20,
            "eval_every": 50,
            "save_every": 100,
        },
    ),
    "baby": Preset(
        summary="6 blocks, 6 heads, width 384, context 256: 10.8 M weights; wants a GPU",
        model={"n_layer": 6, "n_head": 6, "d_model": 384, "d_ff": 1536, "block_size": 256, "dropout": 0.2},
        training={"batch_size": 64, "learning_rate": 1e-3, "min_learning_rate": 1e-4, "weight_decay": 0.1},
    ),
    "gpt2": Preset(
        summary="12 blocks, 12 heads, width 768, context 1024: GPT-2 small's 85 M body; wants a large GPU",
        model={"n_layer": 12, "n_head": 12, "d_model": 768, "d_ff": 3072, "block_size": 1024, "dropout": 0.2},
        training={
            "batch_size": 16,
            "accumulate": 4,
            "learning_rate": 3e-4,
            "min_learning_rate": 3e-5,
            "warmup": 500,
        },
    ),
}
DEFAULT_PRESET = "mini"
_FORMER_PRESETS = {"seed": "mini"}


def current_preset(name: str) -> str:
    """Return what a preset is called today; command lines, settings and runs of earlier versions say ``seed``."""
    return _FORMER_PRESETS.get(name, name)


def changed_fields(old: Any, new: Any) -> dict[str, tuple[Any, Any]]:
    """Return ``{field: (old value, new value)}`` for two configurations of one class."""
    if type(old) is not type(new):
        raise TypeError(f"cannot compare {type(old).__name__} with {type(new).__name__}")
    before, after = asdict(old), asdict(new)
    return {f.name: (before[f.name], after[f.name]) for f in fields(old) if before[f.name] != after[f.name]}


def field_docs(config: type) -> dict[str, str]:
    """Return the docstring of each field of a configuration, from the source code; nothing where that is not installed.

    A regular expression reads one in a tenth of the time that ``ast`` takes, which ``shakegpt --help`` waits for.
    """
    try:
        source = inspect.getsource(sys.modules[config.__module__])
    except OSError:
        return {}
    body = source.split(f"\nclass {config.__name__}:", 1)[1].split("\n\n\n", 1)[0]
    return dict(re.findall(r'^    (\w+): .+\n    """(.+)"""$', body, re.MULTILINE))
