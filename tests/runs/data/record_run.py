"""Record the run beside this file; it needs the code of commit a239209, whose names it uses.

A tiny model on the demo text, in two sessions: stopped after 35 of its 50 steps, and resumed.
"""

import hashlib
import json
import os
import sys
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from shakegpt.corpus import Corpus
from shakegpt.device import choose_placement
from shakegpt.gguf import export_files as export_gguf
from shakegpt.huggingface import Origin
from shakegpt.huggingface import export_files as export_huggingface
from shakegpt.launch import TrainingRequest, launch
from shakegpt.run import RunRecord
from shakegpt.store import Store
from shakegpt.trainer import Trainer

from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.model import GPT
from shakegpt.version import versions

TRAINING = TrainingConfig(
    steps=50,
    batch_size=8,
    accumulate=2,
    learning_rate=1e-2,
    min_learning_rate=1e-3,
    warmup=5,
    eval_every=20,
    save_every=20,
    save_seconds=0.0,
    keep=3,
    seed=7,
    device="cpu",
    precision="fp32",
    sample_length=24,
)


def main() -> None:
    store = Store(Path(sys.argv[1]))
    corpus = Corpus.load("demo")
    model = ModelConfig(
        vocab_size=len(corpus.vocabulary), n_layer=1, n_head=2, d_model=16, d_ff=32, block_size=16, dropout=0.1
    )
    record = RunRecord(
        preset="seed",
        model=model,
        training=TRAINING,
        corpus=corpus.name,
        corpus_sha256=corpus.sha256,
        created="2025-11-24T12:00:00.000+00:00",
        versions=versions(),
    )
    run = store.create(record, "recorded")
    placement = choose_placement("cpu", "fp32")
    trainer = Trainer(run, TRAINING, corpus, model_config=model, placement=placement, preset="seed")
    with closing(iter(trainer)) as events:
        for event in events:
            if event.event == "step" and event.step == 35:
                trainer.stop()
    for _ in launch(store, TrainingRequest(resume="recorded")):
        pass

    info = store.find("recorded@last")
    checkpoint = store.open("recorded@last")
    # That commit wrote the tensors of a GGUF file in whatever order safetensors returned them.
    weights = {name: checkpoint.weights[name] for name in GPT.weight_shapes(model)}
    checkpoint = replace(checkpoint, weights=weights)
    origin = Origin(step=info.step, corpus=record.corpus, corpus_sha256=record.corpus_sha256)
    exported = {
        **export_huggingface(checkpoint, name=info.reference, origin=origin),
        **export_gguf(checkpoint, name=info.reference),
    }
    recorded = {
        "cpu": placement.name,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": placement.threads,
        "torch": torch.__version__,
        "gguf": version("gguf"),
        "exports": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(exported.items())},
    }
    (store.home / "recorded.json").write_text(json.dumps(recorded, indent=2) + "\n")


if __name__ == "__main__":
    main()
