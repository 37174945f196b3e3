"""Which explanations a screen has, and which of them is about what has the focus or was used last."""

from typing import Any

from textual.app import App
from textual.screen import ModalScreen, Screen

from shakegpt.tui.chart.chart_screen import ChartScreen
from shakegpt.tui.checkpoints.checkpoint_screen import CheckpointScreen
from shakegpt.tui.checkpoints.run_detail import RunDetail
from shakegpt.tui.dialogs.explain import ExplainScreen, Explanation
from shakegpt.tui.explanations.generation import explain_generation
from shakegpt.tui.explanations.inspection import explain_trace
from shakegpt.tui.explanations.training import explain_run
from shakegpt.tui.generation.generation_screen import GenerationScreen
from shakegpt.tui.generation.next_character import NextCharacter
from shakegpt.tui.inspect.inspect_screen import InspectScreen
from shakegpt.tui.training.loss_panel import LossPanel
from shakegpt.tui.training.metric_panel import MetricPanel
from shakegpt.tui.training.training_screen import TrainingScreen


def explanations_of(screen: Screen[Any]) -> tuple[list[Explanation], int]:
    """Return the explanations of a screen, and the index of the one to begin with; none where there is nothing yet."""
    found: list[Explanation] = []
    topic = ""
    if isinstance(screen, TrainingScreen) and screen.snapshot is not None:
        found = explain_run(screen.snapshot, screen.query_one(LossPanel).tables)
        topic = screen.focused.quantity.key if isinstance(screen.focused, MetricPanel) else "loss"
    elif isinstance(screen, ChartScreen):
        found = explain_run(screen.runs[0].snapshot, screen.runs[0].tables)
        topic = screen.quantity.key
    elif isinstance(screen, GenerationScreen):
        current = screen.pane.current
        found = explain_generation(current.settings, current.next_character)
        topic = "odds" if isinstance(screen.focused, NextCharacter) else screen.last_knob or "odds"
    elif isinstance(screen, InspectScreen) and screen.view is not None and screen.view.trace is not None:
        view, trace = screen.view, screen.view.trace
        found = explain_trace(trace, view.position, screen.head, view.votes, screen.known_facts, mean=screen.mean)
        topic = "mute" if screen.head in trace.muted and not screen.mean else "attention"
    elif isinstance(screen, CheckpointScreen) and (snapshot := screen.query_one(RunDetail).snapshot) is not None:
        found = explain_run(snapshot)
    return found, next((index for index, one in enumerate(found) if one.topic == topic), 0)


def show_explanations(app: App[Any]) -> None:
    """Explain what is on the screen of an app, unless a dialog is open; say so where there is nothing yet."""
    if isinstance(app.screen, ModalScreen):
        return
    explanations, index = explanations_of(app.screen)
    if explanations:
        app.push_screen(ExplainScreen(explanations, index))
    else:
        app.notify("There is nothing to explain yet: its figures come with the first steps of a run.")
