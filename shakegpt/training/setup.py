"""From what a user asks for to a trainer ready to run: a new run, the same run going on, or a fork of a checkpoint."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shakegpt.config import DEFAULT_PRESET, PRESETS, TrainingConfig, changed_fields
from shakegpt.data.catalog import TINY_SHAKESPEARE, OnProgress, find_corpus
from shakegpt.errors import CheckpointError, CorpusError, UsageError
from shakegpt.runs.lock import run_busy_error
from shakegpt.runs.run import CheckpointInfo, Run, RunMetadata, utc_timestamp
from shakegpt.runs.store import Store

if TYPE_CHECKING:
    from shakegpt.data.corpus import Corpus
    from shakegpt.runs.checkpoint import SavedTrainingState
    from shakegpt.system.device import DevicePlan
    from shakegpt.training.trainer import Trainer

# Where a run computes and how often it looks up may change from session to session; anything else makes it another run.
SESSION_FIELDS = frozenset({"device", "precision", "eval_every", "save_every", "save_seconds", "keep"})


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


def build_trainer(store: Store, request: TrainingRequest, *, on_progress: OnProgress | None = None) -> "Trainer":
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
    if request.run_name is not None:
        store.check_new_name(request.run_name)

    from shakegpt.data.corpus import Corpus
    from shakegpt.system.device import choose_device_plan
    from shakegpt.training.trainer import Trainer
    from shakegpt.version import versions

    device_plan = choose_device_plan(config.device, config.precision)
    corpus = Corpus.load(request.corpus or TINY_SHAKESPEARE, encoding=request.encoding, on_progress=on_progress)
    model_config = preset.model_config(len(corpus.vocabulary), dropout=dropout)
    corpus.check_length(model_config.block_size)
    record = RunMetadata(
        preset=request.preset,
        model=model_config,
        training=config,
        corpus=corpus.name,
        corpus_sha256=corpus.sha256,
        created=utc_timestamp(),
        versions=versions(),
        corpus_file=_file_of(request.corpus),
        encoding=request.encoding,
    )
    run = store.create(record, request.run_name)
    return Trainer(run, config, corpus, model_config=model_config, device_plan=device_plan, preset=request.preset)


def _go_on(store: Store, request: TrainingRequest, reference: str, on_progress: OnProgress | None) -> "Trainer":
    from shakegpt.runs.checkpoint import Resume
    from shakegpt.training.trainer import Trainer
    from shakegpt.version import versions

    warnings: list[str] = []
    info, checkpoint = store.read(reference, warn=warnings.append, to_resume=True)
    state = checkpoint.read_training_state()
    request = _with_corpus(store, request, info)
    old = state.metadata.training
    asked = {name: value for name, value in request.changes.items() if value is not None}
    dropout = asked.pop("dropout", None)
    if asked.get("learning_rate", old.learning_rate) < old.min_learning_rate:
        asked.setdefault("min_learning_rate", asked["learning_rate"] / 10)
    config = replace(old, **asked)
    model_config = checkpoint.config if dropout is None else replace(checkpoint.config, dropout=dropout)
    changes = {**changed_fields(old, config), **changed_fields(checkpoint.config, model_config)}
    ended = info.run is None or changes or store.run(info.run).status() == "finished"  # else cut just before its end
    if info.step > config.steps or (info.step == config.steps and ended):
        raise UsageError(
            f"{info.reference} has already taken {info.step} of {config.steps} steps; give --steps a larger number to "
            "train on."
        )
    run = _run_to_go_on_with(store, request, info, set(changes))
    device_plan = _device_plan_like(state, config)
    corpus = _same_corpus(state, request, on_progress)
    if checkpoint.vocabulary != corpus.vocabulary:
        raise CorpusError(
            f"{info.reference} knows {checkpoint.vocabulary.describe()}; the corpus {corpus.name} read as "
            f"{request.encoding} has {corpus.vocabulary.describe()}."
        )
    warnings += _inexact(state, device_plan)
    told = "; ".join(f"{name} {before} -> {after}" for name, (before, after) in changes.items())
    if run is not None:
        warnings += [f"From here on: {told}."] if told else []
    else:
        record = RunMetadata(
            preset=state.metadata.preset,
            model=model_config,
            training=config,
            corpus=corpus.name,
            corpus_sha256=corpus.sha256,
            created=utc_timestamp(),
            versions=versions(),
            resumed_from=info.reference,
            changes={name: f"{before} -> {after}" for name, (before, after) in changes.items()},
            corpus_file=_file_of(request.corpus),
            encoding=request.encoding,
        )
        run = store.create(record, request.run_name)
        warnings.append(f"This is a new run, {run.name}, forked from {info.reference}: {told or 'nothing changed'}.")
        state = replace(state, metadata=replace(state.metadata, best_step=None, best_val_loss=None))
    return Trainer(
        run,
        config,
        corpus,
        model_config=model_config,
        device_plan=device_plan,
        preset=state.metadata.preset,
        resume=Resume(replace(checkpoint, config=model_config), state, info.reference, tuple(warnings)),
    )


def _with_corpus(store: Store, request: TrainingRequest, info: CheckpointInfo) -> TrainingRequest:
    """Fill in where the run's text was and how it was read, unless the user says it anew."""
    if request.corpus is not None or info.run is None:
        return request
    run = store.run(info.run)
    return replace(request, corpus=run.corpus_source, encoding=run.metadata.encoding)


def _file_of(corpus: str | None) -> str | None:
    """Return the absolute path of a corpus that was given as a file."""
    if corpus is None or find_corpus(corpus).source != "file":
        return None
    return str(Path(corpus).expanduser().absolute())


def _same_corpus(state: "SavedTrainingState", request: TrainingRequest, on_progress: OnProgress | None) -> "Corpus":
    from shakegpt.data.corpus import Corpus

    corpus = Corpus.load(request.corpus or state.metadata.corpus, encoding=request.encoding, on_progress=on_progress)
    if corpus.sha256 != state.metadata.corpus_sha256:
        raise CorpusError(
            f"The corpus {corpus.name} is not the text that this run learned from (its SHA-256 differs); give the same "
            "text with --corpus, or begin a new run on this one."
        )
    return corpus


def _device_plan_like(state: "SavedTrainingState", config: TrainingConfig) -> "DevicePlan":
    """Where and how to go on: as before, where the precision was left to shakegpt and the device is the same kind."""
    from shakegpt.system.device import choose_device_plan

    device_plan = choose_device_plan(config.device, config.precision)
    if config.precision == "auto" and device_plan.device.type == state.metadata.device:
        return choose_device_plan(config.device, state.metadata.precision)  # type: ignore[arg-type]
    return device_plan


def _inexact(state: "SavedTrainingState", device_plan: "DevicePlan") -> list[str]:
    """Say in one sentence what differs from the session before so that the numbers will not be the same to the bit."""
    from shakegpt.version import versions

    record = state.metadata
    pairs = {
        "device": (record.device, device_plan.device.type),
        "precision": (record.precision, device_plan.precision),
        "threads": (record.threads, device_plan.threads),
        **{name: (record.versions.get(name), version) for name, version in versions().items() if name != "python"},
    }
    told = ", ".join(f"{name} {before} -> {after}" for name, (before, after) in pairs.items() if before != after)
    return [f"Going on, but not to the bit as an uncut run would: {told}."] if told else []


def _run_to_go_on_with(store: Store, request: TrainingRequest, info: CheckpointInfo, changes: set[str]) -> Run | None:
    """Return the checkpoint's own run where it goes on unchanged from its last; ``None`` where that makes a new run.

    Raises:
        RunBusyError: another process is training that run.
    """
    if info.run is None or changes - SESSION_FIELDS or request.run_name not in (None, info.run):
        return None
    run = store.run(info.run)
    if (owner := run.owner()) is not None:
        raise run_busy_error(run.name, owner)
    # Checkpoints beyond the one asked for would be overtaken by other numbers: leave them to the run they belong to.
    # Damaged ones were passed over on purpose, and are written anew.
    from shakegpt.runs.checkpoint import read_checkpoint

    for step, path in run.checkpoint_folders():
        if step > info.step:
            with suppress(CheckpointError):
                read_checkpoint(path).read_training_state()
                return None
    return run
