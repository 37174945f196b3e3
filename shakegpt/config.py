"""What a model, a training run and a generation are made of: every number a user can choose, with its reason."""

import math
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, Self, get_args

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["fp32", "bf16", "fp16"]
PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]


def _check(what: str, value: object, *, good: bool, rule: str) -> None:
    if not good:
        raise ValueError(f"{what} must be {rule}, not {value!r}.")


def _whole(what: str, value: Any, least: int, most: int = 2**31 - 1) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    rule = f"a whole number of at least {least}" + (f" and at most {most}" if whole and value > most else "")
    _check(what, value, good=whole and least <= value <= most, rule=rule)


def _real(what: str, value: object, rule: str, *, good: bool) -> None:
    _check(what, value, good=isinstance(value, int | float) and math.isfinite(value) and good, rule=rule)


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
    """Width of the hidden layer of each block's MLP."""
    block_size: int = 128
    """Context: the most characters the model sees at once."""
    dropout: float = 0.1
    """Probability that an activation is zeroed in training."""

    def __post_init__(self) -> None:
        _whole("The vocabulary size", self.vocab_size, 1, 1_200_000)
        _whole("The number of layers", self.n_layer, 1, 1_000)
        _whole("The number of heads", self.n_head, 1, 1_000)
        _whole("d_model", self.d_model, 1, 100_000)
        _whole("d_ff", self.d_ff, 1, 1_000_000)
        _whole("The block size", self.block_size, 1, 1_000_000)
        _real("Dropout", self.dropout, "in [0, 1)", good=0 <= self.dropout < 1)
        if self.d_model % self.n_head:
            raise ValueError(f"d_model ({self.d_model}) must be a multiple of the number of heads ({self.n_head}).")

    @property
    def parameters(self) -> int:
        """The number of weights of this model; the tied head counts once."""
        d, f = self.d_model, self.d_ff
        block = (2 * d) + (3 * d * d + 3 * d) + (d * d + d) + (2 * d) + (d * f + f) + (f * d + d)
        return (self.vocab_size + self.block_size) * d + self.n_layer * block + 2 * d


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
    """Peak of the schedule."""
    min_learning_rate: float = 1e-4
    """Floor that the cosine decays to."""
    warmup: int = 100
    """Steps of linear warm-up, cut to a tenth of a run too short for it."""
    weight_decay: float = 0.1
    """Decoupled decay, on matrices only."""
    beta1: float = 0.9
    """AdamW's decay of the gradient's running mean."""
    beta2: float = 0.99
    """AdamW's decay of the squared gradient's running mean; few characters per step want a long memory."""
    grad_clip: float = 1.0
    """Most that the gradient's norm may be; 0 turns clipping off."""
    eval_every: int = 250
    """Steps between full passes over the validation split."""
    save_every: int = 250
    """Steps between periodic checkpoints."""
    save_seconds: float = 60.0
    """Most wall time between checkpoints; 0 leaves saving to the step count alone."""
    keep: int = 3
    """Periodic checkpoints kept beside the best and the last."""
    seed: int = 1337
    """Fixes the weights at the start, every batch, every dropout mask and every sample."""
    device: DeviceName = "auto"
    """Where to train."""
    precision: PrecisionName = "auto"
    """Number format of the matrix multiplications; weights and optimizer are always fp32."""
    sample_prompt: str = "\n"
    """What the model continues at each evaluation."""
    sample_length: int = 240
    """Characters written at each evaluation; 0 turns samples off."""

    def __post_init__(self) -> None:
        _whole("The number of steps", self.steps, 1)
        _whole("The batch size", self.batch_size, 1)
        _whole("Accumulation", self.accumulate, 1)
        _real("The learning rate", self.learning_rate, "a number above 0", good=self.learning_rate > 0)
        _real(
            "The minimum learning rate",
            self.min_learning_rate,
            f"between 0 and the learning rate ({self.learning_rate:g})",
            good=0 <= self.min_learning_rate <= self.learning_rate,
        )
        _whole("Warm-up", self.warmup, 0)
        _real("Weight decay", self.weight_decay, "a number of at least 0", good=self.weight_decay >= 0)
        _real("beta1", self.beta1, "in [0, 1)", good=0 <= self.beta1 < 1)
        _real("beta2", self.beta2, "in [0, 1)", good=0 <= self.beta2 < 1)
        _real("Gradient clipping", self.grad_clip, "a number of at least 0", good=self.grad_clip >= 0)
        _whole("The evaluation interval", self.eval_every, 1)
        _whole("The save interval", self.save_every, 1)
        _real("The seconds between saves", self.save_seconds, "a number of at least 0", good=self.save_seconds >= 0)
        _whole("The number of checkpoints to keep", self.keep, 1)
        _whole("The seed", self.seed, 0)
        devices, precisions = get_args(DeviceName), get_args(PrecisionName)
        _check("The device", self.device, good=self.device in devices, rule="auto, cpu, cuda or mps")
        _check("The precision", self.precision, good=self.precision in precisions, rule="auto, fp32, bf16 or fp16")
        _whole("The sample length", self.sample_length, 0)
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"The batch size ({self.batch_size}) must be a multiple of the accumulation ({self.accumulate})."
            )

    @property
    def micro_batch_size(self) -> int:
        """Sequences that go through the model at once."""
        return self.batch_size // self.accumulate


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How the next character is drawn. Raises ``ValueError`` that names the value at fault."""

    temperature: float = 0.8
    """Divides the logits; 0 always takes the likeliest character."""
    top_k: int | None = None
    """Keep the k likeliest characters; ``None`` keeps all."""
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
        _real("Temperature", self.temperature, "a number of at least 0", good=self.temperature >= 0)
        if self.top_k is not None:
            _whole("Top-k", self.top_k, 1)
        _real("Top-p", self.top_p, "above 0 and at most 1", good=0 < self.top_p <= 1)
        _real("Min-p", self.min_p, "at least 0 and at most 1", good=0 <= self.min_p <= 1)
        _real("The repetition penalty", self.repetition_penalty, "a number above 0", good=self.repetition_penalty > 0)
        _whole("The seed", self.seed, 0)
        _whole("The length", self.length, 0)
        for text in self.stop:
            _check("A stop text", text, good=isinstance(text, str) and bool(text), rule="at least one character long")

    def but(self, **changes: Any) -> Self:
        """Return these settings with some changed; ``ValueError`` where the new ones make no sense."""
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named size of model with the training that suits it."""

    summary: str
    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)

    def model_config(self, vocab_size: int, **changes: Any) -> ModelConfig:
        """Return this preset's model for a vocabulary, with ``changes`` that are not ``None`` applied."""
        return ModelConfig(vocab_size=vocab_size, **{**self.model, **_given(changes)})

    def training_config(self, **changes: Any) -> TrainingConfig:
        """Return this preset's training, with ``changes`` that are not ``None`` applied.

        A learning rate below the preset's floor brings the floor down with it, unless the floor is given too.
        """
        chosen = {**self.training, **_given(changes)}
        rate = chosen.get("learning_rate", TrainingConfig.learning_rate)
        floor = chosen.get("min_learning_rate", TrainingConfig.min_learning_rate)
        if changes.get("min_learning_rate") is None and isinstance(rate, int | float) and floor > rate > 0:
            chosen["min_learning_rate"] = rate / 10
        return TrainingConfig(**chosen)


def _given(changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in changes.items() if value is not None}


PRESETS: dict[str, Preset] = {
    "seed": Preset(
        summary="2 blocks, 8 heads, width 256, context 128: 1.6 M weights; verse in minutes on a CPU",
        # The best recipe tried so far (assets/pretrained/README.md): with forty passes over one small text, a high
        # rate and strong decay do more against learning it by heart than dropout, and cost the model less.
        model={"dropout": 0.05},
        training={
            "steps": 9_000,
            "learning_rate": 2e-3,
            "min_learning_rate": 2e-5,
            "warmup": 200,
            "weight_decay": 1.0,
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
DEFAULT_PRESET = "seed"


def changed_fields(old: Any, new: Any) -> dict[str, tuple[Any, Any]]:
    """Return ``{field: (old value, new value)}`` for two configurations of one class."""
    if type(old) is not type(new):
        raise TypeError(f"cannot compare {type(old).__name__} with {type(new).__name__}")
    before, after = asdict(old), asdict(new)
    return {f.name: (before[f.name], after[f.name]) for f in fields(old) if before[f.name] != after[f.name]}
