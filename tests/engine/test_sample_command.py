"""Chains on the command line, there and back."""

import shlex

import pytest

from diffusion_studio.core.clipping import Clip, DynamicThreshold
from diffusion_studio.core.samplers import DDIM, DPMSolver2MSDE, Heun, SigmaCurve
from diffusion_studio.core.spacing import ExplicitSpacing, KarrasSpacing
from diffusion_studio.engine.sample_command import command_of, every_spec, spec_of
from diffusion_studio.engine.sample_spec import SampleSpec
from diffusion_studio.engine.starts import InterpolatedStart, InvertedStart, NoisedStart

OPTIONS = {
    "--sampler",
    "--steps",
    "--eta",
    "--tau",
    "--sigma",
    "--clip",
    "--count",
    "--label",
    "--guidance",
    "--seed",
}


def parsed(command):
    words, found = shlex.split(command)[3:], {"invert": [], "sets": []}
    for option, value in zip(words[::2], words[1::2], strict=True):
        name = option.removeprefix("--")
        if name in ("invert", "set"):
            from pathlib import Path

            found["sets" if name == "set" else "invert"].append(Path(value) if name == "invert" else value)
        elif name != "out":
            kinds = {"steps": int, "count": int, "label": int, "seed": int, "eta": float, "guidance": float}
            found[name] = kinds.get(name, str)(value)
    return spec_of(**found)


SPECS = [
    SampleSpec(),
    SampleSpec(sampler=DDIM(eta=0.3), steps=7, count=3, label=4, guidance=2.5, seed=9),
    SampleSpec(sampler=SigmaCurve(points=((0, 0.1), (500, 0.25)))),
    SampleSpec(sampler=DPMSolver2MSDE(eta=0.5), spacing=KarrasSpacing(rho=5)),
    SampleSpec(
        sampler=Heun(), spacing=ExplicitSpacing(values=(1, 50, 900)), clip=DynamicThreshold(share=0.9)
    ),
    SampleSpec(clip=Clip(rederive=False)),
    SampleSpec(start=InvertedStart(images=("/a b.png",), rounds=3), count=1),
    SampleSpec(start=NoisedStart(images=("/a.png",), share=0.7)),
    SampleSpec(start=InterpolatedStart(images=("/a.png", "/b.png"))),
    *every_spec(),
]


@pytest.mark.parametrize("spec", [s for s in SPECS if s.spacing != ExplicitSpacing()])
def test_that_the_command_repeats_the_chain(spec):
    assert parsed(command_of("runs/my run", spec)) == spec


def test_that_a_number_is_a_level_curve():
    assert spec_of(sigma="0.2").sampler.sigma_at(700) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"eta": -0.1}, "η cannot be negative"),
        ({"tau": "5,3"}, "must increase"),
        ({"tau": "nonsense"}, "spacing"),
        ({"sampler": "no such"}, "sampler"),
        ({"sampler": "ddim", "sigma": "0.1"}, "leave out --sampler"),
        ({"sigma": "-0.1"}, "negative"),
        ({"sigma": "x:y"}, "number"),
        ({"clip": "some"}, "clip"),
        ({"sets": ["sampler.eta"]}, "KEY=VALUE"),
        ({"sampler": "heun", "eta": 0.5}, "no parameter 'sampler.eta'"),
    ],
)
def test_that_what_cannot_be_gets_its_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        spec_of(**options)
