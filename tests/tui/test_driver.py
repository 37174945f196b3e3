"""Which driver the app runs on."""

import sys

import pytest
from textual.drivers.headless_driver import HeadlessDriver

from shakegpt.tui.driver import driver_class
from tests.tui.fake_model_app import FakeModelApp


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a driver of its own")
def test_the_app_has_its_own_driver() -> None:
    driver = driver_class()
    assert driver is not None
    assert FakeModelApp().driver_class.__name__ == driver.__name__


def test_textual_driver_names_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.headless_driver:HeadlessDriver")
    monkeypatch.setattr("textual.constants.DRIVER", "textual.drivers.headless_driver:HeadlessDriver")
    assert driver_class() is None
    assert FakeModelApp().driver_class is HeadlessDriver
