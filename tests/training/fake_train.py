"""A stand-in for ``shakegpt train`` without torch: two steps a run, as its name says.

``*-02`` fails before it begins, ``*-03`` is killed after its first save, and ``*-04`` trains until it is told to stop;
resumed, each of them finishes. The arguments of every call are kept in ``$CALLS``.
"""

import os
import signal
import sys
import time
from pathlib import Path

from shakegpt.config import PRESETS
from shakegpt.events import Evaluation, Finished, Started, Step
from shakegpt.runs.run import RunMetadata
from shakegpt.runs.store import Store
from shakegpt.system.files import make_folder

arguments = sys.argv[1:]
with open(os.environ["CALLS"], "a") as calls:
    print(" ".join(arguments), file=calls)
resumed = "--resume" in arguments
name = arguments[arguments.index("--resume" if resumed else "--run") + 1]
number = name.rpartition("-")[2]
again = Path(os.environ["CALLS"]).read_text().count(f" {name}") > 1
if number == "02" and not again:
    print("shakegpt: There is no corpus nowhere.", file=sys.stderr)
    sys.exit(1)
store = Store.default()
metadata = RunMetadata(
    preset="nano",
    model=PRESETS["nano"].model_config(65),
    training=PRESETS["nano"].training_config(steps=2),
    corpus="demo",
    corpus_sha256="0" * 64,
    created="2026-11-01T20:00:00+00:00",
    versions={},
)
run = store.run(name) if resumed else store.create(metadata, name)
outcome = "finished"
with run.lock():
    run.log.append(
        Started(
            step=0, run=name, steps=2, parameters=1, vocab_size=65, corpus="demo", device="CPU", precision="fp32",
            reason="tests", threads=1, batch_size=1, block_size=1, preset="nano",
        )
    )  # fmt: skip
    for step in (1, 2):
        run.log.append(
            Step(
                step=step, loss=2.0, perplexity=7.4, learning_rate=1e-3, grad_norm=1.0, tokens_per_second=1.0,
                seconds=1.0 * step, tokens=step,
            )
        )  # fmt: skip
        make_folder(run.checkpoint_path(step))
        if number == "03" and not again:
            os.kill(os.getpid(), signal.SIGKILL)
    if number == "04" and not again:
        stopped = []
        signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
        while not stopped:
            time.sleep(0.01)
        outcome = "stopped"
    loss = 2.0 - int(number) / 100
    run.log.append(
        Evaluation(
            step=2, train_loss=2.0, val_loss=loss, perplexity=1.0, bits_per_character=1.0, best=True, seconds=2.0,
            tokens=2,
        )
    )  # fmt: skip
    run.log.append(Finished(step=2, outcome=outcome, best_val_loss=loss, best_step=2, seconds=2.0))
sys.exit(0 if outcome == "finished" else 143)
