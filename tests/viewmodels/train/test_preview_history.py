"""The samples of a training, from the first to the newest."""

from __future__ import annotations

import numpy as np

from diffusion_studio.engine.training.events import Preview
from diffusion_studio.viewmodels.train.preview_history import PreviewHistory


def test_that_all_samples_of_a_step_take_the_place_of_few():
    history = PreviewHistory()
    for step, count in ((5, 4), (9, 4), (9, 16)):
        history.add(Preview(step, np.zeros((count, 8, 8, 1), np.uint8), ("",) * count, None))
    assert [history.step(k) for k in range(len(history))] == [5, 9]
    assert len(history.images(1)) == 16
