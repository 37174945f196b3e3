"""From what a user asks for to a trainer ready to run: a new run, the same run going on, or a fork of a checkpoint."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shakegpt.config import DEFAULT_PRESET, PRESETS, TrainingConfig, changed_fields
from shakegpt.errors import CheckpointError, CorpusError, UsageError
from shakegpt.library import TINY_SHAKESPEARE, OnProgress
from shakegpt.run import CheckpointInfo, Run, RunRecord
from shakegpt.store import Store

if TYPE_CHECKING:
    from shakegpt.checkpoint import Checkpoint, TrainingState
    from shakegpt.corpus import Corpus
    from shakegpt.device import Placement
    from shakegpt.trainer import Trainer

# Where a run computes and how often it looks up may change from session to session; anything else makes it another run.
_SESSION_FIELDS = frozenset({"device", "precision", "eval_every", "save_every", "save_seconds", "keep"})


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """What a user asks for; ``None`` and absent values leave a preset, or a resumed run, as it is."""

    preset: str = DEFAULT_PRESET
    corpus: str | None = None
    encoding: str = "utf-8"
    run_name: str | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields of ``TrainingConfig``, and ``dropout``."""
    resume: str | None = None
    """The checkpoint to go on from; a run's name alone means its last."""


def launch(store: Store, request: TrainingRequest, *, on_progress: OnProgress | None = None) -> "Trainer":
    """Return the trainer that a request comes to. Imports torch, reads the corpus, and makes the run's folder.

    Args:
        store: where runs are.
        request: what to train.
        on_progress: called with (bytes so far, bytes in all) while a corpus is fetched.

    Raises:
        ShakegptError: something asked for is not there, does not fit, or cannot be read.
        UsageError: a value makes no sense.
    """
    try:
        if request.resume is not None:
            return _go_on(store, request, request.resume, on_progress)
        return _begin(store, request, on_progress)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _begin(store: Store, request: TrainingRequest, on_progress: OnProgress | None) -> "Trainer":
    preset = PRESETS.get(request.preset)
    if preset is None:
        raise UsageError(f"There is no preset {request.preset!r}; the presets are {', '.join(PRESETS)}.")
    changes = dict(request.changes)
    dropout = changes.pop("dropout", None)
    config = preset.training_config(**changes)  # a value that makes no sense is told before anything is fetched

    from shakegpt.corpus import Corpus
    from shakegpt.device import choose_placement
    from shakegpt.trainer import Trainer, versions

    placement = choose_placement(config.device, config.precision)
    corpus = Corpus.load(request.corpus or TINY_SHAKESPEARE, encoding=request.encoding, on_progress=on_progress)
    model_config = preset.model_config(len(corpus.vocabulary), dropout=dropout)
    corpus.require(model_config.block_size)
    record = RunRecord(
        preset=request.preset,
        model=model_config,
        training=config,
        corpus=corpus.name,
        corpus_sha256=corpus.sha256,
        created=_now(),
        versions=versions(),
    )
    run = store.create(record, request.run_name)
    return Trainer(run, config, corpus, model_config=model_config, placement=placement, preset=request.preset)


def _go_on(store: Store, request: TrainingRequest, reference: str, on_progress: OnProgress | None) -> "Trainer":
    from shakegpt.trainer import Resume, Trainer

    info, checkpoint, state, warnings = _read_resumable(store, reference)
    old = state.record.training
    config = replace(old, **{name: value for name, value in request.changes.items() if value is not None})
    if "min_learning_rate" not in request.changes and config.min_learning_rate > config.learning_rate:
        config = replace(config, min_learning_rate=config.learning_rate / 10)
    dropout = request.changes.get("dropout")
    model_config = checkpoint.config if dropout is None else replace(checkpoint.config, dropout=dropout)
    changes = {**changed_fields(old, config), **changed_fields(checkpoint.config, model_config)}
    if info.step >= config.steps:
        raise UsageError(
            f"{info.reference} has already taken {info.step} of {config.steps} steps; give --steps a larger number to "
            "train on."
        )
    placement = _placement_like(state, config)
    corpus = _same_corpus(state, request, on_progress)
    if checkpoint.vocabulary != corpus.vocabulary:
        raise CorpusError(
            f"{info.reference} knows {checkpoint.vocabulary.describe()}; the corpus {corpus.name} read as "
            f"{request.encoding} has {corpus.vocabulary.describe()}."
        )
    warnings += _inexact(state, placement)
    run = _run_to_write(store, request, info, RunRecord(
        preset=state.record.preset,
        model=model_config,
        training=config,
        corpus=corpus.name,
        corpus_sha256=corpus.sha256,
        created=_now(),
        versions=state.record.versions,
        resumed_from=info.reference,
        changes={name: f"{before} -> {after}" for name, (before, after) in changes.items()},
    ))  # fmt: skip
    if run.name != info.run:
        told = "; ".join(f"{name} {before} -> {after}" for name, (before, after) in changes.items())
        warnings.append(f"This is a new run, {run.name}, forked from {info.reference}: {told or 'nothing changed'}.")
        state = replace(state, record=replace(state.record, best_step=None, best_val_loss=None))
    return Trainer(
        run,
        config,
        corpus,
        model_config=model_config,
        placement=placement,
        preset=state.record.preset,
        resume=Resume(replace(checkpoint, config=model_config), state, info.reference, tuple(warnings)),
    )


def _read_resumable(
    store: Store, reference: str
) -> "tuple[CheckpointInfo, Checkpoint, TrainingState, list[str]]":
    """Read the checkpoint, falling back from a run's damaged last one to those before it, and say so."""
    from shakegpt.checkpoint import read_checkpoint

    info = store.resumable(reference)
    candidates = [info]
    if info.run is not None and "@" not in reference:
        candidates += [other for other in reversed(store.run(info.run).checkpoints()) if other.step < info.step]
    warnings: list[str] = []
    trouble: CheckpointError | None = None
    for candidate in candidates:
        try:
            checkpoint = read_checkpoint(candidate.path)
            return candidate, checkpoint, checkpoint.training_state(), warnings
        except CheckpointError as error:
            trouble = trouble or error
            warnings.append(f"{error} Going back to the checkpoint before it.")
    assert trouble is not None
    raise trouble


def _same_corpus(state: "TrainingState", request: TrainingRequest, on_progress: OnProgress | None) -> "Corpus":
    from shakegpt.corpus import Corpus

    corpus = Corpus.load(request.corpus or state.record.corpus, encoding=request.encoding, on_progress=on_progress)
    if corpus.sha256 != state.record.corpus_sha256:
        raise CorpusError(
            f"The corpus {corpus.name} is not the text that this run learned from (its SHA-256 differs); give the same "
            "text with --corpus, or begin a new run on this one."
        )
    return corpus


def _placement_like(state: "TrainingState", config: TrainingConfig) -> "Placement":
    """Where and how to go on: as before, where the precision was left to shakegpt and the device is the same kind."""
    from shakegpt.device import choose_placement

    placement = choose_placement(config.device, config.precision)
    if config.precision == "auto" and placement.device.type == state.record.device:
        return choose_placement(config.device, state.record.precision)  # type: ignore[arg-type]
    return placement


def _inexact(state: "TrainingState", placement: "Placement") -> list[str]:
    """Say in one sentence what differs from the session before so that the numbers will not be the same to the bit."""
    from shakegpt.trainer import versions

    record = state.record
    pairs = {
        "device": (record.device, placement.device.type),
        "precision": (record.precision, placement.precision),
        "threads": (record.threads, placement.threads),
        **{name: (record.versions.get(name), version) for name, version in versions().items() if name != "python"},
    }
    told = ", ".join(f"{name} {before} -> {after}" for name, (before, after) in pairs.items() if before != after)
    return [f"Going on, but not to the bit as an uncut run would: {told}."] if told else []


def _run_to_write(store: Store, request: TrainingRequest, info: CheckpointInfo, record: RunRecord) -> Run:
    """The same run where its last checkpoint goes on unchanged; else a new one, forked."""
    changed = set(record.changes or {}) - _SESSION_FIELDS
    if info.run is None or changed or request.run_name not in (None, info.run):
        return store.create(record, request.run_name if request.run_name != info.run else None)
    run = store.run(info.run)
    # Checkpoints beyond the one asked for would be overtaken by other numbers: leave them to the run they belong to.
    # Damaged ones were passed over on purpose, and are written anew.
    from shakegpt.checkpoint import read_checkpoint

    for later in run.checkpoints():
        if later.step > info.step:
            try:
                read_checkpoint(later.path)
            except CheckpointError:
                continue
            return store.create(record, None)
    return run


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


