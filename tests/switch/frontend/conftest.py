"""Failing checks of the helpers show what they compared."""

import pytest

pytest.register_assert_rewrite("tests.switch.frontend.programs")
