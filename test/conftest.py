import sys

import pytest

sys.path.insert(0, __file__.rsplit("/", 1)[0])
from lab import Lab  # noqa: E402


@pytest.fixture
def lab(tmp_path):
    made = Lab(tmp_path)
    yield made
    made.close()
