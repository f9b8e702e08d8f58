"""What is said of pictures that are brought to another size or to squares."""

import numpy as np
import pytest

from diffusion_studio.data.spec import DataSpec


@pytest.mark.parametrize(
    ("sizes", "fit", "side", "said"),
    [
        ([(64, 64)], "crop", 64, ""),
        ([(640, 480)], "crop", 64, "Pictures of 640×480 are learned at 64×64: cut to squares, made smaller."),
        ([(640, 480)], "crop", 480, "Pictures of 640×480 are learned at 480×480: cut to squares."),
        ([(30, 30)], "crop", 28, "Pictures of 30×30 are learned at 28×28: made smaller."),
        ([(30, 20)], "pad", 30, "Pictures of 30×20 are learned at 30×30: padded to squares."),
        ([(20, 20)], "pad", 32, "Pictures of 20×20 are learned at 32×32: made larger."),
        ([(40, 20)], "stretch", 10,
         "Pictures of 40×20 are learned at 10×10: stretched to squares, made smaller."),
        ([(30, 30), (30, 30), (20, 40)], "crop", 28, "Pictures of 30×30 and of 1 other size are learned at "
         "28×28: cut to squares, made smaller or larger."),
        ([(9, 9), (8, 8), (7, 7)], "crop", 7,
         "Pictures of 7×7 and of 2 other sizes are learned at 7×7: made smaller."),
    ],
)  # fmt: skip
def test_that_it_is_told_how_pictures_become_squares(sizes, fit, side, said):
    assert DataSpec(fit=fit).told(np.array(sizes, np.int32), side) == said


@pytest.mark.parametrize(
    ("sizes", "fit", "side"),
    [([(640, 480)] * 3, "crop", 480), ([(640, 480)], "pad", 512), ([(30, 20)], "pad", 30),
     ([(3, 5)], "crop", 8), ([(16, 16), (16, 20), (300, 300)], "crop", 16), ([(3000, 2000)], "stretch", 512)],
)  # fmt: skip
def test_that_the_usual_picture_keeps_its_size(sizes, fit, side):
    assert DataSpec(fit=fit).side_of_most(np.array(sizes, np.int32)) == side
