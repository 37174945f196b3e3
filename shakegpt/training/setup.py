"""From what a user asks for to a trainer ready to run: a new run, the same run resumed, or a fork of a checkpoint."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from shakegpt.config import (
    DEFAULT_PRESET,
    PRESETS,
    SHAPE_FIELDS,
    ModelConfig,
    Precision,
    TrainingConfig,
    changed_fields,
    current_preset,
)
from shakegpt.data.catalog import OnProgress, choose_default_corpus, find_corpus
from shakegpt.errors import CheckpointError, CorpusError, UsageError
from shakegpt.runs.lock import run_busy_error
from shakegpt.runs.manifest import CheckpointInfo
from shakegpt.runs.run import Run, RunMetadata, utc_timestamp
from shakegpt.runs.store import Store

if TYPE_CHECKING:
    from torch import Tensor

    from shakegpt.data.corpus import Corpus
    from shakegpt.data.vocabulary import Vocabulary
    from shakegpt.runs.checkpoint import TrainingMetadata
    from shakegpt.system.device import DevicePlan
    from shakegpt.training.fine_tuning import StartingPoint
    from shakegpt.training.trainer import Trainer

SESSION_FIELDS = frozenset({"device", "precision", "eval_every", "save_every", "save_seconds", "keep", "early_stop"})
"""Options that may change when a run is resumed; any other change makes a new run."""


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """What a user asks for; ``None`` and absent values leave a preset, or a resumed run, as it is."""

    preset: str | None = None
    """``None`` means the default, or the one that suits the checkpoint to begin from."""
    corpus: str | None = None
    encoding: str = "utf-8"
    run_name: str | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields of ``TrainingConfig``, and of ``ModelConfig`` but for ``vocab_size``."""
    resume: str | None = None
    """The checkpoint to resume from; a run's name alone means its last."""
    begin_from: str | None = None
    """The checkpoint whose weights a new run begins with; a run's name alone means its best."""
    corpus_note: str = ""
    """Why ``corpus`` is not the text one would expect, where it was chosen for the user."""
    save_patience: float = math.inf
    """Seconds for which saving the end of the run is tried before the run fails unsaved."""


def build_trainer(store: Store, request: TrainingRequest, *, on_progress: OnProgress | None = None) -> "Trainer":
    """Return the trainer that a request asks for. Imports torch, reads the corpus, and creates the run's folder.

    Args:
        on_progress: called with (bytes so far, bytes in all) while a corpus is fetched.

    Raises:
        ShakegptError: something requested is missing, does not fit, or cannot be read.
        UsageError: a value is invalid.
    """
    try:
        if request.resume is not None:
            return _resume(store, request, request.resume, on_progress)
        return _begin(store, request, on_progress)
    except ValueError as error:
        raise UsageError(str(error)) from error


@dataclass(frozen=True, kw_only=True)
class PreparedTraining:
    """Everything that a new training needs, with nothing written yet."""

    request: TrainingRequest
    """With the text that was chosen where none was named."""
    preset: str
    config: TrainingConfig
    model_config: ModelConfig
    device_plan: "DevicePlan"
    corpus: "Corpus"
    start: "StartingPoint | None" = None

    @property
    def initial_weights(self) -> "Mapping[str, Tensor] | None":
        """The weights to begin with; ``None`` where they are drawn."""
        return None if self.start is None else self.start.checkpoint.weights


def prepare_training(
    store: Store, request: TrainingRequest, *, on_progress: OnProgress | None = None
) -> PreparedTraining:
    """Return what a new training needs: checks the request, reads the corpus and chooses the device; writes nothing.

    Arguments and errors as for ``build_trainer``, but ``ValueError`` for an invalid value.
    """
    name = current_preset(request.preset or DEFAULT_PRESET)
    preset = PRESETS.get(name)
    if preset is None:
        raise UsageError(f"There is no preset {request.preset!r}; the presets are {', '.join(PRESETS)}.")
    model_changes, changes = _split_changes(request.changes)
    preset.training_config(**changes)  # an invalid value is an error before anything is read or fetched
    preset.model_config(1, **model_changes)
    if request.run_name is not None:
        store.check_new_name(request.run_name)

    from shakegpt.data.corpus import Corpus
    from shakegpt.runs.checkpoint import check_size
    from shakegpt.system.device import choose_device_plan
    from shakegpt.training.fine_tuning import check_shape, open_starting_point

    start = None
    if request.begin_from is not None:
        start = open_starting_point(store, request.begin_from)
        shape = {field: value for field, value in model_changes.items() if field in SHAPE_FIELDS}
        check_shape(start, name if request.preset else None, shape)
        name, preset = start.preset, PRESETS[start.preset].gentle()
        model_changes = {"dropout": start.checkpoint.config.dropout} | model_changes | start.checkpoint.config.shape
    config = preset.training_config(**changes)
    check_size(preset.model_config(1, **model_changes), averaged=config.ema > 0)

    device_plan = choose_device_plan(config.device, config.precision)
    if request.corpus is None:
        default, note = choose_default_corpus(on_progress=on_progress)
        request = replace(request, corpus=default, corpus_note=note)
    known = start.checkpoint.vocabulary if start else None
    corpus = Corpus.load(request.corpus or "", encoding=request.encoding, vocabulary=known, on_progress=on_progress)
    if known is not None:
        corpus = corpus.beginning_with(known)
    model_config = preset.model_config(len(corpus.vocabulary), **model_changes)
    corpus.check_length(model_config.block_size)
    if changes.get("steps") is None:
        config = replace(config, steps=preset.default_steps(len(corpus.training_text), model_config, config))
    if changes.get("eval_every") is None:
        config = replace(config, eval_every=preset.default_eval_every(config.steps))
    return PreparedTraining(
        request=request,
        preset=name,
        config=config,
        model_config=model_config,
        device_plan=device_plan,
        corpus=corpus,
        start=start,
    )


def _begin(store: Store, request: TrainingRequest, on_progress: OnProgress | None) -> "Trainer":
    from shakegpt.training.trainer import Trainer

    prepared = prepare_training(store, request, on_progress=on_progress)
    run = _create_run(
        store,
        prepared.request,
        prepared.preset,
        prepared.model_config,
        prepared.config,
        prepared.corpus,
        start=prepared.start,
    )
    return Trainer(
        run,
        prepared.config,
        prepared.corpus,
        model_config=prepared.model_config,
        device_plan=prepared.device_plan,
        preset=prepared.preset,
        initial_weights=prepared.initial_weights,
        save_patience=request.save_patience,
    )


def _split_changes(changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the changes that are not ``None``: those of the model, and those of the training."""
    given = {name: value for name, value in changes.items() if value is not None}
    model = {name: given.pop(name) for name in ("dropout", *SHAPE_FIELDS) if name in given}
    return model, given


def _resume(store: Store, request: TrainingRequest, reference: str, on_progress: OnProgress | None) -> "Trainer":
    from shakegpt.training.state import ResumePoint
    from shakegpt.training.trainer import Trainer

    warnings: list[str] = []
    info, checkpoint = store.read(reference, warn=warnings.append, to_resume=True)
    saved = checkpoint.read_training_state()
    if request.corpus is None and info.run is not None:  # by default, the text and encoding of the run
        run = store.run(info.run)
        request = replace(request, corpus=run.corpus_source, encoding=run.metadata.encoding)
    before = saved.metadata.training
    model_changes, changes = _split_changes(request.changes)
    if shape := sorted(model_changes.keys() & set(SHAPE_FIELDS)):
        raise UsageError(f"A resumed run keeps its shape: leave {shape[0]} out, or begin a new run without resume.")
    if changes.get("learning_rate", before.learning_rate) < before.min_learning_rate:
        changes.setdefault("min_learning_rate", changes["learning_rate"] / 10)
    config, model_config = replace(before, **changes), replace(checkpoint.config, **model_changes)
    changed = {**changed_fields(before, config), **changed_fields(checkpoint.config, model_config)}
    ended = info.run is None or changed or store.run(info.run).status() == "finished"  # else cut just before its end
    if info.step > config.steps or (info.step == config.steps and ended):
        raise UsageError(
            f"{info.reference} has already taken {info.step} of {config.steps} steps; give --steps a larger number to "
            "train on."
        )
    own_run = _run_to_resume(store, request, info, set(changed))
    device_plan = _choose_device_plan(saved.metadata, config)
    parent = store.metadata(info)
    corpus = _load_corpus(saved.metadata, checkpoint.vocabulary, request, on_progress)
    if parent is None or parent.begun_from is not None:  # then it may know characters that the text does not have
        corpus = corpus.beginning_with(checkpoint.vocabulary)
    if checkpoint.vocabulary != corpus.vocabulary:
        raise CorpusError(
            f"{info.reference} knows {checkpoint.vocabulary.describe()}; the corpus {corpus.name} read as "
            f"{request.encoding} has {corpus.vocabulary.describe()}."
        )
    warnings += _exactness_warnings(saved.metadata, device_plan)
    described = {name: f"{old} -> {new}" for name, (old, new) in changed.items()}
    summary = "; ".join(f"{name} {change}" for name, change in described.items())
    if own_run is not None:
        warnings += [f"From here on: {summary}."] if summary else []
    else:
        preset = current_preset(saved.metadata.preset)
        own_run = _create_run(
            store,
            request,
            preset,
            model_config,
            config,
            corpus,
            resumed_from=info.reference,
            changes=described,
            parent=parent,
        )
        warnings.append(
            f"This is a new run, {own_run.name}, forked from {info.reference}: {summary or 'nothing changed'}."
        )
        saved = replace(saved, metadata=replace(saved.metadata, best_step=None, best_val_loss=None))
    return Trainer(
        own_run,
        config,
        corpus,
        model_config=model_config,
        device_plan=device_plan,
        preset=saved.metadata.preset,
        resume=ResumePoint(checkpoint, saved, info.reference, tuple(warnings)),
        save_patience=request.save_patience,
    )


def _create_run(
    store: Store,
    request: TrainingRequest,
    preset: str,
    model_config: ModelConfig,
    config: TrainingConfig,
    corpus: "Corpus",
    *,
    resumed_from: str | None = None,
    changes: dict[str, str] | None = None,
    start: "StartingPoint | None" = None,
    parent: RunMetadata | None = None,
) -> Run:
    """Create the folder of a run: a new one, which may begin from ``start``, or a fork of ``parent``."""
    from shakegpt.version import versions

    begun: dict[str, Any] = {}
    if start is not None:
        new = model_config.vocab_size - start.checkpoint.config.vocab_size
        begun = {"begun_from": start.reference, "begun_from_sha256": start.sha256, "new_characters": new}
    elif parent is not None:
        begun = {name: getattr(parent, name) for name in ("begun_from", "begun_from_sha256", "new_characters")}
    from_file = request.corpus is not None and find_corpus(request.corpus).source == "file"
    metadata = RunMetadata(
        preset=preset,
        model=model_config,
        training=config,
        corpus=corpus.name,
        corpus_sha256=corpus.sha256,
        created=utc_timestamp(),
        versions=versions(),
        resumed_from=resumed_from,
        changes=changes,
        corpus_file=str(Path(request.corpus or "").expanduser().absolute()) if from_file else None,
        encoding=request.encoding,
        corpus_note=request.corpus_note or None,
        **begun,
    )
    return store.create(metadata, request.run_name)


def _load_corpus(
    saved: "TrainingMetadata", vocabulary: "Vocabulary", request: TrainingRequest, on_progress: OnProgress | None
) -> "Corpus":
    """Return the text that a checkpoint was trained on."""
    from shakegpt.data.corpus import Corpus

    corpus = Corpus.load(
        request.corpus or saved.corpus, encoding=request.encoding, vocabulary=vocabulary, on_progress=on_progress
    )
    if corpus.sha256 != saved.corpus_sha256:
        raise CorpusError(
            f"The corpus {corpus.name} is not the text that this run learned from (its SHA-256 differs); give the same "
            "text with --corpus, or begin a new run on this one."
        )
    return corpus


def _choose_device_plan(saved: "TrainingMetadata", config: TrainingConfig) -> "DevicePlan":
    """Return where to go on: in the precision of before, where the device is the same and none was asked for."""
    from shakegpt.system.device import choose_device_plan

    device_plan = choose_device_plan(config.device, config.precision)
    if config.precision == "auto" and device_plan.device.type == saved.device:
        return choose_device_plan(config.device, cast(Precision, saved.precision))
    return device_plan


def _exactness_warnings(saved: "TrainingMetadata", device_plan: "DevicePlan") -> list[str]:
    """Return a warning that names what prevents an exact resume, if anything does."""
    from shakegpt.version import versions

    pairs = {
        "device": (saved.device, device_plan.device.type),
        "precision": (saved.precision, device_plan.precision),
        "threads": (saved.threads, device_plan.threads),
        "GPU": (saved.gpu, device_plan.name),
        "driver": (saved.driver, device_plan.driver),
        **{name: (saved.versions.get(name), version) for name, version in versions().items() if name != "python"},
    }
    if saved.gpu is None or device_plan.device.type != "cuda":  # another device, or a checkpoint that does not say
        del pairs["GPU"], pairs["driver"]
    differences = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in pairs.items() if old != new)
    return [f"Going on, but not to the bit as an uncut run would: {differences}."] if differences else []


def _run_to_resume(store: Store, request: TrainingRequest, info: CheckpointInfo, changed: set[str]) -> Run | None:
    """Return the checkpoint's own run where it goes on unchanged from its last; ``None`` where that makes a new run.

    Raises:
        RunBusyError: another process is training that run.
    """
    if info.run is None or changed - SESSION_FIELDS or request.run_name not in (None, info.run):
        return None
    run = store.run(info.run)
    if (owner := run.owner()) is not None:
        raise run_busy_error(run.name, owner)
    # Later checkpoints would be overwritten with other numbers, so they make this a new run. Damaged ones were skipped
    # on purpose, and are written again.
    from shakegpt.runs.checkpoint import read_checkpoint

    for step, path in run.checkpoint_folders():
        if step > info.step:
            with suppress(CheckpointError):
                read_checkpoint(path).read_training_state()
                return None
    return run
