"""Every number a user can choose is checked where it is chosen, and the error names it."""

import math
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from shakegpt.config import (
    DEFAULT_PRESET,
    PRESETS,
    ModelConfig,
    SamplingConfig,
    TrainingConfig,
    changed_fields,
    field_docs,
)
from shakegpt.model.gpt import GPT


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 0}, "vocabulary size"),
        ({"n_layer": 0}, "layers"),
        ({"n_layer": 2.0}, "layers"),
        ({"n_layer": True}, "layers"),
        ({"n_head": -1}, "heads"),
        ({"d_ff": 0}, "d_ff"),
        ({"block_size": 0}, "block size"),
        ({"dropout": 1.0}, "Dropout"),
        ({"dropout": -0.1}, "Dropout"),
        ({"dropout": math.nan}, "Dropout"),
        ({"n_head": 5}, "multiple of the number of heads"),
    ],
)
def test_an_invalid_model_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig(**{"vocab_size": 65, **changes})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0), ("steps", 1.5), ("batch_size", 0), ("accumulate", 0), ("learning_rate", 0.0),
        ("learning_rate", math.inf), ("min_learning_rate", -1e-9), ("min_learning_rate", 1.0),
        ("warmup", -1), ("weight_decay", -0.1), ("beta1", 1.0), ("beta2", -0.1), ("grad_clip", -1.0), ("eval_every", 0),
        ("save_every", 0), ("save_seconds", -1.0), ("keep", 0), ("seed", -1), ("seed", 2**31), ("device", "tpu"),
        ("device", "cuda:16"), ("precision", "fp8"), ("sample_length", -1),
    ],
)  # fmt: skip
def test_an_invalid_training_value_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        TrainingConfig(**{field: value})
    assert repr(value) in str(caught.value)
    assert str(caught.value).endswith(".")


def test_the_error_of_a_large_integer_names_the_maximum() -> None:
    with pytest.raises(ValueError, match="at most 2147483647"):
        TrainingConfig(seed=2**40)


def test_a_batch_has_to_split_evenly() -> None:
    with pytest.raises(ValueError, match=r"\(30\) must be a multiple of the accumulation \(4\)"):
        TrainingConfig(batch_size=30, accumulate=4)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1), ("temperature", math.nan), ("top_k", -1), ("top_k", 1.5), ("top_p", 0.0),
        ("top_p", 1.01), ("min_p", -0.1), ("min_p", 1.1), ("repetition_penalty", 0.0), ("seed", -1), ("length", -1),
    ],
)  # fmt: skip
def test_an_invalid_sampling_value_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        SamplingConfig(**{field: value})
    assert repr(value) in str(caught.value)


def test_a_stop_text_has_characters() -> None:
    with pytest.raises(ValueError, match="stop text"):
        SamplingConfig(stop=("end", ""))


def test_top_k_0_is_off() -> None:
    assert SamplingConfig(top_k=0) == SamplingConfig(top_k=None)
    assert replace(SamplingConfig(top_k=5), top_k=0).top_k is None


def test_replacing_a_field_checks_the_copy() -> None:
    settings = SamplingConfig(temperature=1.0)
    assert replace(settings, top_k=5) == SamplingConfig(temperature=1.0, top_k=5)
    assert settings.top_k is None
    with pytest.raises(ValueError, match="Top-k"):
        replace(settings, top_k=-1)
    with pytest.raises(FrozenInstanceError):
        settings.top_k = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_model_and_a_training(name: str) -> None:
    preset = PRESETS[name]
    model = preset.model_config(65)
    assert preset.training_config().batch_size % preset.training_config().accumulate == 0
    assert preset.model_config(65, dropout=None) == model
    assert preset.model_config(65, dropout=0.5).dropout == 0.5


def test_the_default_preset_is_the_model_of_the_design() -> None:
    model = PRESETS[DEFAULT_PRESET].model_config(65)
    shape = (model.n_layer, model.n_head, model.d_model, model.d_ff, model.block_size, model.dropout)
    assert shape == (2, 8, 256, 1024, 128, 0.1)
    assert model.parameters == sum(parameter.numel() for parameter in GPT(model, seed=0).parameters())
    assert 1_600_000 < model.parameters < 1_700_000


@pytest.mark.parametrize(
    ("changes", "minimum"),
    [
        ({}, 3e-4),
        ({"learning_rate": 1e-4}, 1e-5),  # below the preset's minimum: lowers it to a tenth
        ({"learning_rate": 1e-4, "min_learning_rate": 5e-5}, 5e-5),
        ({"min_learning_rate": None}, 3e-4),
    ],
)
def test_a_low_learning_rate_lowers_the_minimum(changes: dict[str, float], minimum: float) -> None:
    assert PRESETS["nano"].training_config(**changes).min_learning_rate == pytest.approx(minimum)


def test_a_minimum_above_the_peak_is_refused() -> None:
    with pytest.raises(ValueError, match="minimum learning rate"):
        PRESETS["nano"].training_config(learning_rate=1e-4, min_learning_rate=1e-3)


def test_changed_fields_have_the_old_and_the_new_value() -> None:
    old, new = TrainingConfig(), TrainingConfig(steps=10, seed=2)
    assert changed_fields(old, new) == {"steps": (old.steps, 10), "seed": (old.seed, 2)}
    assert changed_fields(old, old) == {}
    with pytest.raises(TypeError):
        changed_fields(old, SamplingConfig())


@pytest.mark.parametrize("config", [ModelConfig, TrainingConfig, SamplingConfig])
def test_configurations_are_keyword_only(config: type) -> None:
    assert all(field.kw_only for field in fields(config))


@pytest.mark.parametrize("config", [ModelConfig, TrainingConfig, SamplingConfig])
def test_every_field_is_described_by_its_docstring(config: type) -> None:
    docs = field_docs(config)
    assert list(docs) == [field.name for field in fields(config)]
    assert all(text.endswith(".") for text in docs.values())


@pytest.mark.parametrize(
    ("preset", "steps", "interval"),
    [("mini", 14_000, 250), ("mini", 282, 29), ("mini", 1_000, 100), ("nano", 500, 50), ("nano", 3, 10)],
)
def test_a_short_run_is_evaluated_about_ten_times(preset: str, steps: int, interval: int) -> None:
    assert PRESETS[preset].default_eval_every(steps) == interval
