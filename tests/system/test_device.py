"""The device and the precision, each with its reason; machines with a GPU are simulated."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from shakegpt.config import DeviceName, PrecisionName
from shakegpt.errors import ShakegptError
from shakegpt.system import device
from shakegpt.system.device import choose_device_plan, recording, training_kernels
from shakegpt.system.processors import available_cores
from tests.fake_cuda import add_gpus, gpu


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without a GPU, whose CPU gains nothing from bf16, until a test says otherwise."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(device, "bf16_speed_ratio", lambda: 0.4)
    return monkeypatch


def add_cuda(machine: pytest.MonkeyPatch, *, bf16: bool) -> None:
    add_gpus(machine, gpu("Fine GPU", (9, 0) if bf16 else (7, 5)), architectures=["sm_75", "sm_90"])


def test_a_cpu_computes_in_fp32_and_says_why(machine: pytest.MonkeyPatch) -> None:
    device_plan = choose_device_plan()
    assert (device_plan.device.type, device_plan.precision) == ("cpu", "fp32")
    assert device_plan.reason == "no GPU was found; bf16 is slower than fp32 on this CPU"
    assert device_plan.threads == available_cores()
    assert device_plan.name


def test_a_cpu_that_is_fast_in_bf16_uses_it(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(device, "bf16_speed_ratio", lambda: 3.0)
    device_plan = choose_device_plan("cpu")
    assert device_plan.precision == "bf16"
    assert device_plan.reason == "cpu as requested; matrix products are 3.0 times as fast in bf16 as in fp32"


def test_a_requested_precision_is_not_measured(machine: pytest.MonkeyPatch) -> None:
    def refuse() -> float:
        raise AssertionError("measured for nothing")

    machine.setattr(device, "bf16_speed_ratio", refuse)
    assert choose_device_plan("cpu", "fp32").reason == "cpu as requested; fp32 as requested"


@pytest.mark.parametrize(("bf16", "precision"), [(True, "bf16"), (False, "fp16")])
def test_a_gpu_is_preferred_in_the_precision_it_has(machine: pytest.MonkeyPatch, *, bf16: bool, precision: str) -> None:
    add_cuda(machine, bf16=bf16)
    device_plan = choose_device_plan()
    assert (device_plan.device.type, device_plan.precision, device_plan.threads) == ("cuda", precision, 1)
    assert device_plan.name == "Fine GPU"
    assert "GPU" in device_plan.reason


def test_an_apple_gpu_computes_in_fp32(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(torch.backends.mps, "is_available", lambda: True)
    device_plan = choose_device_plan()
    assert (device_plan.device.type, device_plan.precision) == ("mps", "fp32")
    with pytest.raises(ShakegptError, match="--precision fp32"):
        choose_device_plan("mps", "fp16")


def test_fp32_on_a_gpu_says_how_it_multiplies(machine: pytest.MonkeyPatch) -> None:
    add_cuda(machine, bf16=True)
    assert (
        choose_device_plan("cuda", "fp32").reason
        == "cuda as requested; fp32 as requested, with matrix products in TF32"
    )


@pytest.mark.parametrize(("name", "precision"), [("cuda", "high"), ("cpu", "highest"), ("mps", "highest")])
def test_tf32_is_for_gpus_and_ends_with_the_context(name: str, precision: str) -> None:
    def work() -> None:
        with training_kernels(torch.device(name)):
            assert torch.get_float32_matmul_precision() == precision
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert torch.get_float32_matmul_precision() == "highest"


def test_no_graph_is_recorded_while_another_thread_takes_a_plain_step_on_a_gpu() -> None:
    with ThreadPoolExecutor(1) as other:
        with training_kernels(torch.device("cuda")):
            assert not other.submit(recording.acquire, blocking=False).result()
        with training_kernels(torch.device("cpu")):
            assert other.submit(recording.acquire, blocking=False).result()
            other.submit(recording.release).result()


@pytest.mark.parametrize(("name", "message"), [("cuda", "no CUDA device"), ("mps", "no Apple GPU")])
def test_a_missing_device_is_a_clear_error(machine: pytest.MonkeyPatch, name: DeviceName, message: str) -> None:
    with pytest.raises(ShakegptError, match=f"This machine has {message}.*--device cpu") as caught:
        choose_device_plan(name)
    assert caught.value.exit_code == 1


def test_bf16_on_a_gpu_without_it_is_a_clear_error(machine: pytest.MonkeyPatch) -> None:
    add_cuda(machine, bf16=False)
    with pytest.raises(ShakegptError, match="--precision fp16 or fp32"):
        choose_device_plan("cuda", "bf16")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_cpu_accepts_every_precision(machine: pytest.MonkeyPatch, precision: PrecisionName) -> None:
    assert choose_device_plan("cpu", precision).precision == precision


def test_the_probe_measures_a_ratio() -> None:
    assert 0.001 < device.bf16_speed_ratio() < 1000
